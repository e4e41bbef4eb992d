from collections import Counter
from random import Random

from faults.soak.strikes import STRIKES, chosen


def test_a_seed_gives_the_same_strikes_and_each_has_its_turn() -> None:
    one, other = (
        [chosen(random).name for random in [Random(7)] for _ in range(400)] for _ in range(2)
    )
    assert one == other
    assert set(Counter(one)) == {strike.name for strike in STRIKES}
