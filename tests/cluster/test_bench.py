"""The bench of a sweep on real schedulers and workers; its builds and cases are stood in for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import pytest

from harness.analysis.sweep.collection import CasePlan, Collection, cases_file
from harness.analysis.sweep.laboratory import SweepSubject
from harness.cases.layer_case import LayerCase
from harness.cluster import bench as bench_module
from harness.cluster import case_unit, connection
from harness.cluster.bench import ClusterBench
from harness.cluster.connection import connected
from harness.cluster.team import GivenUpError, Team
from harness.domain.spec import BuildSpec, FlagSet, Revision, RunSpec
from harness.util.errors import BuildError
from tests.cluster import stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from distributed import LocalCluster

    from harness.execution.case_runner import CaseRecord, Request

# Dask complains of connections that are lost, which is what happens here.
pytestmark = pytest.mark.filterwarnings("ignore")

FLAGS = FlagSet(name="f")
RUN = RunSpec(name="default")


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    builds = partial(stand_ins.finished_builds, tmp_path)
    monkeypatch.setattr(connection, "finished_builds", builds)
    monkeypatch.setattr(case_unit, "make", stand_ins.sweep_build)
    monkeypatch.setattr(case_unit, "run", stand_ins.sweep_cases)
    monkeypatch.setattr(bench_module, "CHUNK", 2)
    monkeypatch.setattr(bench_module, "WORTH", 10)


@pytest.fixture
def team(shared: LocalCluster, tmp_path: Path) -> Iterator[Team]:
    with connected(shared.scheduler_address) as cluster:
        cluster.client.wait_for_workers(3)
        cluster.announce((), ())
        with Team(cluster, cast("Any", tmp_path), {"compiler C++"}) as made:
            yield made


def wanted(*labels: str) -> list[BuildSpec]:
    return [
        BuildSpec(
            revision=Revision(label=label, kind="directory", name=""), flags=FLAGS, layers=None
        )
        for label in labels
    ]


def requests(count: int) -> list[Request]:
    return [(LayerCase.of("ReLU", {0: float(slope)}, (3,)), (RUN,)) for slope in range(count)]


def cases(records: Sequence[CaseRecord]) -> list[str]:
    return [record.case for record in records]


def done(folder: Path, what: str) -> list[tuple[str, str]]:
    """Return which builds were made, or had cases run, and by whom, once for each time."""
    words = [line.split() for line in (folder / what).read_text().splitlines()]
    return [(label, who) for label, who in words]


def test_all_builds_are_worked_at_and_each_keeps_its_order_and_its_worker(
    team: Team, tmp_path: Path
) -> None:
    bench = ClusterBench(team, wanted("a", "b"), exact=RUN, cases=12)
    some = requests(11)
    assert [record.version for record in bench.records] == ["a", "b"]
    assert bench.machine == {"cpu": "some"}
    found: dict[int, list[CaseRecord]] = {0: [], 1: []}
    order = []
    for place, record in bench.run_in_each([some, some[:5]]):
        found[place].append(record)
        order.append(place)
    assert cases(found[0]) == [case.id for case, _ in some]
    assert cases(found[1]) == [case.id for case, _ in some[:5]]
    assert order.index(1) < 5, "the second build waited for the first"
    assert len(set(done(tmp_path, "made"))) == len(done(tmp_path, "made")) == 2
    assert set(done(tmp_path, "cases")) == set(done(tmp_path, "made"))
    assert cases(list(bench.run(1, some[:1], confirm=False))) == [some[0][0].id]


def test_who_has_a_build_already_is_its_worker_again(team: Team, tmp_path: Path) -> None:
    ClusterBench(team, wanted("a"), exact=RUN, cases=1)
    ClusterBench(team, wanted("x", "y", "a"), exact=RUN, cases=1)
    who = [who for label, who in done(tmp_path, "made") if label == "a"]
    assert len(who) == 2
    assert len(set(who)) == 1


def test_workers_that_are_left_over_take_part_where_there_is_much_to_do(
    team: Team, tmp_path: Path
) -> None:
    bench = ClusterBench(team, wanted("a", "b"), exact=RUN, cases=20)
    some = requests(8)
    assert cases(list(bench.run(0, some))) == [case.id for case, _ in some]
    assert sorted(label for label, _ in done(tmp_path, "made")) == ["a", "a", "b"]
    assert len({who for _, who in done(tmp_path, "made")}) == 3
    assert {who for label, who in done(tmp_path, "cases") if label == "a"} == {
        who for label, who in done(tmp_path, "made") if label == "a"
    }


def test_a_worker_that_dies_costs_its_chunk_which_runs_elsewhere(
    team: Team, tmp_path: Path
) -> None:
    (tmp_path / stand_ins.KILL_ONCE).touch()
    bench = ClusterBench(team, wanted("a"), exact=RUN, cases=6)
    some = requests(6)
    assert cases(list(bench.run(0, some))) == [case.id for case, _ in some]
    assert not (tmp_path / stand_ins.KILL_ONCE).exists()
    # What comes later has another worker, which is the same from then on.
    for _ in range(3):
        list(bench.run(0, some[:1]))
    assert len(set(done(tmp_path, "cases")[-3:])) == 1


def test_cases_that_end_each_worker_are_named(team: Team) -> None:
    bench = ClusterBench(team, wanted("a"), exact=RUN, cases=3)
    deadly = (LayerCase.of(stand_ins.DEADLY_LAYER, {}, (3,)), (RUN,))
    with pytest.raises(GivenUpError, match=rf"cases a-f {deadly[0].id} to .*4 times"):
        list(bench.run_in_each([[deadly, *requests(3)]]))


def test_what_cannot_be_built_ends_the_sweep_as_here(team: Team) -> None:
    with pytest.raises(BuildError, match="does not compile") as raised:
        ClusterBench(team, wanted("a", stand_ins.UNBUILDABLE), exact=RUN, cases=3)
    assert raised.value.first_error == "first"


def test_a_sweep_is_kept_as_it_comes_and_goes_on_where_it_ended(team: Team, tmp_path: Path) -> None:
    bench = ClusterBench(team, wanted("a", "b"), exact=RUN, cases=6)
    subjects = [
        SweepSubject(label=label, tree=tmp_path, runs=(RUN,), defaults={}, unsupported=lambda _: "")
        for label in ("a", "b")
    ]
    given = [case for case, _ in requests(6)]
    plan = CasePlan(layers=["ReLU"], count=6, seed=0, given=given)
    first = Collection(folder=tmp_path, bench=bench, advanced=_ended_after(3))
    first.recall(subjects)
    with pytest.raises(KeyboardInterrupt):
        first.run(subjects, plan, 0)
    told: list[str] = []
    second = Collection(
        folder=tmp_path, bench=bench, advanced=lambda label, record: told.append(record.case)
    )
    assert second.recall(subjects) == 3
    second.run(subjects, plan, 0)
    assert len(told) == 9
    for subject in subjects:
        assert [*second.records[subject.label]] == [case.id for case in given]
        assert len(cases_file(tmp_path, subject.label).read_text().splitlines()) == 6


def _ended_after(count: int) -> Any:
    seen: list[str] = []

    def advanced(label: str, record: CaseRecord) -> None:
        seen.append(label)
        if len(seen) == count:
            raise KeyboardInterrupt

    return advanced
