"""Where a model's files say something else than the ONNX graph, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.conversion.walk import COPIES, ModelSide, Trial, Walk, vouched, walk
from harness.analysis.mechanisms.layer_run import LayerRun
from harness.analysis.mechanisms.mechanism import explain_file
from harness.compare.matching import UNKNOWN, Agreement, Matcher
from harness.definition import NoDefinitionError, compute
from harness.model.arrangement import arrangements
from harness.model.conversion import ModelDifference

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.conversion.onnx_side import OnnxSide
    from harness.model.param import Layer

    Array = NDArray[Any]

INT8 = "the .bin has int8 weights"
HALF = "the .bin has the weights in half precision"
MAX_ROUNDS = 12
"""Differences that can be told apart where a blob is unlike what it should be."""
MAX_CANDIDATES = 24
"""ONNX values that are tried for what such a blob should hold."""
STEPS = 4
"""Nodes by which an input may lag behind what the ONNX graph feeds."""


@dataclass(frozen=True, kw_only=True)
class DifferenceFinder:
    """Everything that differences are looked for in."""

    model: ModelSide
    trials: Sequence[Trial]
    matcher: Matcher
    onnx: OnnxSide
    given: Sequence[Mapping[str, Array]]
    """Blobs whose layers have no definition, per trial."""
    limit: float
    """Scale-relative error up to which numbers are the same."""
    floors: float
    """How many times the noise floor takes its place."""

    def find(self, unsettled: frozenset[str]) -> tuple[ModelDifference, ...]:
        """Return the layers that differ, in the order of the file.

        Each is looked at with the right values at its inputs, so that one difference does not
        hide the next: what a differing layer makes is replaced by what the ONNX graph has there.

        Args:
            unsettled: layers that are not to be accused, since it is not known what they compute.
        """
        corrected: dict[str, str] = {}
        told: dict[str, ModelDifference] = {}
        for _ in range(MAX_ROUNDS):
            found = walk(
                self.model, self.trials, self.matcher, given=self.given, corrected=corrected
            )
            told |= {d.blob: d for d in self._corrected(found, corrected) if d.blob not in told}
            wrong = list(self._wrong(found, corrected))
            near = self._near(wrong, found)
            if near:
                corrected |= near
                continue
            difference = self._first(wrong[:1], found, unsettled)
            if difference is None:
                break
            told[difference.blob] = difference
            if not difference.value:
                break
            corrected[difference.blob] = difference.value
        order = {blob: at for at, blob in enumerate(self.model.graph.blobs)}
        return tuple(sorted(told.values(), key=lambda difference: order[difference.blob]))

    def _wrong(self, found: Walk, corrected: Mapping[str, str]) -> Iterator[tuple[Layer, str]]:
        """Yield the blobs that are neither right nor on the way to what is, with their layers."""
        # What was put right says nothing about what comes before it.
        computed = {**found.matches, **dict.fromkeys(corrected, UNKNOWN)}
        right = vouched(self.model.graph, computed)
        for layer in self.model.graph.layers:
            for blob in layer.outputs:
                agreement = found.matches[blob].agreement
                if agreement is not Agreement.EQUAL and blob not in right:
                    yield layer, blob

    def _near(self, wrong: Sequence[tuple[Layer, str]], found: Walk) -> dict[str, str]:
        """Return the values of the first wrong blobs, up to one that is like none."""
        near = {}
        for _, blob in wrong:
            match = found.matches[blob]
            if match.agreement is not Agreement.NEAR:
                break
            near[blob] = match.value
        return near

    def _first(
        self, wrong: Sequence[tuple[Layer, str]], found: Walk, unsettled: frozenset[str]
    ) -> ModelDifference | None:
        """Return what is wrong with the first blob that is unlike what it should be.

        None where it is not known what its layer computes, or where all blobs are right, but the
        model ends before the ONNX graph does.
        """
        for layer, blob in wrong:
            known = found.matches[blob].agreement is not Agreement.UNKNOWN
            doubtful = layer.name in unsettled or layer.name in found.reasons
            return self._explained(layer, blob, found) if known and not doubtful else None
        return self._cut_off(found)

    def _cut_off(self, found: Walk) -> ModelDifference | None:
        """Describe a model that ends with a value which the ONNX graph does not end with."""
        values = self.trials[0].values
        held = {match.value for match in found.matches.values() if match.value}
        # What an Identity makes is as good as what goes into it.
        held |= {o for o in self.onnx.outputs if any(_same(values, o, name) for name in held)}
        consumed = {blob for layer in self.model.graph.layers for blob in layer.inputs}
        missing = [o for o in self.onnx.outputs if o in values and o not in held]
        for layer in self.model.graph.layers:
            for blob in layer.outputs:
                value = found.matches[blob].value
                if blob in consumed or value in self.onnx.outputs:
                    continue
                for output in missing:
                    if self.onnx.ancestry.follows(output, [value]):
                        return self._ending(layer, blob, value, output)
        return None

    def _ending(self, layer: Layer, blob: str, value: str, output: str) -> ModelDifference:
        return ModelDifference(
            layer=layer.name,
            type=layer.type,
            blob=blob,
            node=self.onnx.node_of(output),
            explanation=(
                f"the model ends with '{value}', where the ONNX graph goes on to '{output}'"
            ),
        )

    def _corrected(self, found: Walk, corrected: Mapping[str, str]) -> Iterator[ModelDifference]:
        """Yield the corrected layers whose own computation differs, with right inputs."""
        for layer in self.model.graph.layers:
            for blob in layer.outputs:
                error = found.local.get(blob)
                if error is None or error <= max(
                    self.limit, self.floors * found.floors.get(blob, 0.0)
                ):
                    continue
                yield self._difference(layer, blob, corrected[blob], error, found)

    def _difference(
        self, layer: Layer, blob: str, value: str, error: float, found: Walk
    ) -> ModelDifference:
        case = self._case(layer, value, found)
        return ModelDifference(
            layer=layer.name,
            type=layer.type,
            blob=blob,
            value=value,
            node=self.onnx.node_of(value),
            error=error,
            ours=_range(case.exact) if case else "",
            theirs=_range(self.trials[0].values[value]),
            explanation=self._words(case) if case else "",
        )

    def _explained(self, layer: Layer, blob: str, found: Walk) -> ModelDifference:
        """Describe a layer whose output is like no value, and what it should be if that shows."""
        ours = found.inputs[0].blobs[blob]
        fallback = ModelDifference(layer=layer.name, type=layer.type, blob=blob, ours=_range(ours))
        cases = {
            value: case
            for value in self._candidates(layer, ours, found)
            if (case := self._case(layer, value, found)) is not None
        }
        for value, case in cases.items():
            behind = self._lagging(layer, value, found)
            if behind is not None:
                return behind
            words = self._words(case)
            if words:
                error = case.error(case.exact, case.expected)
                return self._difference(layer, blob, value, error, found).model_copy(
                    update={"explanation": words}
                )
        nearest = min(
            cases, key=lambda value: cases[value].error(cases[value].exact, cases[value].expected),
            default="",
        )  # fmt: skip
        users = [n.output[0] for name in self._held(layer, found) for n in self.onnx.users[name]]
        return fallback.model_copy(
            update={
                "node": self.onnx.node_of(nearest) or ", ".join(map(self.onnx.node_of, users[:2])),
                "theirs": _range(self.trials[0].values[nearest]) if nearest else "",
            }
        )

    def _candidates(self, layer: Layer, ours: Array, found: Walk) -> list[str]:
        """Return ONNX values that a blob may be meant to hold, in the order of the graph."""
        held = {match.value for match in found.matches.values() if match.value}
        above = self._held(layer, found)
        values = self.trials[0].values
        return [
            name
            for name in self.onnx.ancestry.sources
            if name in values
            and name not in held
            and values[name].dtype.kind == "f"
            and self.onnx.ancestry.follows(name, above)
            and next(arrangements(values[name].shape, ours.shape), None) is not None
        ][:MAX_CANDIDATES]

    def _held(self, layer: Layer, found: Walk) -> list[str]:
        """Return the ONNX values that a layer's inputs hold, as far as that is known."""
        held = (found.matches[name].value for name in layer.inputs)
        return [value for value in held if value in self.onnx.users]

    def _case(self, layer: Layer, value: str, found: Walk) -> LayerRun | None:
        """Return a layer on right inputs, beside the ONNX value that its output should be."""
        known = found.inputs[0].blobs
        tensors = self.model.tensors.get(layer.name, {})
        if len(layer.outputs) != 1 or any(name not in known for name in layer.inputs):
            return None
        inputs = [known[name] for name in layer.inputs]
        try:
            (exact,) = compute(layer, tensors, inputs)
        except NoDefinitionError:
            return None
        wanted = self.trials[0].values[value]
        ways = [way.to_blob(wanted) for way in arrangements(wanted.shape, exact.shape)]
        if not ways:
            return None
        expected = min(ways, key=lambda way: float(np.abs(way - exact).max(initial=0)))
        return LayerRun(
            layer=layer,
            weights=tensors,
            inputs=inputs,
            output=exact,
            expected=np.asarray(expected, np.float64),
            initialisers=self.onnx.constants,
        )

    def _words(self, case: LayerRun) -> str:
        if _explains_rounding(case):
            return HALF
        if _explains_int8(case):
            return INT8
        found = explain_file(case, floors=self.floors, limit=self.limit)
        if found.explained and found.mechanism.startswith("epsilon"):
            return f"with {found.mechanism} it is right"
        return found.mechanism if found.explained else ""

    def _lagging(self, layer: Layer, value: str, found: Walk) -> ModelDifference | None:
        """Describe the layer before, if the ONNX graph goes on with something later than it makes.

        What it makes is a value of the graph, so that nothing seemed wrong with it; but with what
        follows from that value the layer at hand would give what it should.
        """
        known = found.inputs[0].blobs
        tensors = self.model.tensors.get(layer.name, {})
        for place, name in enumerate(layer.inputs):
            held = found.matches[name].value
            for later in self.onnx.steps_after(held, STEPS) if held else ():
                array = self.trials[0].values.get(later)
                if array is None or array.size != known[name].size or later == value:
                    continue
                inputs = [known[each] for each in layer.inputs]
                inputs[place] = array.reshape(known[name].shape).astype(np.float64)
                try:
                    (output,) = compute(layer, tensors, inputs)
                except (NoDefinitionError, ValueError):
                    continue
                error, _ = self.matcher.error_at(value, [output])
                if error <= self.limit:
                    return self._behind(name, later, held, found)
        return None

    def _behind(self, blob: str, later: str, held: str, found: Walk) -> ModelDifference:
        """Describe the layer that makes a blob which holds a value that is too early."""
        layer = self._maker(blob)
        case = self._case(layer, later, found)
        error = case.error(case.exact, case.expected) if case else None
        words = (self._words(case) if case else "") or (
            f"it gives '{held}', where the ONNX graph goes on with '{later}'"
        )
        return ModelDifference(
            layer=layer.name,
            type=layer.type,
            blob=layer.outputs[0],
            value=later,
            node=self.onnx.node_of(later),
            error=error,
            ours=_range(found.inputs[0].blobs[blob]),
            theirs=_range(self.trials[0].values[later]),
            explanation=words,
        )

    def _maker(self, blob: str) -> Layer:
        """Return the layer that computes a blob, past copies."""
        makers = {name: layer for layer in self.model.graph.layers for name in layer.outputs}
        layer = makers[blob]
        while layer.type in COPIES:
            layer = makers[layer.inputs[0]]
        return layer


