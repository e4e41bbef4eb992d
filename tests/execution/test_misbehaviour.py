"""What builds do that have nothing to do with computing, for real: on a core that does it."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.builder import Build
from harness.config.tables import Limits
from harness.domain.records import CellRecord, Failure, Verdict
from harness.domain.spec import RunSpec
from harness.execution import confinement, mishap
from harness.execution.confinement import sandbox_lacks
from harness.execution.memory import RECORD, CellMemory
from harness.util.build_store import Store
from harness.util.family import descendants
from harness.util.limits import GIB
from harness.util.process import Completed, Processes
from tests.execution.misbehaving import BUILD, cells, inputs, model, runner_with

pytestmark = pytest.mark.native

OK, BROKEN, SKIPPED = Verdict.OK, Verdict.BROKEN, Verdict.SKIPPED
RUN, MACHINE = Failure.RUN, Failure.MACHINE


def launch(
    core: Path,
    store: Store,
    folder: Path,
    *codes: int,
    processes: Processes | None = None,
    memory: CellMemory | None = None,
    again: bool = False,
    **limits: float,
) -> list[CellRecord]:
    runner = runner_with(store, **{"run_seconds": 60, "memory_gib": 1, **limits})
    if processes:
        runner = replace(runner, launcher=replace(runner.launcher, processes=processes))
    prepared = model(folder, "m", store)
    items = inputs(folder, prepared, store, *codes)
    run = RunSpec(name="off", options=(("use_fp16_storage", False),))
    chosen = replace(runner, memory=memory)
    build = Build(core=core, record=BUILD)
    return chosen.run(cells(items, run), build, prepared, items, again=again)


@pytest.mark.parametrize(
    ("code", "verdict", "failure", "reason"),
    [
        pytest.param(111, BROKEN, RUN, "exit code 0 before all was done", id="exits with 0"),
        pytest.param(112, BROKEN, RUN, "SIGHUP", id="kills its parent and its group"),
        pytest.param(113, OK, None, "", id="forges messages"),
        pytest.param(114, OK, None, "", id="closes all files"),
        pytest.param(115, OK, None, "", id="prints NUL bytes"),
        pytest.param(116, OK, None, "", id="prints without end"),
        pytest.param(117, OK, None, "", id="leaves a daemon"),
        pytest.param(118, OK, None, "", id="writes, removes and uses the network"),
        pytest.param(119, SKIPPED, MACHINE, "by SIGKILL, as the system does", id="is killed"),
        pytest.param(120, SKIPPED, MACHINE, "a limit of CPU time", id="is out of CPU time"),
        pytest.param(104, SKIPPED, MACHINE, "", id="takes all addresses"),
        pytest.param(121, SKIPPED, MACHINE, "used more than 1 GiB of memory", id="leaks"),
    ],
)
def test_misbehaviour_costs_no_other_input_and_is_told_as_it_is(
    core: Path,
    store: Store,
    tmp_path: Path,
    code: int,
    verdict: Verdict,
    failure: Failure | None,
    reason: str,
) -> None:
    if sandbox_lacks() and code in (112, 118):
        pytest.skip("; ".join(sandbox_lacks()))
    if code == 112:
        # A process may end itself in any way.
        failure, verdict, reason = MACHINE, SKIPPED, "by SIGHUP"
    memory = CellMemory(store=Store(root=tmp_path / "memory"))
    first, found, last = launch(core, store, tmp_path, 1, code, 2, memory=memory)
    assert (first.verdict, last.verdict) == (OK, OK)
    assert (found.verdict, found.failure) == (verdict, failure)
    assert reason in found.reason
    assert len(found.stderr) < 10_000
    assert (tmp_path / "m.param").read_text().startswith("7767517")
    assert not (tmp_path / "m.param.stolen").exists()
    assert b"sleep" not in b"".join(
        Path(f"/proc/{pid}/cmdline").read_bytes() for pid in descendants(os.getpid())
    )
    # What is not known to be true of the build is not remembered of it.
    kept = list((tmp_path / "memory").rglob(RECORD))
    assert len(kept) == (3 if found.verdict.has_numbers else 2)


@pytest.mark.skipif(os.getuid() == 0, reason="root may start any number of processes")
def test_forks_without_end_are_ended(core: Path, store: Store, tmp_path: Path) -> None:
    first, found = launch(core, store, tmp_path, 1, 122, run_seconds=5)
    assert (first.verdict, found.failure) == (OK, Failure.TIMEOUT)


class Hostile(Processes):
    """Processes to which something happens the first times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def call(self, *arguments: object, **named: object) -> Completed:
        done: Completed = super().call(*arguments, **named)  # type: ignore[arg-type]
        if self.times:
            self.times -= 1
            log = named["log"]
            assert isinstance(log, Path)
            (log.parent / "messages.jsonl").unlink(missing_ok=True)
            return replace(done, returncode=-signal.SIGKILL)
        return done


@pytest.mark.parametrize(("times", "verdict"), [(1, OK), (2, SKIPPED)])
def test_what_was_killed_is_tried_once_more(
    core: Path, store: Store, tmp_path: Path, times: int, verdict: Verdict
) -> None:
    found, other = launch(core, store, tmp_path, 1, 2, processes=Hostile(times))
    assert (found.verdict, other.verdict) == (verdict, OK)
    assert "Lower --jobs" in found.reason or verdict is OK


@pytest.mark.parametrize("code", [101, 105, 107, 111])
def test_where_addresses_are_short_nobody_is_blamed(
    core: Path, store: Store, tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mishap, "outer_address_space", lambda: 4 * GIB)
    first, found = launch(core, store, tmp_path, 1, code)
    assert (first.verdict, found.verdict, found.failure) == (OK, SKIPPED, MACHINE)
    assert "only 4 GiB of addresses" in found.reason


def test_the_least_memory_is_a_limit_too(core: Path, store: Store, tmp_path: Path) -> None:
    runner = runner_with(store)
    least = Limits().model_copy(update={"memory_gib": 1e-9})
    prepared = model(tmp_path, "m", store)
    items = inputs(tmp_path, prepared, store, 103)
    chosen = replace(runner, launcher=replace(runner.launcher, limits=least))
    build = Build(core=core, record=BUILD)
    (found,) = chosen.run(cells(items, RunSpec(name="off")), build, prepared, items)
    assert (found.verdict, found.failure) == (SKIPPED, MACHINE)
    assert "memory_gib" in found.reason


def test_a_full_disk_is_the_machines(
    core: Path, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "FILE_BYTES", 200)
    (found,) = launch(core, store, tmp_path, 1)
    assert (found.verdict, found.failure) == (SKIPPED, MACHINE)
    assert "larger than files may become here" in found.reason
