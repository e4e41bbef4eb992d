"""What may be wrong, and in which cells it is: the facts that all statements rest on.

A symptom is looked at by itself, so that independent causes stay apart: each layer's loss of
precision, each layer's wrong values, an output that is off without a layer that is, a run that
dies. In a cell it is there, or not there, or unknown; of what is unknown nothing is concluded.
"""

from __future__ import annotations

import math
from collections import defaultdict
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from harness.domain.records import Failure, Verdict
from harness.domain.verdict import excess, own_excess, worst_output

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.domain.records import CellRecord, LayerRecord, Metrics
    from harness.domain.verdict import Tolerance

CONTRAST = 2.0
"""How many times smaller an error must become for a change to count: by a bit at least. Less is
what another order of the same sums does, so that near a limit it decides nothing."""


class Level(StrEnum):
    """How something is wrong."""

    PRECISION = "precision"
    """A layer by itself is beyond its limit."""
    VALUES = "values"
    """A layer by itself gives NaN, infinities, or errors as large as its largest value."""
    OUTPUT = "output"
    """Something in the chain is beyond its limit, and no layer by itself is."""
    RUN = "run"
    """The run ends without numbers."""


class Symptom(NamedTuple):
    """One thing that is wrong in some cells."""

    level: Level
    layer_type: str = ""
    layer: str = ""
    blob: str = ""


class Observation(NamedTuple):
    """A symptom in one cell."""

    faulty: bool
    excess: float
    """Error in units of its limit."""
    error: float
    """Scale-relative error of the layer by itself, or of the output; infinite for NaN."""
    chain: float
    """The same in the chain as it runs."""
    masked: bool = False
    """Whether values are wrong, so that nothing more is known of their precision."""

    def clears(self, bad: Observation) -> bool:
        """Return whether the symptom is gone here, by more than chance, that is there in `bad`."""
        return not self.faulty and bad.excess >= CONTRAST * self.excess


Observed = dict[Symptom, dict[str, Observation]]
"""Observations by symptom and id of the cell."""


def observe(records: Iterable[CellRecord], tolerance: Tolerance) -> Observed:
    """Return in which cells each symptom is known to be there, or known not to be.

    Args:
        records: cells of one model on one machine.
        tolerance: the limits.
    """
    found: Observed = defaultdict(dict)
    for record in records:
        for symptom, observation in _in_cell(record, tolerance):
            found[symptom][record.cell] = observation
    return {symptom: cells for symptom, cells in found.items() if any(map(_counts, cells.values()))}


def _counts(seen: Observation) -> bool:
    return seen.faulty and not seen.masked


def _in_cell(record: CellRecord, tolerance: Tolerance) -> Iterator[tuple[Symptom, Observation]]:
    if died(record):
        yield Symptom(Level.RUN), Observation(True, math.inf, math.inf, math.inf)
        return
    if not is_measured(record):
        return
    yield Symptom(Level.RUN), Observation(False, 0.0, 0.0, 0.0)
    innocent = True
    for layer in record.layers:
        if layer.alone is None:
            continue
        for symptom, observation in _of_layer(layer, layer.alone, record, tolerance):
            innocent = innocent and not observation.excess > 1
            yield symptom, observation
    if record.outputs:
        yield from _of_output(record, tolerance, innocent=innocent)


def died(record: CellRecord) -> bool:
    """Return whether a cell ended without numbers by something that its settings may cause."""
    ended = (Failure.TIMEOUT, Failure.LOAD, Failure.RUN)
    return record.verdict is Verdict.BROKEN and record.failure in ended


def is_measured(record: CellRecord) -> bool:
    """Return whether a cell ran to its end, with numbers that can be relied on."""
    broken = record.verdict is Verdict.BROKEN and record.failure is None and bool(record.layers)
    return record.verdict.has_numbers or broken


def _of_layer(
    layer: LayerRecord, error: Metrics, record: CellRecord, tolerance: Tolerance
) -> Iterator[tuple[Symptom, Observation]]:
    """Yield what a layer does by itself.

    In a cell that is `ok` no layer is at fault, whatever it does alone; it is not clean then.
    """
    times = own_excess(layer, error, tolerance)
    wrong = error.is_wrong
    chain = layer.chain.scale_relative if layer.chain else error.scale_relative
    if (wrong or times > 1) and record.verdict.is_clean:
        return
    # Where only one channel is beyond its limit, its error is what is meant.
    whole = tolerance.layer_excess(error, layer.floor_alone) >= times
    size = error.scale_relative if whole else error.channel_relative
    size = math.inf if error.is_broken else size
    seen = Observation(wrong, times, size, chain)
    name = (layer.type, layer.name, layer.blob)
    yield Symptom(Level.VALUES, *name), seen
    yield Symptom(Level.PRECISION, *name), seen._replace(faulty=times > 1, masked=wrong)


def _of_output(
    record: CellRecord, tolerance: Tolerance, *, innocent: bool
) -> Iterator[tuple[Symptom, Observation]]:
    """Yield what the chain does where no layer by itself tells why."""
    blob, limit = worst_output(record.outputs, record.layers, tolerance)
    output = record.outputs[blob]
    chain = (tolerance.layer_excess(x.chain, x.floor) for x in record.layers if x.chain)
    times = max([excess(output, limit), *chain])
    faulty = not record.verdict.is_clean and innocent and times > 1
    if faulty or record.verdict.is_clean:
        seen = Observation(faulty, times, output.scale_relative, output.scale_relative)
        yield Symptom(Level.OUTPUT), seen
