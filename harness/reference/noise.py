"""What honest arithmetic costs at each blob of a model for an input: its noise floor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition.evaluation import evaluate
from harness.domain.metrics import measure
from harness.domain.spec import content_key
from harness.domain.verdict import PLAUSIBLE_FLOOR, noise_floors
from harness.model.integer_blobs import is_quantised, quantised_blobs
from harness.model.weights import read_weights
from harness.reference.tensors import feeds_of
from harness.util.files import stamp, write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from harness.model.prepared_model import PreparedModel
    from harness.reference.values import Reference
    from harness.util.build_store import Store

    Array = NDArray[Any]


STEP = 1 / 127
"""One step of int8, relative to the largest value that it holds."""
FLIPPED = 1e-4
"""Part of int8 elements that kernels were seen to round otherwise."""


def floors_of(
    model: PreparedModel,
    tensors: Mapping[str, Array],
    reference: Reference,
    exact: Reference,
    store: Store,
) -> dict[str, float]:
    """Return the noise floors between two references, remembered: both are known by content."""
    rough = sorted(model.by_blob[b].key for b in model.rough_blobs if b in model.by_blob)
    key = content_key([reference.directory.name, exact.directory.name, PLAUSIBLE_FLOOR, rough])
    file = store.references / f"floors-{key}" / "floors.json"
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        stamp(file.parent)
        return {str(name): float(value) for name, value in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        floors = noise_floors(reference, exact, rough)
        for moved in (_steps(model, exact), _flips(model, tensors, exact)):
            for blob, distance in moved.items():
                key = model.by_blob[blob].key
                floors[key] = max(floors.get(key, 0.0), distance)
        write_atomically(file, json.dumps(floors))
        return floors


def _steps(model: PreparedModel, exact: Reference) -> dict[str, float]:
    """Return how far blobs move, scale-relative, if int8 before them is rounded the other way."""
    int8, taken = quantised_blobs(model.graph), set(model.conversion.taken)
    found: dict[str, float] = {}
    for layer in model.graph.layers:
        before = max((found.get(blob, 0.0) for blob in layer.inputs), default=0.0)
        own = STEP if is_quantised(layer) else 0.0
        for blob in layer.outputs:
            # A detector that gets other numbers may find something else.
            step = 1.0 if before and blob in taken else max(before, own)
            if blob in int8 and blob in model.by_blob:
                largest = float(np.abs(exact[model.by_blob[blob].key]).max(initial=0))
                step = max(step, 1 / max(largest, 1.0))
            found[blob] = step
    return {blob: step for blob, step in found.items() if step and blob in model.by_blob}


def _flips(
    model: PreparedModel, tensors: Mapping[str, Array], exact: Reference
) -> dict[str, float]:
    """Return how far blobs move, scale-relative, if some int8 elements are rounded otherwise.

    Kernels that scale by other routes round a few elements the other way, and layers that follow
    amplify that: random weights do so many times over.
    """
    known = {b: a for b, a in model.by_blob.items() if a.source == "ncnn"}
    if not quantised_blobs(model.graph) or not known:
        return {}
    weights = read_weights(model.graph, model.bin)
    moved = evaluate(model.graph, weights, feeds_of(model, tensors), flipped=FLIPPED).blobs
    return {
        blob: measure(moved[blob], exact[each.key]).scale_relative
        for blob, each in known.items()
        if blob in moved
    }
