"""Made-up histories of which everything is known, and what a bisection of them may say.

A history is a line of commits; each gives a library, neighbours often the same one. A library has
a true error, or cannot be built. A measurement gives the true error with a little noise, and now
and then that of the other state instead. The state of a commit, good or bad, is that of its true
error against the threshold that the bisection used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, cast

from harness.analysis.bisection.history import Point
from harness.analysis.bisection.measurement import Measurement
from harness.domain.outcomes import Event
from harness.domain.records import LayerRecord, Metrics
from harness.domain.spec import Revision
from harness.domain.verdict import Tolerance
from tests.analysis.bisection.fake import PERFECT, FakeResolver, subject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.revision_tester import RevisionTester
    from harness.analysis.bisection.submodel import Subject

LIMIT = Tolerance().layer
KINDS = ("step", "drift", "returned", "twice", "harmless", "never good")
ERROR_RATES = (0.0, 0.0, 0.0, 0.0, 0.0, 0.02, 0.05, 0.1, 0.2)
LONGEST = 24


@dataclass(frozen=True, kw_only=True)
class History:
    """What is true of a line of commits."""

    kind: str
    errors: tuple[float, ...]
    """The true error of every commit."""
    broken: frozenset[int]
    """Commits that do not compile."""
    classes: tuple[int, ...]
    """What a bisection is told about which commits give the same library; it may be wrong."""
    flaky: float = 0.0
    """Probability that a measurement shows the other state."""
    noise: float = 0.0
    """Standard deviation of a measured error's logarithm."""
    whole_runs: bool = True
    """Whether the whole model can be run."""
    find_fix: bool = False
    threshold: float | None = None
    """What the user says divides good from bad."""

    def is_bad(self, commit: int, threshold: float) -> bool:
        return self.errors[commit] > threshold

    def changes(self, threshold: float) -> list[tuple[int, bool]]:
        """Return every commit that changes the state, and whether to bad."""
        states = [self.is_bad(each, threshold) for each in range(len(self.errors))]
        return [(i, states[i]) for i in range(1, len(states)) if states[i] != states[i - 1]]


def history(random: Random) -> History:
    """Return a history at random."""
    kind = random.choices(KINDS, weights=(8, 4, 4, 2, 1, 1))[0]
    count = random.randint(3, LONGEST)
    density = random.choice((1.0, 1.0, 0.4, 0.15))
    new = [True, *(random.random() < density for _ in range(count - 1))]
    libraries = [sum(new[: i + 1]) - 1 for i in range(count)]
    levels = _levels(kind, libraries[-1] + 1, random)
    errors = [levels[each] for each in libraries]
    broken = _broken(libraries, random)
    # What touches a file of the build changes nothing, often; seldom a change is overlooked.
    told, number = [0], 0
    for i in range(1, count):
        overlooked = random.random() < 0.01
        number += (new[i] and not overlooked) or random.random() < 0.1
        told.append(number)
    find_fix = random.random() < 0.2
    if find_fix:
        errors.reverse()
        broken = frozenset(count - 1 - i for i in broken)
        told = [told[-1] - each for each in reversed(told)]
    return History(
        kind=kind,
        errors=tuple(errors),
        broken=broken,
        classes=tuple(told) if random.random() < 0.8 else (),
        flaky=random.choice(ERROR_RATES),
        noise=random.choice((0.0, 0.0, 0.05, 0.12)),
        whole_runs=random.random() < 0.6,
        find_fix=find_fix,
        threshold=random.choice((1e-6, 1e-4, 1e-3)) if random.random() < 0.1 else None,
    )


def _levels(kind: str, count: int, random: Random) -> list[float]:
    """Return an error per library, the good end first; each jitters about the level of its time."""

    def somewhere(low: float, high: float) -> float:
        return math.exp(random.uniform(math.log(low), math.log(high)))

    good, bad = somewhere(1e-7, 1e-6), somewhere(1.5 * LIMIT, 0.1)
    below = somewhere(2e-6, 0.999 * LIMIT)
    steps: list[float] = {
        "step": [good, bad],
        "drift": [good, below, bad, 5 * bad][: random.choice((3, 4))],
        "returned": [good, bad, good, bad],
        "twice": [good, bad, below, bad, good, bad],
        "harmless": [good, below],
        "never good": [bad, bad * 1.1],
    }[kind]
    # Where there are too few libraries for all steps, the ends stay.
    if count < len(steps):
        steps = [steps[0], steps[-1]][:count]
    cuts = [0, *sorted(random.sample(range(1, count), len(steps) - 1)), count]
    jitter = random.choice((0.0, 0.1))
    return [
        level * math.exp(random.gauss(0, jitter))
        for level, start, end in zip(steps, cuts, cuts[1:], strict=False)
        for _ in range(start, end)
    ]


