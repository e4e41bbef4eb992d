"""What the engine of a cluster costs by itself: `python -m tests.cluster.overhead 100 10000`.

Workers are simulated: all are in this process, and build and run nothing at all. What is left is
the time of scheduler and engine, for the number of workers and of cells that the arguments say.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import dask.config
from distributed import LocalCluster

from harness.cluster import capability, connection, unit
from harness.cluster import engine as engine_module
from harness.cluster.connection import connected
from harness.cluster.release import release
from harness.cluster.unit import Made
from harness.domain.records import Verdict
from harness.domain.spec import FlagSet
from tests.cluster.specs import cell
from tests.cluster.test_engine import started
from tests.records import cell as record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.records import CellRecord
    from harness.domain.spec import BuildSpec, CellSpec

CELLS_OF_A_BUILD = 100


def make(_settings: object, _spec: BuildSpec) -> Made:
    return Made(instead=None, cached=True)


def run(_settings: object, cells: Sequence[CellSpec], _parcel: object) -> list[CellRecord]:
    made = record({"Convolution": 1e-7, "ReLU": 0.0})
    return [made.model_copy(update={"cell": c.id, "verdict": Verdict.OK}) for c in cells]


def main(workers: int, count: int) -> None:
    """Run so many cells on so many workers, and print what one costs."""
    for name, stand_in in (("make", make), ("run", run)):
        setattr(unit, name, stand_in)
    cast("Any", engine_module).packed = lambda at_hand: at_hand
    # Asked by each worker, at its own expense: on one machine they would wait for each other.
    offers, code = capability.offered((), ()), release()
    cast("Any", capability).offered = lambda *_: offers
    cast("Any", connection).release = lambda: code
    cells = [
        cell(FlagSet(name=f"f{number // CELLS_OF_A_BUILD}"), f"r{number % CELLS_OF_A_BUILD}")
        for number in range(count)
    ]
    begun = time.monotonic()
    # What each worker looks at of its machine all the time is no cost of the scheduler's.
    calm = {
        "distributed.admin.system-monitor.interval": "1 hour",
        "distributed.admin.tick.interval": "1 hour",
        "distributed.admin.tick.cycle": "1 hour",
        "distributed.worker.profile.enabled": False,
    }
    with (
        dask.config.set(calm),
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=False,
            memory_limit=0,  # of a process that all of them share
            dashboard_address=":0",
            silence_logs=100,
        ) as local,
        connected(local.scheduler_address) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        engine = started(cluster, Path(folder), [])
        ready, idle = time.monotonic(), time.process_time()
        found = sum(1 for _ in engine.run(cells))
        took, busy = time.monotonic() - ready, time.process_time() - idle
    print(
        f"{workers} workers (there after {ready - begun:.0f} s), {found} cells: {took:.1f} s, "
        f"{1000 * took / found:.2f} ms each; processor {1000 * busy / found:.2f} ms each, "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB",
        flush=True,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
