import pytest

from faults.soak.growth import Size, unbounded


def sizes(name: str, values: list[float]) -> list[Size]:
    flat = {"memory_mib": 300, "store_mib": 100, "run_mib": 2, "temporary_files": 0, "locks": 9}
    return [Size(**{**flat, name: value}) for value in values]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "values", "grows"),
    [
        ("memory_mib", [300, 310, 300, 305, 300, 310], False),
        ("memory_mib", [300, 310, 350, 400, 450, 500], True),
        ("memory_mib", [300, 300, 300, 300, 300, 300, 900, 300, 300], False),
        ("temporary_files", [0, 0, 0, 0, 1, 1], False),
        ("temporary_files", [0, 2, 4, 6, 8, 10], True),
        ("locks", [5, 5, 8, 8, 8, 30, 31, 32, 33], True),
        ("store_mib", [50, 500, 5000], False),
    ],
)
def test_what_is_clearly_more_in_the_end_is_not_bounded(
    name: str, values: list[float], grows: bool
) -> None:
    found = unbounded(sizes(name, values))
    assert [line.split()[0] for line in found] == ([name] if grows else [])