def _explains_int8(case: LayerRun) -> bool:
    """Return whether rounding to int8 moves the weights by as much as is missing.

    The layer is computed in floats, on its weights divided by their scales: each is off by at most
    half a step, so that a sum of products wx is off by at most half a step times the sum of |x|.
    (What int8 does to the inputs comes on top of it when ncnn runs.)
    """
    weight, scale = case.weights.get("weight"), case.weights.get("weight_scale")
    if weight is None or scale is None or weight.dtype != np.int8:
        return False
    steps = 1 / scale.astype(np.float64).reshape(-1, *(1,) * (weight.ndim - 1))
    plain = case.layer.with_param(8, 0)
    others = {k: v for k, v in case.weights.items() if not k.endswith("_scale")}
    halves = np.broadcast_to(steps / 2, weight.shape)
    none = {**others, "weight": halves} | ({"bias": 0 * others["bias"]} if "bias" in others else {})
    try:
        (y,) = compute(plain, {**others, "weight": weight * steps}, case.inputs)
        bare = plain.with_param(9, 0) if plain.integer(9, 0) else plain
        (most,) = compute(bare, none, [np.abs(array) for array in case.inputs])
    except NoDefinitionError:
        return False
    return bool(np.all(np.abs(y - case.expected) <= 1.1 * most + case.scale * 1e-5))


def _same(values: Mapping[str, Array], one: str, other: str) -> bool:
    return one in values and np.array_equal(values[one].ravel(), values[other].ravel())


def _explains_rounding(case: LayerRun) -> bool:
    """Return whether weights stored in half precision cost at most as much as is missing.

    A weight w becomes w(1+e) with |e| up to 2^-11, so that a sum of products wx moves by up to
    2^-11 times the sum of |wx|. Activations in ncnn move by no more than what goes in, Swish and
    its like by a tenth more.
    """
    if not any(array.dtype == np.float16 for array in case.weights.values()):
        return False
    absolute = {name: np.abs(array.astype(np.float64)) for name, array in case.weights.items()}
    bare = case.layer.with_param(9, 0) if case.layer.integer(9, 0) else case.layer
    try:
        (sums,) = compute(bare, absolute, [np.abs(array) for array in case.inputs])
    except NoDefinitionError:
        return False
    most = float(np.abs(sums).max(initial=0)) * 2.0**-11 * 1.1
    return case.error(case.exact, case.expected) * case.scale <= most


def _range(array: Array) -> str:
    return f"{float(array.min()):.3g} to {float(array.max()):.3g}"
