"""Dates within version labels."""

import pytest

from harness.domain.versions import date_of, nearest, ordered_versions


@pytest.mark.parametrize(
    ("label", "date"),
    [
        ("20250503", "2025-05-03"),
        ("1.0.20250503", "2025-05-03"),
        ("main", ""),
        ("20251301", ""),
        ("20250230", ""),
        ("20٢50503", ""),
        ("202505031", ""),
    ],
)
def test_date_of(label: str, date: str) -> None:
    assert date_of(label) == date


def test_versions_are_in_order_where_all_have_a_date() -> None:
    assert ordered_versions(["20250503", "20241226", "20250503"]) == ("20241226", "20250503")
    assert ordered_versions(["b", "20241226", "a"]) == ("b", "20241226", "a")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("20260113", ["20260114", "20250916"]),
        ("1.0.20260113", ["20260114", "20250916"]),
        ("mster", ["master"]),
    ],
)
def test_nearest(wanted: str, expected: list[str]) -> None:
    known = ["20250503", "20250916", "20260114", "20260526", "master", "20260114", "master"]
    assert nearest(wanted, known, 2) == expected
