"""What is known of a conversion: which blob holds which value, and where the two sides differ."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from harness.domain.base import StoredValue
from harness.domain.formatting import count, number
from harness.model.alignment import Alignment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_NAMES = 4
"""Misleading names that are listed one by one."""


class ModelDifference(StoredValue):
    """One layer that does not compute what the ONNX graph has there."""

    layer: str
    """Name of the layer."""
    type: str
    blob: str
    value: str = ""
    """The ONNX value that the blob should hold; empty where that is not known."""
    node: str = ""
    """What computes this value in the ONNX graph, in words."""
    error: float | None = None
    """Scale-relative error of the layer by its own definition, on the right inputs."""
    ours: str = ""
    theirs: str = ""
    """What both sides compute there, in words."""
    explanation: str = ""
    """Which tensor or parameter differs, where a change of it was proved to end the difference."""

    @property
    def sentence(self) -> str:
        """What differs and where, with the numbers."""
        place = f"{self.type} {self.layer} is not what the ONNX file has there"
        node = f"{self.node}, value '{self.value}'" if self.value else self.node
        words = f"{place} ({node})" if node else place
        error = f": scale-relative error {number(self.error)}" if self.error is not None else ""
        ranges = f"; {self.ours} instead of {self.theirs}" if self.ours and self.theirs else ""
        reason = f"; {self.explanation}" if self.explanation else ""
        return f"{words}{error}{reason}{ranges}"


class Conversion(StoredValue):
    """How the ncnn files stand to the ONNX file they were converted from."""

    alignments: tuple[Alignment, ...] = ()
    """One entry per output blob, in the order of the `.param` file; a layer without outputs has
    one with an empty blob."""
    reference: Literal["onnx", "ncnn"] = "onnx"
    """Against what layers are judged: the ONNX graph, or the model as converted."""
    differences: tuple[ModelDifference, ...] = ()
    """Where the files say something else than the ONNX graph, in the order of the `.param`."""
    unshown: tuple[str, ...] = ()
    """Layers with weights of which the outputs, though right, do not show that they are."""
    misnomers: tuple[str, ...] = ()
    """Blobs with the name of an ONNX value that they do not hold, in words."""
    unsettled: str = ""
    """Why it could not be decided whether the conversion is right; empty where it could."""
    taken: tuple[str, ...] = ()
    """Blobs whose values come from ncnn itself, since their layers have no definition here."""
    run: str = ""
    """The cell that values were taken from or compared with, where one was needed."""

    @property
    def reference_words(self) -> str:
        """What layers are judged against, for people."""
        if self.reference == "onnx":
            return "the ONNX file, evaluated by ONNX Runtime"
        taken = f", {count(len(self.taken), 'blob')} as {self.run} gave them" if self.taken else ""
        return f"the .param and .bin by ncnn's own definitions in float64{taken}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found about the model's files: differences, wrong names, open questions."""
        notes = list(_summed_up(self.differences))
        if self.unsettled:
            notes.append(f"Whether the conversion is right is not settled: {self.unsettled}.")
        if self.unshown:
            names = ", ".join(self.unshown[:MAX_NAMES])
            cut = ", …" if len(self.unshown) > MAX_NAMES else ""
            notes.append(
                "The outputs are right, but too much of them is saturated or constant to tell "
                f"about {count(len(self.unshown), 'layer')}: {names}{cut}."
            )
        shown = self.misnomers[:MAX_NAMES]
        more = len(self.misnomers) - len(shown)
        notes += shown
        if more:
            notes.append(f"{count(more, 'more blob')} with the name of a value it does not hold")
        return tuple(notes)

    @property
    def differs(self) -> bool:
        """Whether the files are known to be another model than the ONNX file."""
        return bool(self.differences)


def _summed_up(differences: Iterable[ModelDifference]) -> Iterator[str]:
    """Yield one sentence per difference, or one for all with the same explanation."""

    def kind(difference: ModelDifference) -> str:
        # Which tensor it is does not matter for what is the matter with it.
        return re.sub(r"'[^']*'", "…", difference.explanation) or difference.layer

    for explanation, group in groupby(sorted(differences, key=kind), key=kind):
        found = list(group)
        if len(found) == 1:
            yield found[0].sentence
            continue
        types = [difference.type for difference in found]
        counts = ", ".join(f"{types.count(name)} {name}" for name in dict.fromkeys(types))
        worst = max(difference.error or 0.0 for difference in found)
        yield f"{counts}: {explanation}; scale-relative error up to {number(worst)}"