def _broken(libraries: Sequence[int], random: Random) -> frozenset[int]:
    """Return commits that cannot be built, single ones and blocks; the ends can."""
    last = libraries[-1]
    found: set[int] = set()
    if random.random() < 0.4:
        for _ in range(random.randint(1, 3)):
            start = random.randint(0, last)
            found |= set(range(start, start + random.choice((1, 1, 2, 8))))
    ends = {libraries[0], last}
    return frozenset(i for i, each in enumerate(libraries) if each in found - ends)


@cache
def point(number: int) -> Point:
    name = f"{number:040}"
    revision = Revision(label=name[-12:], kind="git", name=name, where="clone")
    return Point(id=name, revision=revision, title=f"change {number}", date="2020-01-01")


@cache
def points(count: int) -> tuple[Point, ...]:
    return tuple(map(point, range(count)))


BRANCH = 1000
"""Numbers from here on are commits of a branch."""


def branch(before: float, after: float, random: Random) -> tuple[tuple[float, ...], int | None]:
    """Return the errors of a branch from its fork point on, and which commit changes the state.

    It changes the state as the merge does, or not at all: then the merge itself is at fault.
    """
    count = random.randint(2, 9)
    if random.random() < 0.2:
        return (before,) * count, None
    at = random.randint(1, count - 1)
    return (before,) * at + (after,) * (count - at), at


ALONE, WHOLE = subject(alone=True), subject(alone=False)


@dataclass
class HistoryTester:
    """Measures as a history says; what it remembers is gone with it."""

    history: History
    random: Random
    memory: dict[bool, dict[str, list[Measurement]]] = field(
        default_factory=lambda: {True: {}, False: {}}
    )
    branch: tuple[float, ...] = ()
    measured: int = 0
    resolver: FakeResolver = field(default_factory=FakeResolver)
    whole: Subject = WHOLE
    width: int = 1

    def recall(
        self, what: Subject, how: Variant, *, this_session: bool = False
    ) -> dict[str, list[Measurement]]:
        return {name: list(found) for name, found in self.memory[what.alone].items()}

    def built(self, among: Sequence[Point], how: Variant) -> frozenset[str]:
        return frozenset(each.id for each in among if int(each.id) % 7 == 3)

    def measure(self, where: Point, what: Subject, how: Variant) -> Measurement:
        self.measured += 1
        found = self._result(int(where.id), where.id, alone=what.alone)
        self.memory[what.alone].setdefault(where.id, []).append(found)
        return found

    def _result(self, commit: int, name: str, *, alone: bool) -> Measurement:
        history, random = self.history, self.random
        if commit in history.broken:
            return failed(name, Event.BUILD_FAILED, alone)
        if not alone and not history.whole_runs:
            return failed(name, Event.LACKS_LAYER, alone)
        in_branch = commit >= BRANCH
        error = self.branch[commit - BRANCH] if in_branch else history.errors[commit]
        if random.random() < history.flaky:
            error = 2e-7 if error > LIMIT else 0.05
        return measured(name, error * math.exp(random.gauss(0, history.noise)), alone)

    def inside(self, number: int) -> Point:
        return point(BRANCH + number)

    @property
    def real(self) -> RevisionTester:
        return cast("RevisionTester", self)


def failed(name: str, event: Event, alone: bool) -> Measurement:
    return Measurement.model_construct(point=name, event=event, detail="", alone=alone)


def measured(name: str, value: float, alone: bool) -> Measurement:
    """Return a measurement without the cost of validating thousands."""
    values = {**dict(PERFECT), "scale_relative": value, "max_abs": value}
    error = Metrics.model_construct(**values)
    layer = LayerRecord.model_construct(
        index=1,
        name="fc",
        type="InnerProduct",
        blob="y",
        aligned="name",
        chain=error,
        alone=error,
    )
    return Measurement.model_construct(
        point=name, event=Event.MEASURED, alone=alone, layers=(layer,), output=error
    )
