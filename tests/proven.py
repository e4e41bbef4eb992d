"""Models whose conversion is proved, by a machine that builds nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from harness.analysis.conversion.preparation import ModelPreparation
from harness.config.tables import Limits
from harness.domain.verdict import Tolerance
from harness.model.prepared_model import prepare_model
from tests.evaluating import here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.spec import InputSpec, ModelSpec
    from harness.util.build_store import Store


def preparation(spec: ModelSpec, inputs: Sequence[InputSpec], store: Store) -> ModelPreparation:
    """Return a model that was read and proved."""
    cells = SimpleNamespace(tolerance=Tolerance(), launcher=None)
    machine = SimpleNamespace(
        store=store, cells=cells, resolver=None, evaluator=here, limits=Limits()
    )
    found = ModelPreparation(
        machine=cast("Any", machine), model=prepare_model(spec, store), builds=()
    )
    found.prove(inputs)
    return found
