"""glslang, the shader compiler inside a Vulkan build: compiled once and shared by all that need it.

It takes most of a Vulkan build's time, and hundreds of revisions of ncnn record the same one.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build import cmake
from harness.domain.spec import content_key
from harness.sources.tree import source_text
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.build.builder import Builder
    from harness.build.toolchain import Compiler
    from harness.sources import SourceTree

CONFIG = Path("lib", "cmake", "glslang")
"""Where an installed glslang describes itself to CMake."""

SETTINGS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
    "CMAKE_POSITION_INDEPENDENT_CODE": "ON",
    "CMAKE_INSTALL_LIBDIR": "lib",
    "BUILD_SHARED_LIBS": "OFF",
    "BUILD_EXTERNAL": "OFF",
    "ENABLE_SPVREMAPPER": "OFF",
    "ENABLE_GLSLANG_BINARIES": "OFF",
    "ENABLE_HLSL": "OFF",
    "ENABLE_RTTI": "OFF",
    "ENABLE_EXCEPTIONS": "OFF",
    "ENABLE_OPT": "OFF",
    "ENABLE_PCH": "OFF",
    "ENABLE_CTEST": "OFF",
    "GLSLANG_TESTS": "OFF",
    "GLSLANG_ENABLE_INSTALL": "ON",
    "SKIP_GLSLANG_INSTALL": "OFF",
}
"""As ncnn's own CMake code sets them, but position-independent and installed."""


def shareable(tree: SourceTree) -> bool:
    """Return whether this version of ncnn can take a glslang that was compiled before.

    Versions before 2021 list the files of such a glslang by names that later ones do not have.
    """
    text = source_text(tree.path / "CMakeLists.txt")
    return "NCNN_SYSTEM_GLSLANG" in text and "find_package(glslang" in text


def shared_glslang(tree: SourceTree, compiler: Compiler, builder: Builder) -> Path | None:
    """Return the directory to give as `glslang_DIR`, compiling glslang when it is new.

    None where it cannot be shared, so that ncnn has to compile it as a part of itself: this
    version does not take one, or this glslang does not describe itself to CMake.

    Args:
        tree: ncnn's source, obtained with glslang.
        compiler: what compiles it.
        builder: how many jobs, how long, and the store that keeps it.

    Raises:
        MachineError: it does not compile.
    """
    if tree.glslang is None or not shareable(tree):
        return None
    store = builder.store
    settings = {**SETTINGS, "CMAKE_CXX_COMPILER": str(compiler.path)}
    key = content_key([tree.glslang_digest, settings, compiler.version])
    target = store.modules / f"glslang-{key}"
    with store.lock(target.name):
        if not is_intact(target):
            with sealed(target) as prefix:
                _compile(tree.glslang, settings, prefix, store.work / target.name, builder)
    config = target / CONFIG
    return config if (config / "glslang-config.cmake").is_file() else None


def _compile(
    source: Path, settings: Mapping[str, str], prefix: Path, work: Path, builder: Builder
) -> None:
    """Configure, compile and install glslang into `prefix`."""
    log = builder.store.logs / f"{work.name}.log"
    shutil.rmtree(work, ignore_errors=True)
    definitions = {**settings, "CMAKE_MAKE_PROGRAM": str(cmake.NINJA)}
    flags = [f"-D{name}={value}" for name, value in definitions.items()]
    steps: tuple[list[str | Path], ...] = (
        [cmake.CMAKE, "-G", "Ninja", "-S", source, "-B", work, *flags],
        [cmake.NINJA, "-C", work, "-j", str(builder.jobs)],
        [cmake.CMAKE, "--install", work, "--prefix", prefix],
    )
    for command in steps:
        done = builder.processes.run(
            command, log=log, timeout=builder.timeout, watch=builder.watching("glslang")
        )
        if not done.ok:
            raise MachineError(
                f"glslang does not compile: {cmake.first_error(done.output)}. Vulkan builds need "
                f"it; the log is {log}.",
                code=Code.VULKAN,
            )
    shutil.rmtree(work, ignore_errors=True)
