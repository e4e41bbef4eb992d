import pytest

from harness.analysis.bisection.point_outcomes import MOST, PointOutcome, settle
from harness.domain.outcomes import Outcome

KINDS = dict(zip("gbsu", Outcome, strict=True))


@pytest.mark.parametrize(
    ("seen", "lead", "outcome", "doubtful"),
    [
        ("g", 1, Outcome.GOOD, False),
        ("g", 4, None, False),
        ("gggg", 4, Outcome.GOOD, False),
        ("bb", 1, Outcome.BAD, False),
        ("s", 1, Outcome.SKIP, False),
        ("s", 4, Outcome.SKIP, False),
        ("gb", 1, None, False),
        ("gbbbbb", 4, Outcome.BAD, False),
        ("gbbbb", 4, None, False),
        ("gb" * (MOST // 2), 4, Outcome.UNSTABLE, True),
        ("gs", 1, Outcome.UNSTABLE, True),
        ("us", 1, Outcome.UNSTABLE, True),
        ("uu", 1, Outcome.UNSTABLE, True),
        ("u", 1, None, True),
        ("ug", 1, None, True),
        ("ugg", 1, Outcome.GOOD, True),
        ("G", 1, None, True),
        ("Gg", 1, Outcome.GOOD, True),
        ("GB", 1, Outcome.UNSTABLE, True),
        ("BuB", 1, Outcome.BAD, True),
    ],
)
def test_settle(seen: str, lead: int, outcome: Outcome | None, doubtful: bool) -> None:
    """Capital letters are near the threshold."""
    made = [PointOutcome(0, KINDS[each.lower()], near=each.isupper()) for each in seen]
    standing = settle(made, lead)
    assert (standing.outcome, standing.doubtful) == (outcome, doubtful)
    assert (standing.good, standing.bad) == (seen.lower().count("g"), seen.lower().count("b"))
    assert settle(reversed(made), lead) == standing
