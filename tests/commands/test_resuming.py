"""What an interrupted run makes of the records that it finds."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.build.toolchain import Compiler
from harness.commands import matrix
from harness.commands.matrix import _run
from harness.config.cells import Matrix, expand
from harness.config.loading import load_config
from harness.domain.records import CellRecord, Verdict
from harness.domain.spec import BuildSpec, CellSpec
from harness.execution.run_directory import open_run
from harness.report.console import MatrixProgress
from tests.records import cell


class Counting:
    """An engine that finds every cell fine and says which ones it ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def run(self, cells: Sequence[CellSpec]) -> Iterator[CellRecord]:
        for spec in cells:
            self.ran.append(spec.input.name)
            yield cell({}).model_copy(update={"cell": spec.id, "verdict": Verdict.OK})

    def has_build(self, spec: BuildSpec) -> bool:
        return False


@pytest.mark.parametrize(
    ("verdict", "again"),
    [
        (Verdict.OK, False),
        (Verdict.DROP, False),
        (Verdict.BROKEN, False),
        (Verdict.UNSUPPORTED, False),
        (Verdict.SKIPPED, True),
    ],
)
def test_only_what_was_skipped_is_tried_again(
    tmp_path: Path, verdict: Verdict, again: bool
) -> None:
    config = load_config(Path("configs/default.toml"))
    first = expand(config, base=Path("configs")).cells[0]
    cells = tuple(replace(first, input=replace(first.input, name=name)) for name in "ab")
    run = open_run(tmp_path, name="x", key="k", config="")
    run.append(cell({}).model_copy(update={"cell": cells[0].id, "verdict": verdict}))
    engine = Counting()
    reporter = MatrixProgress(Console(file=StringIO()), builds=1, cells=2)
    records = _run(engine, Matrix(cells=cells, left_out=()), run, reporter, "")
    assert engine.ran == (["a", "b"] if again else ["b"])
    assert [record.verdict for record in records] == [Verdict.OK if again else verdict, Verdict.OK]


def test_with_another_compiler_it_is_another_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(Path("configs/default.toml"))
    cells = expand(config, base=Path("configs"), generate=lambda _: ()).cells
    keys = set()
    for name in ("a", "b", "a"):
        monkeypatch.setattr(
            matrix, "find_compiler", lambda _, name=name: Compiler(path=Path(name), version="1")
        )
        keys.add(matrix._key(config, Matrix(cells=cells, left_out=())))
    assert len(keys) == 2
