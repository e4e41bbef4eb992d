"""The pybind11 binding: compiled once for this Python, it opens the core of any build."""

from __future__ import annotations

import sys
import sysconfig
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pybind11

from harness.build.cmake import first_error
from harness.build.extension import MODULE
from harness.build.failure import Failure
from harness.build.plan import NATIVE
from harness.domain.spec import content_key
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.files import sha256_of
from harness.util.process import run
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from harness.build.toolchain import Compiler
    from harness.util.build_store import Store

SOURCES = ("binding.cpp", "crash_trace.cpp", "core.h", "crash_trace.h")


def binding_in_background(store: Store, compiler: Compiler) -> Future[Path]:
    """Start `build_binding` beside other work, and return where its result will be.

    It may take longer than all other preparations, and nothing needs it before the first cell.
    """
    pool = ThreadPoolExecutor(1)
    future = pool.submit(build_binding, store, compiler)
    pool.shutdown(wait=False)
    return future


def python_headers() -> Path:
    """Return the directory with the headers of this Python.

    Raises:
        MachineError: they are not installed.
    """
    headers = Path(sysconfig.get_path("include"))
    if not (headers / "Python.h").exists():
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise MachineError(
            f"{headers}/Python.h is missing, and without it no Python module can be compiled. "
            f"Install them, on Debian or Ubuntu: apt-get install python{version}-dev",
            code=Code.BINDING,
        )
    return headers


def build_binding(store: Store, compiler: Compiler) -> Path:
    """Return the extension module, compiling it when this Python or its sources are new.

    Raises:
        MachineError: it does not compile, most often for want of Python's headers.
    """
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    sources = [sha256_of(NATIVE / name) for name in SOURCES]
    key = content_key([sources, pybind11.__version__, sys.version, compiler.version])
    target = store.modules / f"binding-{key}"
    module = target / f"{MODULE}{suffix}"
    with store.lock(f"binding-{key}"):
        if is_intact(target):
            return module
        headers = python_headers()
        with sealed(target) as folder:
            done = run(
                [
                    compiler.path,
                    "-std=c++17",
                    # It copies arrays and passes calls on: only its own compilation takes long.
                    "-O0",
                    "-shared",
                    "-fPIC",
                    "-fvisibility=hidden",
                    f"-I{headers}",
                    f"-I{pybind11.get_include()}",
                    *(NATIVE / name for name in SOURCES if name.endswith(".cpp")),
                    "-o",
                    folder / module.name,
                    "-ldl",
                ],
                log=store.logs / "binding.log",
                timeout=600,
                # What a compiler leaves that is killed goes with the rest.
                env={"TMPDIR": str(folder)},
            )
            shortage = "" if done.ok else Failure.of("compile", done).shortage
            if shortage:
                raise MachineError(
                    f"the Python binding was not compiled: '{shortage}' in {folder.parent}. Free "
                    "disk or memory, or choose another store with --builds, and run again.",
                    code=Code.MEMORY,
                )
            if not done.ok:
                raise MachineError(
                    f"the Python binding does not compile: {first_error(done.output)}. See "
                    f"{store.logs / 'binding.log'}; is {compiler.path} a C++17 compiler?",
                    code=Code.BINDING,
                )
    return module
