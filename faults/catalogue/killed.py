"""Processes that are killed outright, as by the system when memory runs out."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from faults import processes
from faults.catalogue import moments
from faults.fault import SAME, Fault, Start
from faults.run import NeverHappenedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.processes import Process
    from faults.run import Ended, Running
    from faults.stage import Stage

    Find = Callable[[int], list[Process]]
    Moment = Callable[[Stage, Running], None]

KILLED = -signal.SIGKILL
RETRIES = "the build is made again, or the machine is named; the build is not remembered as failed"


def _harness(moment: Moment) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        run = stage.start()
        moment(stage, run)
        run.send(signal.SIGKILL)
        return run.ended()

    return strike


def _harness_dies(name: str, moment: Moment, start: Start) -> Fault:
    return Fault(
        id=f"kill-harness-{name}",
        kind="killed",
        where=f"the harness, {moments.words(moment)}",
        how="SIGKILL",
        expected="finished cells are kept, and the next run goes on",
        codes=(KILLED,),
        strike=_harness(moment),
        start=start,
        tidies="nothing",
    )


def _victims(find: Find, *, times: int = 1, pause: float = 0.0) -> Callable[[Stage], Ended]:
    """Return what kills processes of a sort, so many times, as soon as they are there."""

    def strike(stage: Stage) -> Ended:
        run = stage.start()
        struck: set[int] = set()
        while len(struck) < times:
            try:
                found = [p for p in run.until_there(find) if p.pid not in struck]
            except NeverHappenedError:
                if struck:
                    break
                raise
            if found:
                victim = stage.random.choice(found)
                processes.kill([victim])
                struck.add(victim.pid)
                time.sleep(pause)
        return run.ended()

    return strike


def _everything(stage: Stage) -> Ended:
    """Kill all processes at once, as losing power does, but for what the disk has not yet."""
    run = stage.start()
    moments.compiling(stage, run)
    processes.kill(processes.descendants())
    return run.ended()


def _twice(stage: Stage) -> Ended:
    for moment in (moments.compiling, moments.measuring):
        run = stage.start()
        moment(stage, run)
        run.send(signal.SIGKILL)
        ended = run.ended()
    return ended


def _often(stage: Stage) -> Ended:
    """Kill one run after the other at random, each a little later."""
    for number in range(1, 7):
        run = stage.start()
        moments.anywhere(0.7 * number)(stage, run)
        run.send(signal.SIGKILL)
        ended = run.ended()
    return ended


def _stopped(find: Find | None, seconds: float) -> Callable[[Stage], Ended]:
    """Return what holds a process for a while, as a machine does that swaps or sleeps."""

    def strike(stage: Stage) -> Ended:
        run = stage.start()
        if find is None:
            moments.measuring(stage, run)
            run.send(signal.SIGSTOP)
            time.sleep(seconds)
            run.send(signal.SIGCONT)
        else:
            found = run.until_there(find)
            processes.kill(found, signal.SIGSTOP)
            time.sleep(seconds)
            processes.kill(found, signal.SIGCONT)
        return run.ended()

    return strike


def _worker(stage: Stage) -> Ended:
    """Kill a worker of a cell of the table: some are there before, to look at the model."""
    run = stage.start()
    run.until(lambda: any(stage.results.glob("*/run.json")))
    processes.kill(run.until_there(processes.workers)[:1])
    return run.ended()


def _server_while_working(stage: Stage) -> Ended:
    run = stage.start()
    moments.working(stage, run)
    processes.kill(processes.fork_servers(run.pid))
    return run.ended()


FAULTS = (
    _harness_dies("starting", moments.starting, "built"),
    _harness_dies("downloading", moments.downloading, "unfetched"),
    _harness_dies("extracting", moments.extracting, "unfetched"),
    _harness_dies("reference", moments.evaluating, "fetched"),
    _harness_dies("binding", moments.compiling_the_binding, "unbound"),
    _harness_dies("configuring", moments.configuring, "fetched"),
    _harness_dies("compiling", moments.compiling, "fetched"),
    _harness_dies("second-build", moments.compiling_the_second, "fetched"),
    _harness_dies("measuring", moments.measuring, "built"),
    _harness_dies("working", moments.working, "built"),
    _harness_dies("concluding", moments.concluding, "measured"),
    _harness_dies("anywhere", moments.anywhere(8.0), "empty"),
    Fault(
        id="kill-harness-twice",
        kind="killed",
        where="the harness while it compiles, and its next run while it measures",
        how="SIGKILL",
        expected="finished cells are kept, and the next run goes on",
        codes=(KILLED, SAME),
        strike=_twice,
        start="fetched",
        tidies="nothing",
    ),
    Fault(
        id="kill-harness-six-times",
        kind="killed",
        where="six runs after each other, at random",
        how="SIGKILL",
        expected="finished cells are kept, and the next run goes on",
        codes=(KILLED, SAME),
        strike=_often,
        start="fetched",
        tidies="nothing",
    ),
    Fault(
        id="kill-everything",
        kind="killed",
        where="all processes at once while the library compiles",
        how="SIGKILL",
        expected="the next run starts that build again",
        codes=(KILLED,),
        strike=_everything,
        start="cold",
        tidies="nothing",
    ),
    Fault(
        id="kill-compiler",
        kind="killed",
        where="a compiler at work",
        how="SIGKILL to cc1plus",
        expected=RETRIES,
        codes=(SAME, 3),
        strike=_victims(processes.named("cc1plus")),
        start="cold",
    ),
    Fault(
        id="kill-compilers-often",
        kind="killed",
        where="compilers at work, five times",
        how="SIGKILL to cc1plus",
        expected=RETRIES,
        codes=(SAME, 3),
        strike=_victims(processes.compilers, times=5, pause=0.3),
        start="cold",
    ),
    Fault(
        id="kill-linker",
        kind="killed",
        where="the linker",
        how="SIGKILL to collect2 or ld",
        expected=RETRIES,
        codes=(SAME, 3),
        strike=_victims(
            lambda _: [p for p in processes.descendants() if p.name in ("collect2", "ld")]
        ),
        start="fetched",
    ),
    Fault(
        id="kill-cmake",
        kind="killed",
        where="CMake while it configures",
        how="SIGKILL",
        expected=RETRIES,
        codes=(SAME, 3),
        strike=_victims(processes.named("cmake")),
        start="fetched",
    ),
    Fault(
        id="kill-ninja",
        kind="killed",
        where="Ninja while the library compiles",
        how="SIGKILL",
        expected=RETRIES,
        codes=(SAME, 3),
        strike=_victims(processes.named("ninja"), pause=0.1),
        start="fetched",
    ),
    Fault(
        id="kill-cache-server",
        kind="killed",
        where="the compiler cache's server while the library compiles",
        how="SIGKILL to sccache",
        expected="the build goes on without it",
        strike=_victims(processes.cache_servers, pause=0.2),
        start="cold",
    ),
    Fault(
        id="kill-cache-server-often",
        kind="killed",
        where="the compiler cache's server, five times",
        how="SIGKILL to sccache",
        expected="the build goes on without it",
        strike=_victims(processes.cache_servers, times=5, pause=0.5),
        start="fetched",
    ),
    Fault(
        id="kill-worker",
        kind="killed",
        where="a worker while it runs ncnn",
        how="SIGKILL",
        expected="ncnn is not blamed: the cell is measured again, or left out with the reason",
        codes=(SAME, 0, 1),
        strike=_worker,
    ),
    Fault(
        id="kill-workers-often",
        kind="killed",
        where="workers, twelve times",
        how="SIGKILL",
        expected="ncnn is not blamed: cells are measured again, or left out with the reason",
        codes=(SAME, 0, 1),
        strike=_victims(processes.workers, times=12),
    ),
    Fault(
        id="kill-fork-server",
        kind="killed",
        where="the server that workers are forked from, before the first",
        how="SIGKILL",
        expected="another one is started, and all cells are measured",
        strike=_victims(processes.fork_servers),
    ),
    Fault(
        id="kill-fork-server-working",
        kind="killed",
        where="the server that workers are forked from, while one works",
        how="SIGKILL when a worker is there",
        expected="another one is started, and all cells are measured",
        strike=_server_while_working,
    ),
    Fault(
        id="kill-fork-servers-often",
        kind="killed",
        where="the servers that workers are forked from, six times",
        how="SIGKILL",
        expected="others are started, or the machine is named; no cell is wrong",
        codes=(SAME, 3),
        strike=_victims(processes.fork_servers, times=6, pause=0.2),
    ),
    Fault(
        id="stop-harness",
        kind="killed",
        where="the harness while it measures, held for three seconds",
        how="SIGSTOP, SIGCONT",
        expected="nothing is lost, and no cell is called slow",
        strike=_stopped(None, 3.0),
    ),
    Fault(
        id="stop-workers",
        kind="killed",
        where="workers, held for three seconds",
        how="SIGSTOP, SIGCONT",
        expected="nothing is lost, and no cell is called slow",
        strike=_stopped(processes.workers, 3.0),
    ),
)
