"""Changed `.param` files beside the original, and what changed in them."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from harness.model.param import Param, write, write_param

if TYPE_CHECKING:
    from harness.analysis.diagnosis.fixes.evaluator import Bench
    from harness.analysis.diagnosis.laboratory import Subject

ORIGINAL = "model.param"


def with_file(bench: Bench, graph: Param, name: str = "") -> Subject:
    """Write a changed graph and return the subject that uses it.

    Args:
        bench: the unchanged subject.
        graph: the changed graph.
        name: it becomes `model.<name>.param` beside the original; without one it is not kept.
    """
    path = bench.folder / f"model.{name}.param" if name else bench.scratch / "changed.param"
    write_param(graph, path)
    return bench.subject.with_graph(graph, path)


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
