"""Which versions have a fault: between releases seen, and by the dates of commits."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from harness.advisories.affected import affected, span
from tests.advisories.entries import advisory

HAS, HAS_NOT, UNKNOWN = True, False, None
PLAIN: dict[str, Any] = {}
DATED = {"introduced_on": date(2025, 3, 18), "repaired_on": date(2025, 10, 23)}
OPEN = {"bad": ["20250503"], "good": ["20241226"], "repaired": "", "repaired_on": None}
FROM_THE_START = {"bad": ["20220420"], "good": ["20230223"]}
TWICE = {"bad": ["20220420", "20250503"], "good": ["20230223", "20260113"]}


@pytest.mark.parametrize(
    ("version", "changes", "expected"),
    [
        # Releases that were looked at.
        ("20241226", PLAIN, HAS_NOT),
        ("20250428", PLAIN, HAS),
        ("20250916", PLAIN, HAS),
        ("20260113", PLAIN, HAS_NOT),
        # Between two of a kind, before the first good one, after the last.
        ("20250910", PLAIN, HAS),
        ("20220420", PLAIN, HAS_NOT),
        ("20261020", PLAIN, HAS_NOT),
        ("20250910-mine", PLAIN, HAS),
        # On the way from one to the other.
        ("20250201", PLAIN, UNKNOWN),
        ("20251001", PLAIN, UNKNOWN),
        ("20250201", DATED, HAS_NOT),
        ("20250401", DATED, HAS),
        ("20251001", DATED, HAS),
        ("20251101", DATED, HAS_NOT),
        ("20250317", DATED, UNKNOWN),
        ("20250318", DATED, UNKNOWN),
        ("20250319", DATED, UNKNOWN),
        # Nobody has seen it repaired, or without it.
        ("20250503", OPEN, HAS),
        ("20260101", OPEN, UNKNOWN),
        ("20260101", DATED | OPEN | {"repaired": "c18cc6de6"}, UNKNOWN),
        ("20260101", OPEN | {"repaired": "c18cc6de6", "repaired_on": date(2025, 10, 23)}, HAS_NOT),
        ("20210101", FROM_THE_START, UNKNOWN),
        ("20210101", FROM_THE_START | {"introduced_on": date(2021, 6, 1)}, HAS_NOT),
        ("20220101", FROM_THE_START | {"introduced_on": date(2021, 6, 1)}, HAS),
        # It came back: the date is that of one of the two commits.
        ("20220801", TWICE, UNKNOWN),
        ("20240101", TWICE | {"introduced_on": date(2022, 1, 1)}, UNKNOWN),
        ("main", PLAIN, UNKNOWN),
    ],
)
def test_whether_a_version_has_it(
    version: str, changes: dict[str, Any], expected: bool | None
) -> None:
    answer = affected(advisory(**changes), version)
    assert answer.met is expected
    assert bool(answer.missing) is (expected is None)


@pytest.mark.parametrize(
    ("version", "changes", "words"),
    [
        ("20250503", PLAIN, "20250428 to 20250916, repaired in 20260113"),
        ("20250201", PLAIN, "20250428 to 20250916, repaired in 20260113"),
        ("20251101", PLAIN, "20250428 to 20250916, repaired in 20260113"),
        ("20250503", OPEN, "since 20250503"),
        ("20250503", OPEN | {"good": ["20220420", "20250504"]}, "20250503, repaired in 20250504"),
        (
            "20250503",
            OPEN | {"bad": ["20220420", "20250503"], "good": ["20210101"]},
            "since 20220420",
        ),
        ("20220420", TWICE, "20220420, repaired in 20230223"),
        ("20250503", TWICE, "20250503, repaired in 20260113"),
    ],
)
def test_the_span_in_words(version: str, changes: dict[str, Any], words: str) -> None:
    assert span(advisory(**changes), version).words == words
