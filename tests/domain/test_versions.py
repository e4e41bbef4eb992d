import pytest

from harness.domain.versions import nearest


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("20260113", ["20260114", "20250916"]),
        ("1.0.20260113", ["20260114", "20250916"]),
        ("mster", ["master"]),
    ],
)
def test_nearest(wanted: str, expected: list[str]) -> None:
    known = ["20250503", "20250916", "20260114", "20260526", "master"]
    assert nearest(wanted, known, 2) == expected
