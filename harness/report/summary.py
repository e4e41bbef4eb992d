"""What a part of the records says: counts, causes, remarks, and rows of the table."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.attribution.causes import Cause, attribute
from harness.domain.formatting import latency, number
from harness.domain.records import CellRecord, Verdict
from harness.report.record_values import own_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.domain.records import BuildRecord
    from harness.domain.verdict import Tolerance

COLUMNS = (
    "build",
    "run",
    "input",
    "verdict",
    "output max abs",
    "worst layer alone",
    "its error",
    "ms",
    "text",
)


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a finished matrix says."""

    records: tuple[CellRecord, ...]
    causes: tuple[Cause, ...]

    @property
    def counts(self) -> dict[Verdict, int]:
        """How many cells got each verdict, in the order of `Verdict`."""
        found = Counter(record.verdict for record in self.records)
        return {verdict: found[verdict] for verdict in Verdict if found[verdict]}

    @property
    def headline(self) -> str:
        """The counts in one line."""
        parts = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items())
        known = sum(bool(record.recalled) for record in self.records)
        recalled = f" ({known} measured before; --fresh measures anew)" if known else ""
        return f"{len(self.records)} cells: {parts or 'none'}{recalled}"

    @property
    def has_findings(self) -> bool:
        """Whether any cell's verdict is a finding, or none could be measured."""
        return any(r.verdict.is_finding for r in self.records) or Verdict.OK not in self.counts

    @property
    def model_notes(self) -> tuple[str, ...]:
        """What was found about the model's files: it does not depend on any build."""
        return tuple(dict.fromkeys(note for r in self.records for note in r.model_notes))

    @property
    def explanations(self) -> dict[str, list[str]]:
        """Reasons of other cells without numbers, each with the ids of its cells."""
        reasons: dict[str, list[str]] = {}
        for record in self.records:
            if not record.verdict.has_numbers and record.verdict is not Verdict.UNSTABLE:
                reasons.setdefault(f"{record.verdict}: {record.reason}", []).append(record.cell)
        return reasons

    @property
    def unstable(self) -> dict[str, list[str]]:
        """What differs where a cell is measured once more, each with the ids of its cells."""
        return self._instabilities(spoils=True)

    @property
    def threads(self) -> dict[str, list[str]]:
        """What differs beyond its limit with one thread, each with the ids of its cells."""
        return self._instabilities(spoils=False)

    def _instabilities(self, *, spoils: bool) -> dict[str, list[str]]:
        notes: dict[str, list[str]] = {}
        for record in self.records:
            found = record.instability
            if found and found.spoils == spoils:
                notes.setdefault(found.sentence, []).append(record.cell)
        return notes

    @property
    def ineffective(self) -> dict[str, list[str]]:
        """Flags that had no effect, each with the ids of its builds."""
        return self._builds(lambda build: build.ineffective)

    @property
    def untrimmed(self) -> dict[str, list[str]]:
        """Why builds have all layers, each reason with the ids of its builds."""
        return self._builds(lambda build: (build.untrimmed,) if build.untrimmed else ())

    def _builds(self, notes_of: Callable[[BuildRecord], tuple[str, ...]]) -> dict[str, list[str]]:
        notes: dict[str, list[str]] = {}
        for record in self.records:
            for note in notes_of(record.build):
                builds = notes.setdefault(note, [])
                if record.build.id not in builds:
                    builds.append(record.build.id)
        return notes

    @property
    def sections(self) -> tuple[tuple[str, dict[str, list[str]]], ...]:
        """Remarks besides the causes: a heading, and notes with the ids that each is about."""
        return (
            ("Unstable cells", self.unstable),
            ("Other results with 1 thread", self.threads),
            ("Cells without numbers", self.explanations),
            ("Flags without effect", self.ineffective),
            ("Builds with all layers", self.untrimmed),
            ("Vulkan devices", self.devices),
        )

    @property
    def devices(self) -> dict[str, list[str]]:
        """What ran on which Vulkan device, and what fell back to the CPU, each with its cells."""
        notes: dict[str, list[str]] = {}
        for record in self.records:
            places = {layer.index: layer for layer in record.layers if layer.device}
            if places:
                back = Counter(p.type for p in places.values() if p.device == "cpu")
                fallen = ", ".join(f"{count} {kind}" for kind, count in sorted(back.items()))
                device = record.machine.get("vulkan device_name", "an unnamed device")
                where = f"; on the CPU instead: {fallen}" if fallen else ""
                done = len(places) - back.total()
                note = f"{done} of {len(places)} layers on {device}{where}"
                notes.setdefault(note, []).append(record.cell)
        return notes


def summarise(
    records: Sequence[CellRecord], tolerance: Tolerance, experiments: Sequence[CellRecord] = ()
) -> Summary:
    """Return what records say, with the causes among them, which experiments help to prove.

    Args:
        records: the cells of one model on one machine.
        tolerance: the limits beyond which something is at fault.
        experiments: cells beside the table, those of other machines included.
    """
    causes = attribute([*records, *experiments], tolerance)
    return Summary(records=tuple(records), causes=causes)


def row(record: CellRecord) -> tuple[str, ...]:
    """Return the texts of one table row, in the order of `COLUMNS`."""
    at_fault = max(
        (layer for layer in record.layers if own_error(layer) is not None),
        key=lambda layer: own_error(layer) or 0.0,
        default=None,
    )
    return (
        f"{record.version}-{record.flags}",
        record.way,
        record.input,
        str(record.verdict),
        number(record.output.max_abs) if record.output else "",
        f"{at_fault.type} {at_fault.name}" if at_fault else "",
        number(own_error(at_fault) or 0.0) if at_fault else "",
        latency(record.latency_ms, record.slowest_ms),
        record.text,
    )
