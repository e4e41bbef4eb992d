"""The runner: a program, compiled once per target, it opens the core of any build made for it."""

from __future__ import annotations

import shlex
import shutil
from typing import TYPE_CHECKING

from harness.build.cmake import first_error
from harness.build.plan import NATIVE
from harness.build.toolchain import Compiler, find_compiler
from harness.domain.spec import Target, content_key
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.files import sha256_of
from harness.util.naming import file_name
from harness.util.process import run
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from pathlib import Path

    from harness.util.build_store import Store

RUNNER = "runner"


def compiler_of(target: Target) -> Compiler:
    """Return a target's compiler, and make sure that what it makes can be run.

    Raises:
        MachineError: compiler or emulator is missing; the message says how to install both.
    """
    emulator = shlex.split(target.emulator)
    for program in (target.compiler, *emulator[:1]):
        if not shutil.which(program):
            remedy = target.install or f"correct [targets.{target.name}]"
            raise MachineError(
                f"target {target.name}: {program} not found: {remedy}", code=Code.TARGET
            )
    return find_compiler(target.compiler)


def runner_command(target: Target, store: Store) -> tuple[str, ...]:
    """Return the command that runs the runner of a target, compiling it when new.

    Raises:
        MachineError: compiler or emulator is missing, or it does not compile.
    """
    compiler = compiler_of(target)
    sources = [sha256_of(NATIVE / name) for name in ("runner.cpp", "core.h")]
    key = content_key([sources, str(compiler.path), compiler.version])
    folder = store.modules / f"runner-{file_name(target.name)}-{key}"
    log = store.logs / f"runner-{file_name(target.name)}.log"
    with store.lock(folder.name):
        if not is_intact(folder):
            with sealed(folder) as work:
                command: list[str | Path] = [compiler.path, "-std=c++11", "-O1"]
                command += [NATIVE / "runner.cpp", "-o", work / RUNNER, "-ldl"]
                done = run(command, log=log, timeout=600)
                if not done.ok:
                    raise MachineError(
                        f"target {target.name}: the runner does not compile: "
                        f"{first_error(done.output)}. The log is {log}.",
                        code=Code.TARGET,
                    )
    return *shlex.split(target.emulator), str(folder / RUNNER)
