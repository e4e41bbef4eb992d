"""The answer of a bisection as data: the commit, the numbers, the conditions, the releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.bisection.answers import CERTAIN, AnswerKind, Transition
from harness.analysis.bisection.criterion import DIGITS
from harness.analysis.bisection.drift import steps_beside
from harness.analysis.bisection.inside.answer import InsideAnswer
from harness.analysis.bisection.relevance import belongs
from harness.domain.base import StoredValue
from harness.domain.formatting import count, short
from harness.domain.records import Metrics
from harness.sources import git

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.history import Clone, Point
    from harness.analysis.bisection.measurement import Measurement
    from harness.analysis.bisection.search_result import SearchResult


class Side(StoredValue):
    """What was measured at one side of the answer."""

    revision: str
    """Commit id or release."""
    name: str
    value: str
    """The value of the metric, or what happened instead."""
    own: Metrics | None = None
    """Error of the layer in question, run alone."""
    whole_own: Metrics | None = None
    """The same layer in a build of the whole model."""
    output: Metrics | None = None
    """Error of the whole model's output."""
    note: str = ""
    """Why there is no number of the whole model."""


class ObservedChange(StoredValue):
    """A transition between two revisions."""

    before: str
    after: str
    becomes: str
    suspects: int
    """How many revisions may have made it; 1 where it was bisected to the end."""
    near: bool = False
    """Whether a value at one of its sides was near the threshold."""


class Commit(StoredValue):
    """A commit in words."""

    sha: str
    author_date: str
    title: str
    files: tuple[str, ...] = ()
    hunk: str = ""
    """What it changed in the files of the layer in question; unified diff."""
    releases: tuple[str, ...] = ()
    """Releases that contain it, oldest first."""
    merge: str = ""
    """The merge that brought it in, if it is not on the first-parent line itself."""


class BisectionResult(StoredValue):
    """The whole answer."""

    found: bool
    """Whether it is one revision; else one of `suspects`."""
    becomes: str
    """`bad`, or `good` where a fix was looked for."""
    subject: str
    metric: str
    threshold: float | None
    flags: str
    flag_options: dict[str, str]
    cxx_flags: str = ""
    run: str
    run_options: dict[str, bool | int]
    threads: int
    input: str
    release: str = ""
    """The release that changed it, where there is no history of commits."""
    commit: Commit | None = None
    suspects: tuple[str, ...] = ()
    cleared: int = 0
    """Revisions between the suspects that touch nothing of the build, by the files they change."""
    before: Side
    after: Side
    transitions: tuple[ObservedChange, ...] = ()
    certainty: float = 1.0
    """Probability that both sides are as said, by everything that was measured."""
    libraries: int = 0
    """How many different libraries the revisions give, as far as the files they touch tell."""
    checked: tuple[str, ...] = ()
    """Revisions behind the answer that were measured; all of them are as after the change."""
    beside: tuple[str, ...] = ()
    """Steps of the error that do not cross the threshold, in words."""
    doubtful: bool = False
    """A verdict that decided lay near the threshold, though it could be repeated."""
    needs: tuple[str, ...] = ()
    """Settings each of which makes it good when it alone is changed."""
    enough: tuple[tuple[str, ...], ...] = ()
    """Minimal sets of settings that make it bad by themselves, with every other one off."""
    cures: tuple[tuple[str, ...], ...] = ()
    """Settings that make both the change and the bad end good and within tolerance, such as
    `use_fp16_storage=false`; all of a set at once."""
    run_cure: str = ""
    """The first cure that consists of run options alone, as `--run` takes it."""
    evidence: tuple[str, ...] = ()
    """One line per statement of these, with numbers."""
    untested: tuple[str, ...] = ()
    """Revisions that could not be tested, each with what happened."""
    inside: InsideAnswer | None = None
    """Which part of the change matters, if that was asked."""
    measurements: int = 0
    seconds: float = 0.0

    @property
    def is_certain(self) -> bool:
        """Whether it may be stated without a word of doubt."""
        return self.certainty >= CERTAIN


