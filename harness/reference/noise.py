"""What honest arithmetic costs at each blob of a model for an input: its noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition.evaluation import evaluate
from harness.domain.metrics import INFINITE
from harness.domain.verdict import FAINTEST
from harness.model.integer_blobs import is_quantised, quantised_blobs
from harness.model.weights import read_weights
from harness.reference.tensors import feeds_of
from harness.reference.values import stored

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from harness.model.alignment import Alignment
    from harness.model.prepared_model import PreparedModel
    from harness.reference.evaluator import Evaluator
    from harness.reference.values import Reference
    from harness.util.build_store import Store

    Array = NDArray[Any]


PLAUSIBLE = 1e-3
"""Part of a value's largest number up to which the difference of two evaluators is believed to be
rounding; beyond, only what rounding was seen to do to one of them."""
ROUNDED = 2.0**-23
"""Relative error that a layer's rounding is taken to be: with it, what a chain of layers makes of
rounding is as much as ONNX Runtime was measured to be off by."""
ROUNDS = 2
"""How often it is tried what rounding does."""
STEP = 1 / 127
"""One step of int8, relative to the largest value that it holds."""
FLIPPED = 1e-4
"""Part of int8 elements that kernels were seen to round otherwise."""


@dataclass(frozen=True)
class Noise:
    """What honest arithmetic may be off by at each blob that has a reference, for one input."""

    channels: Reference
    """By blob, in the units of its values: one number for each channel of ncnn (the first axis of
    two or more), or one for the blob where its layout is not known."""
    floors: Mapping[str, float]
    """By blob, relative to the largest absolute reference value (absolute where that is 0)."""


def noise_of(
    model: PreparedModel,
    tensors: Mapping[str, Array],
    fp32: Reference,
    float64: Reference,
    *,
    store: Store,
    evaluator: Evaluator,
    relative_to: Reference,
) -> Noise:
    """Return the noise between two references, remembered: both are known by content.

    It is the larger of two differences: that of an evaluation in float64 in which each layer's
    result is off by as much as rounding may cost, and that of the two references, as far as it is
    plausible.

    Args:
        model: the model, its conversion proved.
        tensors: the input, by name as `PreparedModel.inputs` has it.
        fp32: what the blobs hold in single precision, see `blob_reference`.
        float64: the same in float64.
        store: where it is kept.
        evaluator: calls what evaluates.
        relative_to: that of both whose largest values the floors are relative to.
    """
    origin = {
        "noise": [PLAUSIBLE, ROUNDED, ROUNDS, STEP, FLIPPED],
        "of": [fp32.directory.name, float64.directory.name],
        "blobs": sorted(model.by_blob),
        "rough": sorted(model.rough_blobs),
    }

    def compute() -> Mapping[str, Array]:
        found = evaluator(noise_between, model, dict(tensors), fp32, float64, what=model.param)
        model.check()
        return found

    channels = stored(origin, compute, store=store.references)
    return Noise(
        channels,
        {
            blob: float(noise.max()) / (_scale(relative_to[model.by_blob[blob].key]) or 1.0)
            for blob, noise in channels.items()
        },
    )


def noise_between(
    model: PreparedModel, tensors: Mapping[str, Array], fp32: Reference, float64: Reference
) -> dict[str, Array]:
    """Compute the noise of each channel by blob, see `noise_of`."""
    found: dict[str, Array] = {}
    exact, moved = _evaluations(model, tensors)
    for blobs in moved:
        for blob, array in blobs.items():
            _raise(found, blob, _distances(array, exact[blob]))
    steps = _steps(model, float64)
    for blob, alignment in model.by_blob.items():
        value = float64[alignment.key]
        if value.dtype.kind != "f":
            found.pop(blob, None)
            continue
        scale, apart = _scale(value), _apart(alignment, exact.get(blob), fp32, float64)
        rough = blob in model.rough_blobs
        _raise(found, blob, apart if rough else np.minimum(apart, PLAUSIBLE * scale))
        _raise(found, blob, np.maximum(steps.get(blob, 0.0) * scale, FAINTEST))
    return {blob: found[blob] for blob in model.by_blob if blob in found}


def _evaluations(
    model: PreparedModel, tensors: Mapping[str, Array]
) -> tuple[Mapping[str, Array], Iterator[Mapping[str, Array]]]:
    """Return blobs in float64, and the same with rounding that may be otherwise."""
    weights, feeds = read_weights(model.graph, model.bin), feeds_of(model, tensors)

    def blobs(**options: Any) -> Mapping[str, Array]:
        found = evaluate(model.graph, weights, feeds, **options).blobs
        return {blob: array for blob, array in found.items() if blob in model.by_blob}

    def moved() -> Iterator[Mapping[str, Array]]:
        for seed in range(ROUNDS):
            yield blobs(nudged=ROUNDED, seed=seed)
        if quantised_blobs(model.graph):
            # Kernels that scale by other routes round a few elements the other way, and layers
            # that follow amplify that: random weights do so many times over.
            yield blobs(flipped=FLIPPED)

    return blobs(), moved()


def _raise(found: dict[str, Array], blob: str, noise: Array) -> None:
    found[blob] = np.maximum(found[blob], noise) if blob in found else noise


def _apart(alignment: Alignment, blob: Array | None, fp32: Reference, float64: Reference) -> Array:
    """Return the differences of two references, by channel where the blob's layout is known."""
    single, exact = fp32[alignment.key], float64[alignment.key]
    if blob is None:
        return _distances(single.reshape(-1), exact.reshape(-1))
    way = alignment.arranged(exact.shape, blob.shape)
    return _distances(way.to_blob(single), way.to_blob(exact))


def _distances(one: Array, other: Array) -> Array:
    """Return the largest difference of two arrays in each channel; infinities count as equal."""
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(one.astype(np.float64) - other)
        apart[~((np.abs(one) < INFINITE) & (np.abs(other) < INFINITE))] = 0
    within = tuple(range(min(1, apart.ndim - 1), apart.ndim))
    return np.atleast_1d(apart.max(axis=within, initial=0))


def _scale(value: Array) -> float:
    """Return the largest finite absolute value."""
    size = np.abs(value.astype(np.float64))
    return float(size.max(initial=0, where=size < INFINITE))


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
                largest = _scale(exact[model.by_blob[blob].key])
                step = max(step, 1 / max(largest, 1.0))
            found[blob] = step
    return {blob: step for blob, step in found.items() if step and blob in model.by_blob}
