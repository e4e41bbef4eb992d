"""Programs compiled against one build of ncnn and run: by themselves, or as a test of ncnn's own.

The source of a build is laid out once more for that, as links, with ncnn's tests and one more.
"""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from harness.build import cmake
from harness.build.builder import BUILD, SOURCE
from harness.sources.tree import PARTS, TESTS
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.build.builder import Builder
    from harness.build.plan import BuildPlan
    from harness.util.process import Completed, Processes

RUN_SECONDS = 60.0
COMPILE_SECONDS = 600.0
LISTS = "CMakeLists.txt"
TESTS_ON = ("NCNN_BUILD_TESTS", "ON")
"""The option of a build that has ncnn's own tests."""


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is compiled."""

    name: str
    layer: str
    """Type of the layer that it is about."""
    alone: str
    """Text of the program by itself."""
    test: str
    """Text of the test for ncnn's tree."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What became of a program."""

    output: str = ""
    """What it printed."""
    fate: str = ""
    """How it ended, in words."""
    error: str = ""
    """Why it did not compile."""


@dataclass(frozen=True, kw_only=True)
class BothRan:
    """What became of both programs with one build."""

    alone: Ran
    test: Ran | None
    """None where there is no test tree."""


def compile_and_run(
    builder: Builder,
    plan: BuildPlan,
    program: Program,
    *,
    tests: Path | None,
    command: Callable[[Path, Path], Sequence[str]],
    logs: Path,
) -> BothRan:
    """Compile a plan, then both programs against its static library, and run them.

    Args:
        builder: where it is compiled.
        plan: what they are compiled against; with `TESTS_ON` if there are tests.
        program: both programs.
        tests: folder of ncnn's own tests, if they are at hand.
        command: gives the command that compiles the program by itself in its own folder, from
            the folders of ncnn's source and of the build.
        logs: folder for the logs.

    Raises:
        BuildError: ncnn itself does not configure or compile.
        UsageError: ncnn has a test of this name.
    """
    own = f"test_{program.name}.cpp"
    if tests and (tests / own).exists():
        raise UsageError(f"ncnn has a tests/{own} already. Choose another --name.")
    logs.mkdir(parents=True, exist_ok=True)
    emulator = shlex.split(plan.spec.flags.target.emulator) if plan.spec.flags.target else []
    runs = _Runs(processes=builder.processes, log=logs / "programs.log", emulator=emulator)
    lay = partial(_lay, tree=plan.tree.path, tests=tests, program=program)
    with builder.workplace(plan, lay, log=logs / "build.log") as work:
        source, build = work / SOURCE, work / BUILD
        test = None
        if tests:
            target = f"test_{program.name}"
            words: list[str | Path] = [cmake.NINJA, "-C", build, "-j", str(builder.jobs), target]
            test = runs.made(words, build / TESTS / target, build)
        folder = work / "alone"
        folder.mkdir()
        (folder / f"{program.name}.cpp").write_text(program.alone, encoding="utf-8")
        alone = runs.made(command(source, build), folder / program.name, folder)
    return BothRan(alone=alone, test=test)


@dataclass(frozen=True, kw_only=True)
class _Runs:
    processes: Processes
    log: Path
    emulator: Sequence[str]

    def made(self, command: Sequence[str | Path], program: Path, folder: Path) -> Ran:
        """Compile a program in a folder and run it there."""
        compiled = self._run(command, folder, COMPILE_SECONDS)
        if not compiled.ok:
            return Ran(error=cmake.first_error(compiled.output))
        ran = self._run([*self.emulator, program], folder, RUN_SECONDS)
        return Ran(output=ran.output, fate=ran.fate)

    def _run(self, command: Sequence[str | Path], folder: Path, timeout: float) -> Completed:
        # Compilers speak the user's language, and what they say is read.
        return self.processes.run(
            command, log=self.log, timeout=timeout, cwd=folder, env={"LANGUAGE": "C"}
        )


def _lay(source: Path, *, tree: Path, tests: Path | None, program: Program) -> None:
    """Lay out a source tree as links, with ncnn's tests and one more."""
    source.mkdir(parents=True)
    for part in PARTS:
        (source / part).symlink_to((tree / part).absolute())
    if tests is None:
        return
    folder = source / TESTS
    folder.mkdir()
    for path in tests.iterdir():
        if path.name != LISTS:
            (folder / path.name).symlink_to(path.absolute())
    shutil.copyfile(tests / LISTS, folder / LISTS)
    with (folder / LISTS).open("a", encoding="utf-8") as lists:
        lists.write(added_line((tests / LISTS).read_text(encoding="utf-8"), program))
    (folder / f"test_{program.name}.cpp").write_text(program.test, encoding="utf-8")


def added_line(lists: str, program: Program) -> str:
    """Return what `tests/CMakeLists.txt` needs for a test that it does not find by itself.

    Since 20221128 its macro takes all files of a layer's name.
    """
    found = f"ncnn_add_layer_test({program.layer})" in lists and "_*.cpp" in lists
    return "" if found else f"\nncnn_add_test({program.name})\n"
