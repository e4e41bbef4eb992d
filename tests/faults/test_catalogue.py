import re
from collections import Counter

import pytest

from faults.catalogue import FAULTS, SHORT
from faults.fault import Fault
from faults.page import PAGE, TITLES, beginning

IDS = [fault.id for fault in FAULTS]


def test_there_are_enough_of_each_kind() -> None:
    assert len(FAULTS) >= 60
    assert min(Counter(fault.kind for fault in FAULTS).values()) >= 5
    assert set(TITLES) == {fault.kind for fault in FAULTS}


def test_each_has_an_id_and_a_description_of_its_own() -> None:
    assert sorted(set(IDS)) == sorted(IDS)
    assert all(re.fullmatch(r"[a-z0-9-]+", name) for name in IDS)
    assert max(Counter((f.where, f.how, f.start) for f in FAULTS).values()) == 1


def test_the_short_ones_are_some_of_each_kind() -> None:
    kinds = {fault.id: fault.kind for fault in FAULTS}
    assert {kinds[name] for name in SHORT} == set(kinds.values())


@pytest.mark.parametrize("fault", FAULTS, ids=IDS)
def test_its_expectation_can_be_checked(fault: Fault) -> None:
    re.compile(fault.says)
    assert fault.codes
    assert fault.where
    assert fault.how
    assert fault.expected


def test_the_page_tells_of_each_fault_and_of_no_other() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    for fault in FAULTS:
        assert sum(line.startswith(beginning(fault)) for line in lines) == 1, fault.id
    faults, _, _ = PAGE.read_text(encoding="utf-8").partition("\n## Hostile inputs\n")
    assert len(re.findall(r"^\| `", faults, re.MULTILINE)) == len(FAULTS)
