"""Finding the two ends of a bisection among releases, where the user names at most one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.bisection.criterion import Criterion, Metric, Observation, criterion_between
from harness.domain.outcomes import Outcome
from harness.util.errors import NotReproducibleError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.analysis.bisection.history import Point
    from harness.config.rules import Rules


def ends_among(
    releases: Sequence[Point],
    measure: Callable[[Point], Observation],
    *,
    metric: Metric,
    rules: Rules,
    threshold: float | None,
    limit: float | None = None,
) -> tuple[int, int]:
    """Return the indices (good, bad) of two releases that differ, the newest being the bad one.

    Goes back from the newest one in doubling steps, 1, 2, 4, … releases, since a change that
    matters today is more often recent than not, and since very old releases may not be testable.

    Args:
        releases: oldest first.
        measure: measures one of them.
        metric: what is measured.
        rules: what each event means.
        threshold: what divides good from bad, if the user says.
        limit: error up to which the newest one is within tolerance, see `criterion_between`.

    Raises:
        NotReproducibleError: no older release is better.
    """
    last = len(releases) - 1
    bad = measure(releases[last])
    seen = [f"{releases[last].name}: {bad}"]
    step, index, why = 1, last, ""
    while index > 0:
        index = max(0, last - step)
        step *= 2
        found = measure(releases[index])
        seen.append(f"{releases[index].name}: {found}")
        criterion = criterion_between(
            found, bad, metric=metric, rules=rules, threshold=threshold, limit=limit
        )
        why = f"; {criterion}" if isinstance(criterion, str) else ""
        if isinstance(criterion, Criterion) and _in_order(criterion, found, bad):
            return index, last
    raise NotReproducibleError(
        f"no release before {releases[last].name} is better ({metric} of {'; '.join(seen)}){why}. "
        "Name a good and a bad revision with --good and --bad, or another --run or --flags."
    )


def _in_order(criterion: Criterion, good: Observation, bad: Observation) -> bool:
    outcomes = criterion.judge(good).outcome, criterion.judge(bad).outcome
    return outcomes == (Outcome.GOOD, Outcome.BAD)
