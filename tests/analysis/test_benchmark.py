import csv
import io

import pytest

from harness.analysis.benchmark import Timing, ratios, table


def timing(what: str, seconds: float, note: str = "") -> Timing:
    return Timing(what=what, seconds=seconds, load=1.25, note=note)


NAIVE = [timing("naive, avx2", 300.0), timing("naive, runtime", 600.0)]


@pytest.mark.parametrize(("seconds", "expected"), [(300.0, [1, 2]), (30.0, [10, 20])])
def test_ratios(seconds: float, expected: list[float]) -> None:
    assert ratios(timing("x", seconds), NAIVE) == expected


def test_table_describes_the_machine_in_each_line() -> None:
    text = table([*NAIVE, timing("cold", 30.0, "a, b")], NAIVE, {"cpu": "z", "cores": 2})
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["what"] for line in lines] == ["naive, avx2", "naive, runtime", "cold"]
    assert lines[2]["times faster than naive, runtime"] == "20.0"
    assert lines[2]["note"] == "a, b"
    assert {(line["cpu"], line["cores"]) for line in lines} == {("z", "2")}
