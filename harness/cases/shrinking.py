"""The smallest case that still shows a fault."""

from __future__ import annotations

from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, find, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir
from hypothesis.errors import NoSuchExample

from harness.cases.generation import SKETCHES, consistent
from harness.cases.generation.catalogue import is_well_formed
from harness.cases.simpler import changes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.cases.layer_case import LayerCase

ROUNDS = 4
"""How often to begin anew from the smallest case so far."""


def shrink(
    case: LayerCase, is_still_bad: Callable[[LayerCase], bool], *, budget: int = 200
) -> LayerCase:
    """Return a simpler case that is still bad.

    Hypothesis finds it. Each change of each coordinate (an extent, a parameter, a distribution, …)
    to something simpler is a switch, which is seldom on: so most that is drawn is the case itself
    with a change or two, and shrinking is to switch on.

    Args:
        case: a bad one; of whatever type.
        is_still_bad: whether another case shows the same. It is asked about a case once.
        budget: how often it is asked at most.

    Returns:
        A case that is bad, the given one if there is nothing simpler.
    """
    judge = _Judge(is_still_bad, budget)
    # Or it would leave a folder where the command was called.
    set_hypothesis_home_dir(Path(gettempdir()) / "hypothesis")
    for _ in range(ROUNDS):
        smaller = _once(case, judge)
        if smaller == case:
            break
        case = smaller
    return case


class _Judge:
    """Asks about each case once, and no more than so often."""

    def __init__(self, is_still_bad: Callable[[LayerCase], bool], budget: int) -> None:
        self._ask = is_still_bad
        self._left = budget
        self._known: dict[str, bool] = {}
        self._fitted: dict[LayerCase, LayerCase | None] = {}

    @property
    def is_spent(self) -> bool:
        return self._left <= 0

    def knows(self, case: LayerCase) -> None:
        """Take a case for bad and whole, whatever it is."""
        self._known[case.id] = True
        self._fitted[case] = case

    def fitted(self, case: LayerCase) -> LayerCase | None:
        """Return the case with all its parts fitted together; None if they do not go together."""
        if case not in self._fitted:
            self._fitted[case] = None if self.is_spent else _fitted(case)
        return self._fitted[case]

    def __call__(self, case: LayerCase) -> bool:
        if case.id not in self._known:
            if self.is_spent:
                return False
            self._left -= 1
            self._known[case.id] = self._ask(case)
        return self._known[case.id]


def _once(case: LayerCase, judge: _Judge) -> LayerCase:
    judge.knows(case)
    coordinates = [
        [change for change in changes if judge.fitted(change(case)) != case]
        for changes in changes_of(case)
    ]
    # One switch per change, since what is bad need not grow with an extent. As many that are off
    # as there are switches: with a chance of about a third the case is drawn as it is.
    off = sum(map(len, coordinates))
    switch = st.sampled_from([True, *(False,) * off])
    switches = st.tuples(*(st.tuples(*(switch for _ in changes)) for changes in coordinates))

    def made(on: Sequence[Sequence[bool]]) -> LayerCase | None:
        changed = case
        for changes, chosen in zip(coordinates, on, strict=True):
            # The simplest of a coordinate counts.
            change = next(
                (each for each, is_on in zip(changes, chosen, strict=True) if is_on), None
            )
            changed = change(changed) if change else changed
        return judge.fitted(changed)

    def is_bad(on: Sequence[Sequence[bool]]) -> bool:
        smaller = made(on)
        return smaller is not None and judge(smaller)

    try:
        found = find(
            switches,
            is_bad,
            settings=settings(
                max_examples=EXAMPLES,
                derandomize=True,
                database=None,
                deadline=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
            ),
        )
    except NoSuchExample:
        return case
    return made(found) or case


EXAMPLES = 200
"""Choices that are drawn until one is bad; the case itself is among the first few."""


def _fitted(case: LayerCase) -> LayerCase | None:
    """Return the case with what depends on other parts made to follow; None if it means nothing."""
    if any(extent < 1 for shape in case.shapes for extent in shape):
        return None
    if case.type not in SKETCHES:
        return case if is_well_formed(case) else None
    return consistent(case)
