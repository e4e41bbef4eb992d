"""Both sides of a model, layer by layer: what ncnn defines beside what the ONNX graph computes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.compare.matching import UNKNOWN, Agreement, Match, Matcher
from harness.definition.evaluation import Evaluated, outputs_of
from harness.domain.metrics import measure
from harness.model.arrangement import Arrangement, ordered
from harness.model.integer_blobs import quantised_blobs
from harness.reference.noise import PLAUSIBLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.param import Layer, Param

    Array = NDArray[Any]
    Blobs = Mapping[str, Array]

NOTHING: Mapping[str, Any] = MappingProxyType({})
COPIES = ("Split", "Noop", "Dropout")
"""Layers whose outputs hold what their input holds."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One input on both sides."""

    feeds: Blobs
    """The model's inputs by blob, in ncnn's layout."""
    values: Blobs
    """Values of the ONNX graph by name, float32; empty for a model without one."""


@dataclass(frozen=True, kw_only=True)
class ModelSide:
    """The ncnn files."""

    graph: Param
    tensors: Mapping[str, Mapping[str, Array]]
    """Contents of the `.bin` file by layer and tensor."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Blob → ONNX value, as the user says."""

    @cached_property
    def int8(self) -> frozenset[str]:
        """Blobs that are int8 inside of ncnn."""
        return quantised_blobs(self.graph)


@dataclass(kw_only=True)
class Walk:
    """What each blob holds, by ncnn's definitions."""

    matches: dict[str, Match] = field(default_factory=dict)
    inputs: list[Evaluated]
    """The blobs in float64, per trial."""
    single: Evaluated
    """The blobs in float32, of the first trial."""
    floors: dict[str, float] = field(default_factory=dict)
    """Scale-relative error of fp32 arithmetic at each blob."""
    local: dict[str, float] = field(default_factory=dict)
    """Scale-relative error of blobs that were corrected, with all before them right."""

    @property
    def reasons(self) -> dict[str, str]:
        """Layers without a definition, with the reason."""
        return self.inputs[0].reasons

    def is_ill_formed(self, layer: Layer) -> bool:
        """Whether a layer's shapes or tensors do not fit together."""
        return layer.name in self.inputs[0].ill_formed

    def blob(self, name: str) -> list[Array] | None:
        """Return a blob for each trial, or None where it could not be computed."""
        if all(name in each.blobs for each in self.inputs):
            return [each.blobs[name] for each in self.inputs]
        return None


def walk(
    model: ModelSide,
    trials: Sequence[Trial],
    matcher: Matcher | None,
    *,
    given: Sequence[Blobs] = (),
    corrected: Mapping[str, str] = NOTHING,
    preferred: Mapping[str, Sequence[str]] = NOTHING,
    exact: bool = False,
) -> Walk:
    """Compute all blobs by ncnn's definitions, and match each with the ONNX graph.

    Args:
        model: the ncnn files.
        trials: the inputs.
        matcher: finds ONNX values by number; None for a model without an ONNX graph.
        given: blobs for each trial that are taken as they are.
        corrected: blobs that are replaced by an ONNX value once they are computed, so that what
            follows is fed with what is right.
        preferred: ONNX values that a blob holds by right, if the numbers allow it.
        exact: whether a blob that holds an ONNX value becomes just that for what follows.
    """
    given = given or [NOTHING] * len(trials)
    found = Walk(
        inputs=[Evaluated(int8=model.int8) for _ in trials], single=Evaluated(int8=model.int8)
    )
    for layer in model.graph.layers:
        if not _computed(layer, model, trials, given, found):
            found.matches |= dict.fromkeys(layer.outputs, UNKNOWN)
            continue
        for blob in layer.outputs:
            names = [model.names.get(blob, blob), *preferred.get(blob, ())]
            match = _matched(layer, blob, found, matcher, names)
            if blob in corrected and matcher:
                match = _corrected(blob, corrected[blob], trials, found, matcher)
            elif exact and match.agreement is Agreement.EQUAL and match.way:
                _replace(blob, match.value, match.way, trials, found)
            found.matches[blob] = match
    return found


def _computed(
    layer: Layer, model: ModelSide, trials: Sequence[Trial], given: Sequence[Blobs], found: Walk
) -> bool:
    """Compute a layer's outputs for all trials; return whether they are there."""
    for trial, known, taken in zip(trials, found.inputs, given, strict=True):
        outputs = outputs_of(layer, model.tensors, trial.feeds, known, taken)
        if outputs is None:
            return False
        known.blobs |= {
            blob: np.asarray(array, np.float64)
            for blob, array in zip(layer.outputs, outputs, strict=True)
        }
    single = outputs_of(
        layer, model.tensors, trials[0].feeds, found.single, given[0], dtype=np.float32
    )
    if single is not None:
        found.single.blobs |= {
            blob: np.asarray(array, np.float32)
            for blob, array in zip(layer.outputs, single, strict=True)
        }
    for blob in layer.outputs:
        found.floors[blob] = _floor(found, blob)
    return True


def _floor(found: Walk, blob: str) -> float:
    exact, single = found.inputs[0].blobs[blob], found.single.blobs.get(blob)
    if single is None or single.shape != exact.shape:
        return 0.0
    return min(measure(single, exact).scale_relative, PLAUSIBLE)


def _matched(
    layer: Layer, blob: str, found: Walk, matcher: Matcher | None, names: Sequence[str]
) -> Match:
    if matcher is None:
        return UNKNOWN
    if layer.type in COPIES and layer.inputs[0] in found.matches:
        return found.matches[layer.inputs[0]]
    above = [m.value for name in layer.inputs if (m := found.matches[name]).value]
    blobs = found.blob(blob)
    assert blobs is not None
    return matcher.match(blobs, floor=found.floors[blob], above=above, names=names)


def _corrected(
    blob: str, value: str, trials: Sequence[Trial], found: Walk, matcher: Matcher
) -> Match:
    blobs = found.blob(blob)
    assert blobs is not None
    error, way = matcher.error_at(value, blobs)
    found.local[blob] = error
    if way is None:
        return found.matches.get(blob, UNKNOWN)
    _replace(blob, value, way, trials, found)
    return Match(agreement=Agreement.EQUAL, value=value, way=way, errors=(0.0,))


def _replace(blob: str, value: str, way: Arrangement, trials: Sequence[Trial], found: Walk) -> None:
    """Put an ONNX value in the place of a blob, for all trials."""
    for trial, known in zip(trials, found.inputs, strict=True):
        right = trial.values[value]
        shape = known.blobs[blob].shape
        same = ordered(right.shape, shape, way.axes, turns_blob=way.turns_blob)
        if same is not None:
            known.blobs[blob] = np.asarray(same.to_blob(right), np.float64)
    found.single.blobs[blob] = found.inputs[0].blobs[blob].astype(np.float32)


def vouched(graph: Param, matches: Mapping[str, Match]) -> frozenset[str]:
    """Return the blobs that are right, or that a right one further on was computed from.

    Inside a fused block no blob may be like a value of the ONNX graph. If what comes out at its
    end is, everything in between was computed as it is meant to be; unless that may be chance, as
    with outputs that are saturated.
    """
    right: set[str] = set()
    shown: set[str] = set()
    for layer in reversed(graph.layers):
        if any(matches[blob].tells or blob in shown for blob in layer.outputs):
            right.update(layer.inputs)
            shown.update(layer.inputs)
        right.update(b for b in layer.outputs if matches[b].agreement is Agreement.EQUAL)
    return frozenset(right)