def bisection_result(
    result: SearchResult,
    *,
    variant: Variant,
    clone: Clone | None,
    merge: str = "",
    seconds: float,
) -> BisectionResult:
    """Return a search's result with everything that a report says about it.

    Args:
        result: a search that ended with one revision or several suspects.
        setting: how the revisions were compiled and run.
        clone: the repository, if the points are commits.
        merge: the merge in which the points are, if they are of a branch.
        seconds: what the bisection took.
    """
    transition = result.answer.transition
    assert transition is not None
    suspects = [result.points[index] for index in result.answer.suspects]
    found = result.answer.kind is AnswerKind.FOUND
    at_fault = suspects[-1]
    is_commit = clone is not None and at_fault.revision.kind == "git"
    return BisectionResult(
        found=found,
        becomes=str(transition.becomes),
        subject=result.subject.description,
        metric=str(result.criterion.metric),
        threshold=result.criterion.threshold,
        flags=variant.flags.name,
        flag_options=dict(variant.flags.options),
        cxx_flags=variant.flags.cxx_flags,
        run=variant.run.name,
        run_options=dict(variant.run.options),
        threads=variant.run.threads,
        input=result.subject.input.name,
        release="" if is_commit or not found else at_fault.revision.label,
        commit=_commit(clone, at_fault, result, merge) if clone and found and is_commit else None,
        suspects=tuple(point.name for point in suspects),
        cleared=0 if found else transition.after - transition.before - len(suspects),
        before=_side(result, transition.before),
        after=_side(result, transition.after),
        transitions=tuple(_change(each, result) for each in result.answer.transitions),
        certainty=result.answer.certainty,
        libraries=result.groups,
        checked=tuple(result.points[index].name for index in result.answer.checked),
        beside=tuple(_beside(result)),
        doubtful=bool(result.answer.doubtful),
        untested=tuple(_untested(result)),
        measurements=result.count,
        seconds=round(seconds, 1),
    )


def _commit(clone: Clone, point: Point, result: SearchResult, merge: str) -> Commit:
    info = git.commit_info(clone.path, point.id)
    graph = result.subject.model.graph
    types = {graph.layer(name).type for name in result.subject.watched}
    files = [name for name in info.files if belongs(name, types)]
    return Commit(
        sha=info.sha,
        author_date=info.author_date,
        title=info.title,
        files=info.files,
        hunk=clone.diff(info.sha, files),
        releases=tuple(clone.containing(info.sha)),
        merge=merge,
    )


def _side(result: SearchResult, index: int) -> Side:
    point = result.points[index]
    found = result.measurements.get(point.id, [])
    whole = result.whole.get(point.id)
    watched, metric = result.subject.watched, result.criterion.metric
    shown = found[-1] if found else whole
    assert shown is not None
    alone = result.subject.alone
    return Side(
        revision=point.id if point.revision.kind == "git" else point.revision.label,
        name=point.name,
        value=str(shown.observation(watched, metric)),
        own=_worst(shown, watched),
        whole_own=_worst(whole, watched) if whole else None,
        output=whole.output if whole else None if alone else shown.output,
        note="" if whole or not alone else "the whole model does not run on this revision",
    )


def _worst(found: Measurement, watched: Sequence[str]) -> Metrics | None:
    errors = found.errors()
    known = [errors[name] for name in watched if name in errors]
    return max(known, key=lambda each: each.scale_relative, default=None)


def _change(transition: Transition, result: SearchResult) -> ObservedChange:
    sides = transition.before, transition.after
    return ObservedChange(
        before=result.points[transition.before].name,
        after=result.points[transition.after].name,
        becomes=str(transition.becomes),
        suspects=len(transition.suspects),
        near=any(result.standings[side].near for side in sides),
    )


def _beside(result: SearchResult) -> Iterable[str]:
    for each in steps_beside(result.standings, result.values, result.criterion):
        between = each.after - each.before - 1
        old, new = (short(value, DIGITS) for value in each.values)
        yield (
            f"{result.criterion.metric} {old} at {result.points[each.before].name}, {new} at "
            f"{result.points[each.after].name}: both count as {each.outcome}"
            + (f" ({count(between, 'revision')} between, not bisected)" if between else "")
        )


def _untested(result: SearchResult) -> list[str]:
    lines = []
    for index, standing in result.standings.items():
        if standing.outcome is None or standing.outcome.decides:
            continue
        point = result.points[index]
        found = result.measurements.get(point.id, [])
        seen = ", ".join(
            str(each.observation(result.subject.watched, result.criterion.metric)) for each in found
        )
        lines.append(f"{point.name}: {standing.outcome}: {seen}")
    return lines
