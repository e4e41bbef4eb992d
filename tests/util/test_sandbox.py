import pytest

from harness.util.sandbox import missing

NETWORK, DISK, EMPTY, KILL = (
    "use the network",
    "write anywhere",
    "empty any file",
    "other processes",
)


@pytest.mark.parametrize(
    ("alone", "confined", "abi", "words"),
    [
        (True, True, 7, []),
        (True, True, 5, [KILL]),
        (True, True, 2, [EMPTY, KILL]),
        (False, True, 7, [NETWORK]),
        (False, True, 3, [NETWORK, KILL]),
        (True, False, 0, [DISK, KILL]),
        (False, False, 0, [DISK, NETWORK, KILL]),
    ],
)
def test_what_is_missing_is_told(alone: bool, confined: bool, abi: int, words: list[str]) -> None:
    found = missing(alone=alone, confined=confined, abi=abi)
    assert len(found) == len(words)
    assert all(word in text for word, text in zip(words, found, strict=True))


def test_tcp_is_kept_from_by_landlock_alone() -> None:
    (words,) = missing(alone=False, confined=True, abi=7)
    assert "(but not TCP)" in words
