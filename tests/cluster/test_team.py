"""Workers of one kind, on real schedulers and workers."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.cluster.connection import connected
from harness.cluster.team import GivenUpError, Team
from harness.util.codes import Code
from harness.util.errors import MachineError
from tests.cluster import stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distributed import LocalCluster

# Dask complains of connections that are lost, which is what happens here.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def team(local: LocalCluster, tmp_path: Path) -> Iterator[Team]:
    with connected(local.scheduler_address) as cluster:
        cluster.announce((), ())
        with Team(cluster, cast("Any", tmp_path), {"compiler C++"}) as made:
            yield made


def test_each_worker_does_one_thing_at_a_time(team: Team) -> None:
    errands = [team.start(name, stand_ins.errand, stand_ins.SLOW) for name in "abcdef"]
    assert list(team.results(errands)) == [stand_ins.SLOW] * len(errands)
    assert len({team.result(errand)[1] for errand in errands}) == len(team.members())


def test_what_has_a_home_is_done_there(team: Team) -> None:
    home = team.members()[1]
    errands = [team.start(name, stand_ins.errand, name, home=home) for name in "abc"]
    assert {team.result(errand)[1] for errand in errands} == {home}


def test_errors_arrive_as_they_were(team: Team) -> None:
    with pytest.raises(MachineError, match=r"no space left \(on the worker at tcp://") as raised:
        team.result(team.start("x", stand_ins.errand, stand_ins.FULL))
    assert raised.value.code is Code.LIMIT


def test_what_ends_its_worker_each_time_is_given_up(team: Team) -> None:
    errands = [team.start(n, stand_ins.errand, n) for n in ("a", stand_ins.DEADLY, "b")]
    with pytest.raises(GivenUpError, match="ended its worker, 4 times"):
        team.result(errands[1])
    assert [team.result(errands[n])[0] for n in (0, 2)] == ["a", "b"]


def test_a_worker_that_dies_costs_what_it_was_at(team: Team, tmp_path: Path) -> None:
    home = team.members()[0]
    errand = team.start("x", stand_ins.errand, stand_ins.SLOW, home=home)
    threading.Thread(target=_kill_first, args=(tmp_path,)).start()
    value, _ = team.result(errand)
    assert value == stand_ins.SLOW


def _kill_first(folder: Path) -> None:
    while not (found := list(folder.glob("process-*"))):
        time.sleep(0.05)
    os.kill(int(found[0].name.partition("-")[2]), signal.SIGKILL)


def test_without_its_scheduler_it_says_so(team: Team, local: LocalCluster) -> None:
    threading.Thread(target=local.close).start()
    with pytest.raises(MachineError, match="does not answer any more"):
        _send_for_ever(team)


def _send_for_ever(team: Team) -> None:
    while True:
        team.result(team.start("x", stand_ins.errand, "x"))


def test_nobody_can_do_it(local: LocalCluster, tmp_path: Path) -> None:
    with connected(local.scheduler_address) as cluster:
        cluster.announce((), ())
        with pytest.raises(MachineError, match="none of 3 workers has cpu no_such_feature"):
            Team(cluster, cast("Any", tmp_path), {"cpu no_such_feature"})


def test_what_workers_said_to_other_code_does_not_count(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(team.cluster.workers()) == 3
    monkeypatch.setattr("harness.cluster.connection.release", lambda: "0.9 (another)")
    team.cluster.announce((), ())
    assert team.cluster.workers() == {}
    assert len(team.cluster.refused()) == 3
