"""How a source is laid out with ncnn's tests, and what becomes of programs there."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.build.builder import BUILD, SOURCE, Builder
from harness.build.plan import plan_build
from harness.build.programs import Program, Ran, added_line, compile_and_run
from harness.build.toolchain import Compiler
from harness.domain.spec import BuildSpec, FlagSet, Revision
from harness.sources import SourceTree
from harness.util.build_store import Store
from harness.util.errors import UsageError
from harness.util.process import Completed
from tests.build.fake_ncnn import FILES
from tests.source_tree import write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.build import programs
    from harness.build.plan import BuildPlan

PROGRAM = Program(name="softmax_x", layer="Softmax", alone="int main() {}\n", test="int t;\n")
GLOB = 'file(GLOB test_${name}_SRCS "test_${name}.cpp" "test_${name}_*.cpp")\n'
LINE = "\nncnn_add_test(softmax_x)\n"


@pytest.mark.parametrize(
    ("lists", "line"),
    [
        (GLOB + "ncnn_add_layer_test(Softmax)\n", ""),
        (GLOB + "ncnn_add_layer_test(Softplus)\n", LINE),
        ("ncnn_add_layer_test(Softmax)\n", LINE),
        ("", LINE),
    ],
)
def test_line_for_a_test_that_is_not_found(lists: str, line: str) -> None:
    assert added_line(lists, PROGRAM) == line


class FakeBuilder(Builder):
    """Compiles nothing; keeps what was laid out."""

    @contextmanager
    def workplace(
        self, plan: BuildPlan, lay: Callable[[Path], None] | None = None, *, log: Path
    ) -> Iterator[Path]:
        assert lay is not None
        work = self.store.root / "work"
        lay(work / SOURCE)
        (work / BUILD).mkdir()
        yield work


@pytest.fixture
def plan(tmp_path: Path) -> BuildPlan:
    write_tree(tmp_path / "tree", {**FILES, "cmake/x.cmake": ""})
    revision = Revision(label="1", kind="directory", name=str(tmp_path / "tree"))
    spec = BuildSpec(revision=revision, flags=FlagSet(name="f"), layers=frozenset({"Softmax"}))
    source = SourceTree(path=tmp_path / "tree", digest="d", description="")
    return plan_build(spec, source, Compiler(path=Path("/c++"), version="1"), arch="x86")


@pytest.fixture
def tests_folder(tmp_path: Path) -> Path:
    write_tree(tmp_path / "tests", {"CMakeLists.txt": GLOB, "testutil.h": "x", "perf/a.cpp": ""})
    return tmp_path / "tests"


def ran(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    plan: BuildPlan,
    tests: Path | None,
    fails: str = "",
) -> tuple[programs.BothRan, list[list[str]]]:
    """Return what became of the programs, and the commands; those with `fails` in them fail."""
    commands: list[list[str]] = []

    def run(command: Sequence[str | Path], **_: object) -> Completed:
        words = [str(word) for word in command]
        commands.append(words)
        failed = bool(fails) and fails in " ".join(words)
        return Completed(
            command=(),
            returncode=int(failed),
            seconds=0,
            output="x.cpp: error: no member\n" if failed else "said\n",
            timed_out=False,
        )

    builder = FakeBuilder(store=Store(root=tmp_path / "store"), jobs=3, timeout=1)
    monkeypatch.setattr(builder.processes, "run", run)
    both = compile_and_run(
        builder,
        plan,
        PROGRAM,
        tests=tests,
        command=lambda source, build: ["c++", str(source), str(build)],
        logs=tmp_path / "logs",
    )
    return both, commands


def test_source_is_laid_out_as_links(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plan: BuildPlan, tests_folder: Path
) -> None:
    ran(monkeypatch, tmp_path, plan, tests_folder)
    source = tmp_path / "store" / "work" / SOURCE
    assert (source / "src").resolve() == (tmp_path / "tree" / "src")
    assert (source / "tests" / "testutil.h").is_symlink()
    assert (source / "tests" / "perf" / "a.cpp").is_file()
    assert (source / "tests" / "test_softmax_x.cpp").read_text() == PROGRAM.test
    # What is everybody's stays as it was.
    assert (source / "tests" / "CMakeLists.txt").read_text() == GLOB + LINE
    assert (tests_folder / "CMakeLists.txt").read_text() == GLOB
    assert not (tests_folder / "test_softmax_x.cpp").exists()
    assert (source.parent / "alone" / "softmax_x.cpp").read_text() == PROGRAM.alone


def test_no_test_of_ncnn_is_written_over(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plan: BuildPlan, tests_folder: Path
) -> None:
    (tests_folder / "test_softmax_x.cpp").write_text("ncnn's")
    with pytest.raises(UsageError, match="another --name"):
        ran(monkeypatch, tmp_path, plan, tests_folder)
    assert (tests_folder / "test_softmax_x.cpp").read_text() == "ncnn's"


def test_both_are_compiled_and_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plan: BuildPlan, tests_folder: Path
) -> None:
    both, commands = ran(monkeypatch, tmp_path, plan, tests_folder)
    assert both.alone == both.test == Ran(output="said\n", fate="exit code 0")
    assert [Path(words[0]).name for words in commands] == [
        "ninja",
        "test_softmax_x",
        "c++",
        "softmax_x",
    ]
    assert commands[0][-1] == "test_softmax_x"


def test_without_tests_of_ncnn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, plan: BuildPlan
) -> None:
    both, commands = ran(monkeypatch, tmp_path, plan, None)
    assert both.test is None
    assert len(commands) == 2


@pytest.mark.parametrize("fails", ["ninja", "c++"])
def test_one_that_does_not_compile_leaves_the_other(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    plan: BuildPlan,
    tests_folder: Path,
    fails: str,
) -> None:
    both, _ = ran(monkeypatch, tmp_path, plan, tests_folder, fails)
    failed, other = (both.test, both.alone) if fails == "ninja" else (both.alone, both.test)
    assert failed == Ran(error="x.cpp: error: no member")
    assert other == Ran(output="said\n", fate="exit code 0")
