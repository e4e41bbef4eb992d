"""Where a model's files say something else than the ONNX graph, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from harness.analysis.conversion.explanations import explained
from harness.analysis.conversion.operands import Operand, OperandSearch
from harness.analysis.conversion.walk import COPIES, ModelSide, Trial, Walk, vouched, walk
from harness.analysis.mechanisms.layer_run import LayerRun
from harness.analysis.mechanisms.model_files import OTHER
from harness.compare.matching import UNKNOWN, Agreement, Matcher
from harness.definition import NoDefinitionError, compute
from harness.model.conversion import ModelDifference
from harness.model.integer_blobs import MOVERS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.conversion.onnx_side import OnnxSide
    from harness.model.param import Layer

    Array = NDArray[Any]

MAX_ROUNDS = 12
"""Differences that can be told apart where a blob is unlike what it should be."""
MAX_CANDIDATES = 24
"""ONNX values that are tried for what such a blob should hold."""
PASSED = MOVERS | frozenset(COPIES)
"""Layers that hand on elements without computing anything."""
INNOCENT = (*COPIES, "Input", "MemoryData")
"""Layers that compute nothing: what is wrong with their blobs shows at who made or takes them."""


class _Reason(NamedTuple):
    """What in a layer's own files explains that it does not give a value."""

    case: LayerRun | None
    """The layer on right inputs, beside that value; None where it cannot be computed."""
    words: str
    """Empty where nothing explains it."""

    @property
    def error(self) -> float | None:
        """Scale-relative error of the layer against the value."""
        return self.case.error(self.case.exact, self.case.expected) if self.case else None


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
        hide the next and nobody answers for what comes before: where a blob holds an ONNX value it
        is replaced by just that, and what a differing layer makes by what the ONNX graph has there.

        Args:
            unsettled: layers that are not to be accused, since it is not known what they compute.
        """
        corrected: dict[str, str] = {}
        told: dict[str, ModelDifference] = {}
        for _ in range(MAX_ROUNDS):
            found = walk(
                self.model,
                self.trials,
                self.matcher,
                given=self.given,
                corrected=corrected,
                exact=True,
            )
            told |= {d.blob: d for d in self._corrected(found, corrected, told)}
            wrong = list(self._wrong(found, corrected))
            near = self._near(wrong, found)
            if near:
                corrected |= near
                continue
            difference = self._first(wrong[:1], found, unsettled)
            if difference is None or corrected.get(difference.blob) == difference.value != "":
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
            for blob in () if layer.type in INNOCENT else layer.outputs:
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
        missing = [
            output
            for output in self.onnx.outputs
            if output in values and not any(same_numbers(values, output, name) for name in held)
        ]
        ends = self.model.graph.ends
        for layer in self.model.graph.layers:
            for blob in layer.outputs:
                value = found.matches[blob].value
                if blob not in ends or value in self.onnx.outputs:
                    continue
                for output in missing:
                    if value and self.onnx.ancestry.follows(output, [value]):
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

    def _corrected(
        self, found: Walk, corrected: Mapping[str, str], told: Collection[str]
    ) -> Iterator[ModelDifference]:
        """Yield corrected layers not yet told whose own computation differs, with right inputs."""
        for layer in self.model.graph.layers:
            for blob in layer.outputs:
                error = found.local.get(blob)
                allowed = max(self.limit, self.floors * found.floors.get(blob, 0.0))
                if blob not in told and error is not None and error > allowed:
                    reason = self._reason(layer, corrected[blob], found)
                    yield self._difference(layer, blob, corrected[blob], error, reason, found)

    def _reason(self, layer: Layer, value: str, found: Walk) -> _Reason:
        case = self._case(layer, value, found)
        words = explained(case, limit=self.limit, floors=self.floors) if case else ""
        return _Reason(case, words)

    def _difference(
        self,
        layer: Layer,
        blob: str,
        value: str,
        error: float | None,
        reason: _Reason,
        found: Walk,
    ) -> ModelDifference:
        case, words = reason
        before = "" if words else self._before(layer, found)
        return ModelDifference(
            layer=layer.name,
            type=layer.type,
            blob=blob,
            value=value,
            node=self.onnx.node_of(value),
            error=error,
            ours=_range(case.exact) if case and not before else "",
            theirs=_range(self.trials[0].values[value]) if not before else "",
            explanation=words or before,
        )

    def _before(self, layer: Layer, found: Walk) -> str:
        """Say who before a layer may be the reason, where its inputs are not known to be right."""
        known = found.matches
        open_ends = [b for b in layer.inputs if known[b].agreement is not Agreement.EQUAL]
        first = None
        while open_ends:
            maker = self._maker(open_ends[0], COPIES)
            if maker.type in INNOCENT:
                break
            first = maker
            open_ends = [b for b in maker.inputs if known[b].agreement is not Agreement.EQUAL]
        return (
            f"it, or a layer before it from {first.type} {first.name} on, is wrong" if first else ""
        )

    def _explained(self, layer: Layer, blob: str, found: Walk) -> ModelDifference:
        """Describe a layer whose output is like no value, and what it should be if that shows."""
        ours = found.inputs[0].blobs[blob]
        last_resort = None
        for value in self._candidates(layer, ours, found):
            operand = self._operand(layer, blob, value, found)
            if operand is not None:
                return self._with_operand(layer, blob, value, operand, found)
            reason = self._reason(layer, value, found)
            if reason.words:
                difference = self._difference(layer, blob, value, reason.error, reason, found)
                # With another tensor altogether, any product is right that takes the same input.
                if OTHER not in reason.words:
                    return difference
                last_resort = last_resort or difference
        return last_resort or self._unexplained(layer, blob, found)

    def _unexplained(self, layer: Layer, blob: str, found: Walk) -> ModelDifference:
        """Describe a layer of which only the place is known: it, or what follows, is wrong."""
        held = self._held(layer, found)
        ends = [value for value in held if value in self.onnx.outputs]
        users = [node.output[0] for name in held for node in self.onnx.users.get(name, ())]
        last = self._last(layer, found)
        if ends and not users:
            words = f"it goes on after '{ends[0]}', with which the ONNX graph ends"
        elif last is not layer:
            words = f"it, or a layer after it up to {last.type} {last.name}, is wrong"
        else:
            words = ""
        return ModelDifference(
            layer=layer.name,
            type=layer.type,
            blob=blob,
            node=", ".join(dict.fromkeys(map(self.onnx.node_of, users[:2]))),
            explanation=words,
        )

    def _last(self, layer: Layer, found: Walk) -> Layer:
        """Return the last of the layers after one whose outputs are like no value either."""
        users: dict[str, list[Layer]] = {}
        for each in self.model.graph.layers:
            for blob in each.inputs:
                users.setdefault(blob, []).append(each)
        while True:
            after = [user for blob in layer.outputs for user in users.get(blob, ())]
            if len(after) != 1 or after[0].type in COPIES:
                return layer
            states = {found.matches[blob].agreement for blob in after[0].outputs}
            if not states <= {Agreement.UNLIKE, Agreement.UNKNOWN}:
                return layer
            layer = after[0]

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
            and values[name].size == ours.size
            and any(self.onnx.ancestry.follows(name, [value]) for value in above)
        ][:MAX_CANDIDATES]

    def _held(self, layer: Layer, found: Walk) -> list[str]:
        """Return the ONNX values that a layer's inputs hold, as far as that is known."""
        held = (found.matches[name].value for name in layer.inputs)
        return [value for value in held if value]

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
        _, way = self.matcher.error_at(value, [exact])
        if way is None:
            return None
        return LayerRun(
            layer=layer,
            weights=tensors,
            inputs=inputs,
            output=exact,
            expected=np.asarray(way.to_blob(self.trials[0].values[value]), np.float64),
            initialisers=self.onnx.constants,
        )

    def _operand(self, layer: Layer, blob: str, value: str, found: Walk) -> Operand | None:
        """Return the input with another content of which a layer gives a value."""
        if any(name not in each.blobs for each in found.inputs for name in layer.inputs):
            return None
        place = layer.outputs.index(blob)

        def is_right(outputs: Sequence[Sequence[Array]]) -> bool:
            error, _ = self.matcher.error_at(value, [each[place] for each in outputs])
            return error <= self.limit

        return OperandSearch(
            layer=layer,
            tensors=self.model.tensors.get(layer.name, {}),
            wanted=value,
            tells=self.matcher.tells(value),
            found=found,
            trials=self.trials,
            onnx=self.onnx,
            is_right=is_right,
        ).first()

    def _with_operand(
        self, layer: Layer, blob: str, value: str, operand: Operand, found: Walk
    ) -> ModelDifference:
        """Describe the layer that takes something wrong, or the one before it, which makes it."""
        held = found.matches[operand.blob].value
        moved = operand.kind == "later" and self._is_moved(held, operand.value)
        if moved or operand.kind == "turned":
            return self._turning(operand, held, found)
        maker = self._maker(operand.blob, PASSED)
        if operand.kind == "later" and maker.type not in INNOCENT and self._is_passed(held):
            return self._too_early(maker, operand, held, found)
        return ModelDifference(
            layer=layer.name,
            type=layer.type,
            blob=blob,
            value=value if len(layer.outputs) == 1 else "",
            node=self.onnx.node_of(value),
            explanation=self._taking(operand, held, maker),
        )

    def _taking(self, operand: Operand, held: str, maker: Layer) -> str:
        node = self.onnx.node_of(operand.value)
        made = f" ({node})" if node else ""
        ours = f"'{held}'" if held else f"what {maker.type} {maker.name} gives"
        return f"it takes {ours}, where the ONNX graph takes '{operand.value}'{made}"

    def _too_early(self, maker: Layer, operand: Operand, held: str, found: Walk) -> ModelDifference:
        """Describe a layer whose output the ONNX graph does something to before it is used."""
        reason = self._reason(maker, operand.value, found)
        difference = self._difference(
            maker, maker.outputs[0], operand.value, reason.error, reason, found
        )
        words = difference.explanation or (
            f"it gives '{held}', where the ONNX graph goes on with '{operand.value}'"
        )
        return difference.model_copy(update={"explanation": words})

    def _maker(self, blob: str, passed: Collection[str]) -> Layer:
        """Return the layer that computes a blob, past layers of some types."""
        makers = {name: layer for layer in self.model.graph.layers for name in layer.outputs}
        layer = makers[blob]
        while layer.type in passed:
            layer = makers[layer.inputs[0]]
        return layer

    def _is_passed(self, value: str) -> bool:
        """Whether a single node of the ONNX graph takes a value: nobody else has a use for it."""
        return len(self.onnx.users.get(value, ())) == 1 and value not in self.onnx.outputs

    def _is_moved(self, one: str, other: str) -> bool:
        """Whether one value has the elements of another in another order."""
        values = self.trials[0].values
        return np.array_equal(np.sort(values[one].ravel()), np.sort(values[other].ravel()))

    def _turning(self, operand: Operand, held: str, found: Walk) -> ModelDifference:
        """Describe the layer that puts elements into another order than the ONNX graph."""
        maker = self._maker(operand.blob, COPIES)
        way = found.matches[operand.blob].way
        if operand.kind == "turned":
            words = f"it turns '{held}': {way.words if way else ''}"
        else:
            words = f"it gives '{held}', where the ONNX graph goes on with '{operand.value}'"
        return ModelDifference(
            layer=maker.name,
            type=maker.type,
            blob=maker.outputs[0],
            node=self.onnx.node_of(operand.value),
            explanation=words,
        )


def same_numbers(values: Mapping[str, Array], one: str, other: str) -> bool:
    """Return whether two ONNX values are the same numbers, whatever their shapes."""
    if one not in values or other not in values:
        return False
    return one == other or np.array_equal(values[one].ravel(), values[other].ravel())


def _range(array: Array) -> str:
    return f"{float(array.min()):.3g} to {float(array.max()):.3g}"
