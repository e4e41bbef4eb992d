"""What a matrix does with a model that only some converters make something of."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.commands import matrix
from harness.config.cells import Matrix
from harness.config.tables import Limits
from harness.domain.records import Verdict
from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)
from harness.execution.engine import ModelAtHand, NoModel
from harness.report.console import wide_console
from harness.util.build_store import Store
from harness.util.errors import HarnessError, ModelError, SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

GOOD = ModelSpec(name="m", converter="pnnx good")
FAILURES = {"pnnx bad": ModelError("Resize is left"), "pnnx gone": SourceError("no such version")}


class FakePreparation:
    """Proves nothing, and prepares inputs by their names."""

    def __init__(self, *, model: object, **_: object) -> None:
        self.model = model

    def prove(self, inputs: Sequence[InputSpec]) -> object:
        return self.model

    def input(self, item: InputSpec) -> str:
        return item.name


def prepared(monkeypatch: pytest.MonkeyPatch, *models: ModelSpec) -> dict[ModelSpec, Any]:
    def prepare_model(spec: ModelSpec, *_: object) -> object:
        if spec.converter in FAILURES:
            raise FAILURES[spec.converter]
        return SimpleNamespace(notes=(f"made by {spec.converter}",))

    monkeypatch.setattr(matrix, "prepare_model", prepare_model)
    monkeypatch.setattr(matrix, "ModelPreparation", FakePreparation)
    build = BuildSpec(
        revision=Revision(label="v", kind="directory", name=""),
        flags=FlagSet(name="f"),
        layers=None,
    )
    item = InputSpec(name="i")
    cells = tuple(
        CellSpec(build=build, run=RunSpec(name="r"), model=model, input=item) for model in models
    )
    machine = cast("Any", SimpleNamespace(store=Store(root=Path("nowhere")), limits=Limits()))
    asked = Matrix(cells=cells, left_out=())
    return dict(matrix._prepared(asked, [item], [], machine, wide_console(), lambda words: None))


def test_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad, gone = (ModelSpec(name="m", converter=name) for name in FAILURES)
    found = prepared(monkeypatch, GOOD, bad, gone)
    assert isinstance(found[GOOD], ModelAtHand)
    assert found[GOOD].inputs == {"i": "i"}
    assert found[bad] == NoModel(verdict=Verdict.UNSUPPORTED, reason="Resize is left")
    assert found[gone] == NoModel(verdict=Verdict.SKIPPED, reason="no such version")
    assert capsys.readouterr().out == "made by pnnx good\n"


@pytest.mark.parametrize("name", FAILURES)
def test_without_any_the_command_ends(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(HarnessError, match=str(FAILURES[name])):
        prepared(monkeypatch, ModelSpec(name="m", converter=name))
