"""Where a bisection measures when there is a cluster: several revisions at the same time."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.analysis.bisection.bed import LocalBed, Tried, failed, stamped
from harness.cluster.parcel import packed, unpacked
from harness.cluster.team import GivenUpError
from harness.cluster.unit import signed, station_of
from harness.execution.engine import ModelAtHand

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from distributed import Future

    from harness.analysis.bisection.bed import Trial, Variant
    from harness.cluster.parcel import Parcel
    from harness.cluster.team import Errand, Team
    from harness.cluster.unit import Settings
    from harness.domain.records import CellRecord
    from harness.domain.spec import FlagSet

Key = tuple[str, "Variant", str, tuple[str, ...]]
"""Point, how it is compiled and run, and the model with the layers that count."""


@dataclass(frozen=True, kw_only=True)
class ClusterBed:
    """A team of workers, each of which makes one trial at a time."""

    team: Team
    _under_way: dict[Key, Errand] = field(default_factory=dict, repr=False)
    _homes: dict[tuple[str, FlagSet], str] = field(default_factory=dict, repr=False)
    """Address of the worker that has built a revision, by point and flag set."""

    @property
    def width(self) -> int:
        """How many trials are made at the same time."""
        return max(1, len(self.team.members()))

    def conditions(self, flags: FlagSet) -> dict[str, object]:
        """Return what numbers depend on besides the trial: what all workers of the team are."""
        del flags
        return {"kind": self.team.kind}

    def builds(self) -> Collection[str]:
        """Return the names of the finished builds that some worker has."""
        return {name for names in self.team.builds().values() for name in names}

    def measure(self, trial: Trial) -> Tried:
        """Build the revision if need be and run the subject on it.

        Raises:
            MachineError: something that has nothing to do with the revision.
            SourceError: its source cannot be had.
        """
        started = time.monotonic()
        errand = self._under_way.pop(_key(trial), None) or self._started(measure, trial)
        try:
            tried, address = self.team.result(errand)
        except GivenUpError as error:
            return Tried(stamped(failed(trial, str(error)), started), lasting=False)
        self._homes[_place(trial)] = address
        return Tried(*tried)

    def look_ahead(self, trials: Sequence[Trial]) -> None:
        """Begin what will be measured soon, and let go of what is not thought of any more."""
        wanted = {_key(trial): trial for trial in trials}
        for key in self._under_way.keys() - wanted.keys():
            if self.team.drop(self._under_way[key]):
                del self._under_way[key]
        for key, trial in wanted.items():
            if key not in self._under_way:
                self._under_way[key] = self._started(measure, trial)

    def record(self, trial: Trial) -> CellRecord | None:
        """Run the subject once more and return all of it, or None if it is not built.

        Raises:
            SourceError: the revision's source cannot be had.
        """
        found: CellRecord | None = self.team.result(self._started(record, trial))[0]
        return found

    def _started(self, function: Callable[..., object], trial: Trial) -> Errand:
        return self.team.start(
            f"bisect {trial.revision.label}",
            function,
            trial,
            self._parcel(trial),
            home=self._homes.get(_place(trial), ""),
        )

    def _parcel(self, trial: Trial) -> Future:
        model, item = trial.subject.model, trial.subject.input
        name = f"model {model.digest} {item.reference.directory.name} {item.name}"
        return self.team.give(
            name, lambda: packed(ModelAtHand(model=model, inputs={item.name: item}))
        )


def measure(settings: Settings, trial: Trial, parcel: Parcel) -> Tried:
    """Make a trial on a worker, see `LocalBed.measure`."""
    bed, trial = _here(settings, trial, parcel)
    return bed.measure(trial)


def record(settings: Settings, trial: Trial, parcel: Parcel) -> CellRecord | None:
    """Run a trial's subject on a worker if it is built there, see `LocalBed.record`."""
    bed, trial = _here(settings, trial, parcel)
    found = bed.record(trial)
    return signed([found])[0] if found else None


def _here(settings: Settings, trial: Trial, parcel: Parcel) -> tuple[LocalBed, Trial]:
    """Return a worker's bed, and the trial with its files in the worker's store."""
    station = station_of(settings)
    at_hand = unpacked(parcel, station.store)
    (item,) = at_hand.inputs.values()
    subject = replace(trial.subject, model=at_hand.model, input=item)
    bed = LocalBed(resolver=station.resolver, runner=station.cells)
    return bed, replace(trial, subject=subject)


def _key(trial: Trial) -> Key:
    subject = trial.subject
    return trial.point, trial.variant, str(subject.model.param), subject.watched


def _place(trial: Trial) -> tuple[str, FlagSet]:
    return trial.point, trial.variant.flags
