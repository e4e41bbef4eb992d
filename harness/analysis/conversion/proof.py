"""The proof of a conversion: numbers of both sides, and an exact run where these do not suffice.

What ncnn's definitions give for the `.param` and `.bin` is compared with the ONNX graph, for all
inputs. Where every output of the graph is found again, the conversion is right, and nothing needs
to be built for saying so. Else an exact run of a build says who is mistaken: the model's files, a
definition here, or that version of ncnn.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.analysis.conversion.differences import DifferenceFinder, same_numbers
from harness.analysis.conversion.walk import ModelSide, Trial, Walk, vouched, walk
from harness.compare.matching import Agreement, Match, Matcher
from harness.definition import has_definition
from harness.model.alignment import Alignment, blob_key
from harness.model.conversion import Conversion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from harness.analysis.conversion.exact_run import ExactRun
    from harness.analysis.conversion.onnx_side import OnnxSide
    from harness.model.param import Layer

    Array = NDArray[Any]

MAX_RUNS = 2
"""Builds that are asked: if one is wrong itself, another version may not be."""


@dataclass(kw_only=True)
class ConversionProof:
    """One model, some inputs, and builds to ask where definitions do not settle it."""

    model: ModelSide
    trials: Sequence[Trial]
    onnx: OnnxSide | None
    """None for a model without an ONNX file."""
    exact: Callable[[], Sequence[Mapping[str, Array]] | None] = lambda: None
    """Gives the values of the ONNX graph in float64, per trial; asked where those of the trials do
    not suffice, and None where they cannot be had."""
    runs: Iterator[ExactRun]
    """Exact runs of builds; each is made when it is asked for."""
    limit: float
    """Scale-relative error up to which numbers are the same."""
    floors: float
    """How many times the noise floor takes its place, where that is larger."""
    _asked: list[ExactRun] = field(default_factory=list)
    _given: list[dict[str, Array]] = field(init=False)
    """Blobs per trial that come from an exact run, since their layers have no definition."""

    def __post_init__(self) -> None:
        """Begin with nothing taken."""
        self._given = [{} for _ in self.trials]

    def is_right(self) -> bool:
        """Whether the definitions alone show that every output of the ONNX graph is there."""
        return self._is_proved(self._first)

    def _sharpened(self) -> bool:
        """Take the ONNX values in float64, which have no error of their own, if they are there."""
        values = self.exact() if self.onnx else None
        if values is None:
            return False
        self.trials = [
            replace(trial, values={**trial.values, **known})
            for trial, known in zip(self.trials, values, strict=True)
        ]
        self.__dict__.pop("_matcher", None)
        self.__dict__.pop("_first", None)
        return True

    @cached_property
    def _first(self) -> Walk:
        """What the definitions alone give."""
        return self._walk()

    def conversion(self) -> Conversion:
        """Return what is known of the conversion."""
        if self.is_right() or (self._sharpened() and self.is_right()):
            return self._right(self._first)
        found = self._completed(self._first)
        if self._is_proved(found):
            return self._right(found)
        unsettled = self._settled()
        if unsettled is None:
            return self._unknown(found, "no build could be asked what it computes")
        found = self._walk()
        if self._is_proved(found):
            return self._right(found)
        if self.onnx is None:
            return self._as_converted(found, unsettled, ())
        finder = DifferenceFinder(
            model=self.model,
            trials=self.trials,
            matcher=self._matcher,
            onnx=self.onnx,
            given=self._given,
            limit=self.limit,
            floors=self.floors,
        )
        differences = finder.find(unsettled)
        if not differences:
            return self._unknown(found, self._doubt(unsettled, found))
        return self._as_converted(found, unsettled, differences)

    @cached_property
    def _matcher(self) -> Matcher:
        """What finds ONNX values by number."""
        assert self.onnx is not None
        values = [trial.values for trial in self.trials]
        return Matcher(values, self.onnx.ancestry, limit=self.limit, floors=self.floors)

    def _walk(self) -> Walk:
        graph = self.model.graph
        ends = frozenset(graph.ends)
        outputs = self.onnx.outputs if self.onnx else ()
        copied = {
            layer.inputs[0]
            for layer in graph.layers
            if layer.type == "Split" and not ends.isdisjoint(layer.outputs)
        }
        return walk(
            self.model,
            self.trials,
            self._matcher if self.onnx else None,
            given=self._given,
            preferred=dict.fromkeys(ends | copied, outputs),
        )

    def _is_proved(self, found: Walk) -> bool:
        """Return whether each output of the ONNX graph is where the model ends, or by its name."""
        if self.onnx is None:
            return False
        known, names = self.trials[0].values, self.model.names
        ends = self.model.graph.ends
        held = {
            match.value
            for blob, match in found.matches.items()
            if match.agreement is Agreement.EQUAL
            and (blob in ends or names.get(blob, blob) == match.value)
        }
        return all(
            any(same_numbers(known, name, value) for value in held)
            for name in self.onnx.outputs
            if name in known
        )

    def _run(self, number: int) -> ExactRun | None:
        """Return an exact run of a build, made if need be."""
        if number >= len(self._asked) and number < MAX_RUNS:
            run = next(self.runs, None)
            self._asked += [run] if run else []
        return self._asked[number] if number < len(self._asked) else None

    def _completed(self, found: Walk) -> Walk:
        """Take from an exact run what has no definition here, and go on from there."""
        layers = self.model.graph.layers
        if not any(x.name in found.reasons and not found.is_ill_formed(x) for x in layers):
            return found
        run = self._run(0)
        taken = [self._take(x, run) for x in layers if run.refuses(self.model, x)] if run else []
        return self._walk() if any(taken) else found

    def _take(self, layer: Layer, run: ExactRun) -> bool:
        """Take a layer's blobs from an exact run; return whether that is anything new."""
        if any(blob not in blobs for blobs in run.inputs for blob in layer.outputs):
            return False
        new = not set(layer.outputs) <= self._given[0].keys()
        for given, blobs in zip(self._given, run.inputs, strict=True):
            given |= {blob: blobs[blob] for blob in layer.outputs}
        return new

    def _settled(self) -> frozenset[str] | None:
        """Find out which definitions are to be trusted, and take the others' blobs from a run.

        A definition stands if a build computes the same on the same inputs. Where none does, the
        ONNX graph decides; where that does not know either, the layer is unsettled.

        Returns:
            Names of layers of which nobody knows what they should compute; None without a run.
        """
        first = self._run(0)
        if first is None:
            return None
        unsettled = set()
        found = self._walk()
        right = vouched(self.model.graph, found.matches)
        for layer in self.model.graph.layers:
            if not has_definition(layer) or right.issuperset(layer.outputs):
                continue
            if self._agreed(layer, first) is not False:
                continue
            second = self._run(1)
            if second is not None and self._agreed(layer, second):
                continue
            if self.onnx and self._is_right(layer, first):
                self._take(layer, first)
            else:
                unsettled.add(layer.name)
        return frozenset(unsettled)

    def _agreed(self, layer: Layer, run: ExactRun) -> bool | None:
        return run.agrees(self.model, layer, limit=self.limit, floors=self.floors)

    def _is_right(self, layer: Layer, run: ExactRun) -> bool:
        """Return whether what a build computed is in the ONNX graph."""
        matcher = self._matcher
        return all(
            matcher.match([blobs[blob] for blobs in run.inputs]).agreement is Agreement.EQUAL
            for blob in layer.outputs
            if all(blob in blobs for blobs in run.inputs)
        )

    def _doubt(self, unsettled: frozenset[str], found: Walk) -> str:
        """Return why nothing can be said, with the first layer that stands in the way."""
        for layer in self.model.graph.layers:
            if layer.name in unsettled:
                return f"what {layer.type} {layer.name} computes is not known for certain"
            if layer.name in found.reasons:
                return found.reasons[layer.name]
        return "the outputs differ, but no layer can be shown to be the reason"

    def _right(self, found: Walk) -> Conversion:
        """Return a conversion that is the ONNX graph."""
        right = vouched(self.model.graph, found.matches)
        made = self._made(found, [self._aligned(b, found, right) for b in self._blobs()])
        open_blobs = {a.blob for a in made.alignments if not a.source}
        unshown = [
            f"{layer.type} {layer.name}"
            for layer in self.model.graph.layers
            if self.model.tensors.get(layer.name) and not open_blobs.isdisjoint(layer.outputs)
        ]
        return made.model_copy(update={"unshown": tuple(unshown) if self._is_proved(found) else ()})

    def _unknown(self, found: Walk, why: str) -> Conversion:
        """Return a conversion of which only parts are known."""
        return self._right(found).model_copy(update={"unsettled": why})

    def _as_converted(
        self, found: Walk, unsettled: frozenset[str], differences: tuple[Any, ...]
    ) -> Conversion:
        """Return a conversion that is judged by what ncnn defines."""
        doubtful = self.model.graph.blobs_after(unsettled)
        made = self._made(found, [self._defined(b, found, doubtful) for b in self._blobs()])
        names = ", ".join(sorted(unsettled))
        return made.model_copy(
            update={
                "reference": "ncnn",
                "differences": differences,
                "unsettled": f"what {names} should compute is not known" if unsettled else "",
            }
        )

    def _made(self, found: Walk, alignments: Sequence[Alignment]) -> Conversion:
        return Conversion(
            alignments=tuple(alignments),
            misnomers=tuple(self._misnomers(found)),
            taken=tuple(self._given[0]),
            run=self._asked[0].cell if self._asked else "",
        )

    def _blobs(self) -> Iterator[tuple[int, str]]:
        for index, layer in enumerate(self.model.graph.layers):
            for blob in layer.outputs or ("",):
                yield index, blob

    def _aligned(self, place: tuple[int, str], found: Walk, right: frozenset[str]) -> Alignment:
        index, blob = place
        match = found.matches.get(blob)
        if match is None:
            return _none(place, "the layer has no output")
        if match.agreement is Agreement.EQUAL and match.value in self.trials[0].values:
            return self._holding(place, match, found)
        if blob in found.inputs[0].blobs and blob in right:
            return self._definition(place, found, "inside a block whose end is right")
        return _none(place, self._reason(index, match, found))

    def _defined(self, place: tuple[int, str], found: Walk, doubtful: frozenset[str]) -> Alignment:
        index, blob = place
        if not blob:
            return _none(place, "the layer has no output")
        if blob in doubtful:
            return _none(place, "a layer before it is not known for certain")
        if blob not in found.inputs[0].blobs:
            return _none(place, self._reason(index, found.matches[blob], found))
        match = found.matches[blob]
        if match.agreement is Agreement.EQUAL:
            held = self._holding(place, match, found)
            defined = self._definition(place, found, held.sure)
            return replace(defined, value=match.value)
        return self._definition(place, found, "what ncnn defines for the model as converted")

    def _holding(self, place: tuple[int, str], match: Match, found: Walk) -> Alignment:
        index, blob = place
        assert match.way is not None
        named = self.model.names.get(blob, "")
        how = "mapped" if named == match.value else "name" if blob == match.value else "value"
        equals = f", equal values: {match.equals} more" if match.equals else ""
        words = f"error {match.error:.0e} over {len(self.trials)} inputs{equals}"
        return Alignment(
            layer_index=index,
            blob=blob,
            value=match.value,
            source="onnx",
            key=match.value,
            how=how,
            sure=", ".join(filter(None, (words, match.way.words))),
            order=() if match.way.is_plain else match.way.axes,
            turns_blob=not match.way.is_plain and match.way.turns_blob,
            shape=found.inputs[0].blobs[blob].shape,
        )

    def _definition(self, place: tuple[int, str], found: Walk, sure: str) -> Alignment:
        index, blob = place
        taken = blob in self._given[0]
        return Alignment(
            layer_index=index,
            blob=blob,
            source="ncnn",
            key=blob_key(blob),
            how="definition",
            sure=f"from {self._asked[0].cell}" if taken else sure,
            shape=found.inputs[0].blobs[blob].shape,
        )

    def _reason(self, index: int, match: Match, found: Walk) -> str:
        layer = self.model.graph.layers[index]
        if layer.name in found.reasons:
            return found.reasons[layer.name]
        if match.agreement is Agreement.UNKNOWN:
            return "a layer before it has no definition here"
        return "no ONNX value has these numbers, and nothing shows that they are right"

    def _misnomers(self, found: Walk) -> Iterator[str]:
        """Yield the blobs that have the name of a value which they do not hold."""
        if self.onnx is None:
            return
        known: Mapping[str, Array] = self.trials[0].values
        for blob, match in found.matches.items():
            named = self.model.names.get(blob, blob)
            if match.agreement is not Agreement.EQUAL or named == match.value or named not in known:
                continue
            relation = self.onnx.between(named, match.value)
            yield (
                f"'{named}' is {relation} in the ONNX file; the blob '{blob}' holds '{match.value}'"
            )


def _none(place: tuple[int, str], note: str) -> Alignment:
    return Alignment(layer_index=place[0], blob=place[1], how="none", note=note)
