"""A diagnosis on a worker: what goes there, what comes back, and what fails there."""

from __future__ import annotations

import pickle
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from harness.analysis.diagnosis.prepare import References
from harness.cluster import examination
from harness.cluster.connection import connected
from harness.cluster.examination import brought, examined, taken
from harness.cluster.team import Team
from harness.domain.spec import FlagSet, InputSpec
from harness.util.build_store import Store
from harness.util.errors import BuildError
from tests import one_layer
from tests.analysis.diagnosis.test_examination import QUESTION
from tests.cluster import stand_ins
from tests.cluster.specs import cell
from tests.evaluating import here
from tests.proven import preparation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from distributed import LocalCluster

    from harness.analysis.diagnosis.examination import Question

# Dask complains of connections that are lost, which is what happens here.
pytestmark = pytest.mark.filterwarnings("ignore")

ITEM = InputSpec(name="i", random=1, shape=(1, 40, 120))


def test_a_model_arrives_with_all_values_and_nothing_of_the_sender_is_needed(
    tmp_path: Path,
) -> None:
    home, away = tmp_path / "home", Store(root=tmp_path / "away")
    home.mkdir()
    spec = one_layer.written(home)
    store = Store(root=home / "store")
    prepared = preparation(spec, [ITEM], store)
    known = References(
        model=prepared.model, store=store, evaluator=here, limit=1 << 30, taken=prepared.taken
    )
    truth, item = known.truth(ITEM), known.input(ITEM)
    values = [
        {name: np.array(reference[name]) for name in reference}
        for reference in (truth.exact, truth.single, item.reference)
    ]
    sent = pickle.dumps(taken(known, [ITEM]))
    shutil.rmtree(home)
    there = brought(pickle.loads(sent), away)
    assert there.model.digest == known.model.digest
    assert there.model.conversion == known.model.conversion
    moved, given = there.truth(ITEM), there.input(ITEM)
    for reference, before in zip((moved.exact, moved.single, given.reference), values, strict=True):
        assert {name: array.tobytes() for name, array in reference.items()} == {
            name: array.tobytes() for name, array in before.items()
        }
    assert moved.floors == truth.floors
    assert given.noise.floors == item.noise.floors
    for name, array in truth.tensors.items():
        np.testing.assert_array_equal(moved.tensors[name], array)
    assert {name: array.shape for name, array in there.constants.items()} == {
        name: array.shape for name, array in known.constants.items()
    }
    assert moved.exact.directory.parent == away.references


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def team(
    local: LocalCluster, tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Team]:
    monkeypatch.setattr(examination, "examine", stand_ins.examine)
    monkeypatch.setattr(examination, "taken", lambda known, specs: known)
    with connected(local.scheduler_address) as cluster:
        cluster.announce((), ())
        with Team(cluster, cast("Any", tmp_path), {"compiler C++"}, say=told.append) as made:
            yield made


def question(run: str) -> Question:
    return replace(QUESTION, cell=cell(FlagSet(name="f"), run))


def test_what_is_found_arrives_with_its_files_though_a_worker_died(
    team: Team, told: list[str], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    found = examined(team, question(stand_ins.DEADLY), cast("Any", None), lambda: results)
    assert [path.name for path in results.iterdir()] == [stand_ins.CHANGED]
    assert (results / stand_ins.CHANGED).read_bytes() == stand_ins.CONTENT
    options, masks = found.diagnosis.fixes
    assert (options.param, masks.param) == ("", str(results / stand_ins.CHANGED))
    (record,) = found.records
    # Its words come by another way, and may be later.
    stand_ins.wait(lambda: bool(told))
    assert told == [f"measuring: i on {record.machine['worker']}"]
    # Others may use the same cluster.
    team._told((0.0, {"name": "w", "task": "diagnose of somebody", "words": "measuring: x"}))
    assert len(told) == 1


def test_a_build_that_fails_there_fails_as_it_would_here(team: Team) -> None:
    with pytest.raises(BuildError, match="it does not compile") as raised:
        examined(team, question(stand_ins.FULL), cast("Any", None), lambda: pytest.fail("made"))
    assert (raised.value.log, raised.value.lasting) == ("a.log", False)
