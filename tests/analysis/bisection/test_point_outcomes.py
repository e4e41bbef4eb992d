import pytest

from harness.analysis.bisection.point_outcomes import PointOutcome, Standing, settle
from harness.domain.outcomes import Outcome

KINDS = dict(zip("gbsu", Outcome, strict=True))


@pytest.mark.parametrize(
    ("seen", "outcome", "confirmed", "doubtful"),
    [
        ("g", Outcome.GOOD, False, False),
        ("bb", Outcome.BAD, True, False),
        ("s", Outcome.SKIP, False, False),
        ("gb", Outcome.UNSTABLE, False, True),
        ("gs", Outcome.UNSTABLE, False, True),
        ("us", Outcome.UNSTABLE, False, True),
        ("uu", Outcome.UNSTABLE, False, True),
        ("u", None, False, True),
        ("ug", None, False, True),
        ("ugg", Outcome.GOOD, True, True),
        ("G", None, False, True),
        ("Gg", Outcome.GOOD, True, True),
        ("GB", Outcome.UNSTABLE, False, True),
        ("BuB", Outcome.BAD, True, True),
    ],
)
def test_settle(seen: str, outcome: Outcome | None, confirmed: bool, doubtful: bool) -> None:
    """Capital letters are near the threshold."""
    made = [PointOutcome(0, KINDS[each.lower()], near=each.isupper()) for each in seen]
    assert settle(made) == Standing(outcome, confirmed, doubtful)
    assert settle(reversed(made)) == settle(made)
