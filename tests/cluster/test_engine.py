"""The engine on real schedulers and workers; what takes long is stood in for by what sleeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.cluster import engine as engine_module
from harness.cluster import unit
from harness.cluster.connection import Cluster, connected
from harness.cluster.engine import ClusterEngine
from harness.config.tables import Limits
from harness.domain.records import Failure, Verdict
from harness.domain.spec import FlagSet
from harness.domain.verdict import Tolerance
from harness.execution.cell_runner import CellRunner
from harness.execution.engine import ModelAtHand
from harness.execution.launcher import Launcher
from harness.util.errors import MachineError
from tests.cluster import stand_ins
from tests.cluster.specs import MODEL, cell

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from distributed import LocalCluster

    from harness.domain.records import CellRecord
    from harness.domain.spec import CellSpec
    from harness.execution.progress import MatrixEvent

# Dask complains of connections that are lost, which is what happens here.
pytestmark = pytest.mark.filterwarnings("ignore")

FLAGS = [FlagSet(name=f"f{number}") for number in range(3)]
ODD = FlagSet(name="odd", needs=frozenset({"no_such_feature"}))


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit, "make", stand_ins.make)
    monkeypatch.setattr(unit, "run", stand_ins.run)
    monkeypatch.setattr(engine_module, "packed", lambda at_hand: at_hand)


def started(cluster: Cluster, folder: Path, events: list[MatrixEvent]) -> ClusterEngine:
    cluster.announce((), ())
    at_hand = ModelAtHand(model=None, inputs={})  # type: ignore[arg-type]
    runner = CellRunner(launcher=Launcher(binding=_nothing, limits=Limits()), tolerance=Tolerance())
    return ClusterEngine(
        cluster=cluster,
        settings=cast("Any", folder),
        models={MODEL: at_hand},
        runner=runner,
        notify=events.append,
    )


def _nothing() -> Path:
    raise AssertionError("nothing is run here")


def ran(
    local: LocalCluster, folder: Path, cells: Sequence[CellSpec]
) -> tuple[dict[str, CellRecord], list[MatrixEvent]]:
    events: list[MatrixEvent] = []
    with connected(local.scheduler_address) as cluster:
        engine = started(cluster, folder, events)
        return {record.cell: record for record in engine.run(cells)}, events


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_each_build_is_made_once_and_its_cells_run_there(
    local: LocalCluster, tmp_path: Path
) -> None:
    cells = [cell(flags, run, name) for flags in FLAGS for run in "abc" for name in "xy"]
    records, _ = ran(local, tmp_path, [*cells, cell(ODD)])
    assert len(records) == len(cells) + 1
    odd = records.pop(cell(ODD).id)
    assert (odd.verdict, odd.reason) == (
        Verdict.SKIPPED,
        "none of 3 workers has cpu no_such_feature",
    )
    assert {record.verdict for record in records.values()} == {Verdict.OK}
    builds = lines(tmp_path / "builds")
    assert Counter(name for name, _ in builds) == Counter(flags.name for flags in FLAGS)
    assert len({worker for _, worker in builds}) == len(FLAGS)
    assert {tuple(line) for line in lines(tmp_path / "runs")} == {tuple(b) for b in builds}
    # Of what is of no group that was there before, scheduler and workers keep something for ever.
    assert (
        {"build", "run"}
        <= set(local.scheduler.task_prefixes)
        <= {"build", "run", "model", "settings", "finished_builds"}
    )


def test_what_is_asked_for_later_goes_where_its_build_is(
    local: LocalCluster, tmp_path: Path
) -> None:
    with connected(local.scheduler_address) as cluster:
        engine = started(cluster, tmp_path, [])
        builds = [cell(flags).build for flags in FLAGS]
        assert not engine.has_build(builds[0])
        assert len(list(engine.run([cell(flags) for flags in FLAGS]))) == len(FLAGS)
        assert len(list(engine.run([cell(flags, "later") for flags in reversed(FLAGS)]))) == 3
        assert all(map(engine.has_build, builds))
    assert len({tuple(line) for line in lines(tmp_path / "builds")}) == len(FLAGS)


def test_what_ends_its_worker_each_time_is_given_up_and_the_rest_runs(
    local: LocalCluster, tmp_path: Path
) -> None:
    cells = [cell(FLAGS[0], run) for run in ("a", stand_ins.DEADLY, stand_ins.FULL, "b")]
    records, _ = ran(local, tmp_path, cells)
    found = {record.cell.split("/")[1]: record for record in records.values()}
    assert [found[name].verdict for name in "ab"] == [Verdict.OK, Verdict.OK]
    deadly, full = found[stand_ins.DEADLY], found[stand_ins.FULL]
    assert (deadly.verdict, deadly.failure) == (Verdict.BROKEN, Failure.RUN)
    assert "ended its worker, 4 times" in deadly.reason
    assert (full.verdict, full.failure) == (Verdict.SKIPPED, Failure.MACHINE)
    assert "no space left" in full.reason


def test_workers_that_die_cost_what_they_were_at(local: LocalCluster, tmp_path: Path) -> None:
    cells = [cell(flags, f"{stand_ins.SLOW}", name) for flags in FLAGS for name in "xy"]
    cells += [cell(flags, run) for flags in FLAGS for run in "abcdef"]
    killer = threading.Thread(target=_kill_some, args=(tmp_path,))
    killer.start()
    records, _ = ran(local, tmp_path, cells)
    killer.join()
    assert {record.verdict for record in records.values()} == {Verdict.OK}
    assert len(records) == len(cells)


def _kill_some(folder: Path) -> None:
    """Kill two workers that run cells, one after the other."""
    killed: set[str] = set()
    for _ in range(2):
        stand_ins.wait(lambda: bool({path.name for path in folder.glob("process-*")} - killed))
        name = min({path.name for path in folder.glob("process-*")} - killed)
        killed.add(name)
        os.kill(int(name.partition("-")[2]), signal.SIGKILL)
        time.sleep(0.3)


def test_without_its_scheduler_a_run_ends_and_keeps_what_it_has(
    local: LocalCluster, tmp_path: Path
) -> None:
    cells = [cell(FLAGS[0], run) for run in ("a", "b", stand_ins.SLOW)]
    with connected(local.scheduler_address) as cluster:
        records = started(cluster, tmp_path, []).run(cells)
        assert next(records).verdict is Verdict.OK
        threading.Thread(target=local.close).start()
        with pytest.raises(MachineError, match=r"does not answer any more.*same command"):
            list(records)


@pytest.mark.parametrize("answer", ["0.1 (abc)", ModuleNotFoundError("no harness")])
def test_a_scheduler_of_another_version_is_told(
    local: LocalCluster, monkeypatch: pytest.MonkeyPatch, answer: str | Exception
) -> None:
    def asked(*_: object) -> str:
        if isinstance(answer, Exception):
            raise answer
        return answer

    with connected(local.scheduler_address) as cluster:
        monkeypatch.setattr(cluster.client, "run_on_scheduler", asked)
        with pytest.raises(MachineError, match=r"another version of the harness .*start it again"):
            cluster.announce((), ())


def test_an_address_where_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.cluster.connection.SECONDS", "500 ms")
    with pytest.raises(MachineError, match="no scheduler answers"), connected("tcp://127.0.0.1:9"):
        pass


def test_nothing_of_dask_is_imported_without_a_scheduler() -> None:
    script = (
        "import sys, harness.commands.diagnose, harness.commands.sweep\n"
        "from harness.__main__ import main\n"
        "main(['matrix', '--list'])\n"
        "sys.exit(bool({'dask', 'distributed'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
