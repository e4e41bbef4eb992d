"""Changed `.param` files beside the original, and what changed in them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from harness.model.param import Param, write, write_param

if TYPE_CHECKING:
    from harness.analysis.diagnosis.fixes.evaluator import FixEvaluator
    from harness.analysis.diagnosis.measurer import ConfiguredModel

ORIGINAL = "model.param"


def with_file(evaluator: FixEvaluator, graph: Param, name: str = "") -> ConfiguredModel:
    """Write a changed graph and return the subject that uses it.

    Args:
        bench: the unchanged subject.
        graph: the changed graph.
        name: it becomes `model.<name>.param` beside the original; without one it is not kept.
    """
    path = evaluator.folder / f"model.{name}.param" if name else evaluator.scratch / "changed.param"
    write_param(graph, path)
    return evaluator.subject.with_graph(graph, path)


def difference(before: Param, after: Param, name: str) -> str:
    """Return the unified diff of two graphs as they stand in files."""
    lines = difflib.unified_diff(
        write(before).splitlines(keepends=True),
        write(after).splitlines(keepends=True),
        ORIGINAL,
        f"model.{name}.param",
        n=0,
    )
    return "".join(lines)
