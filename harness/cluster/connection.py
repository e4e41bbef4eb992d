"""A Dask cluster that is there already: its scheduler, and what its workers offer."""

from __future__ import annotations

import asyncio
import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import dask.config
from distributed import Client, WorkerPlugin

from harness.cluster import capability
from harness.cluster.placement import WorkerState
from harness.cluster.release import release
from harness.cluster.unit import finished_builds
from harness.util.codes import Code
from harness.util.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from distributed import Future, Worker

    from harness.domain.spec import Target

SECONDS = "20 s"
"""How long a scheduler may take to answer."""
SETTING = "scheduler-address"
"""Where Dask's configuration has the scheduler."""
CODE = "code "
"""How the name begins that says which code of the harness a worker has."""
CONFIGURED = "dask"
"""In place of an address: what Dask's configuration says."""


class Announcement(WorkerPlugin):
    """Has each worker, also one that comes later, say what it can do."""

    name = "ncnn-build-matrix"

    def __init__(self, code: str, compilers: tuple[str, ...], targets: tuple[Target, ...]) -> None:
        self.code, self.compilers, self.targets = code, compilers, targets

    async def setup(self, worker: Worker) -> None:
        """Tell Dask; with other code than the sender's there is nothing to be told."""
        # Both take a while, in which the worker has to go on answering.
        if await asyncio.to_thread(release) != self.code:
            return
        names = await asyncio.to_thread(capability.offered, self.compilers, self.targets)
        await worker.set_resources(**capability.as_resources({*names, f"{CODE}{self.code}"}))


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A scheduler with its workers."""

    client: Client
    address: str

    def announce(self, compilers: tuple[str, ...], targets: tuple[Target, ...]) -> None:
        """Have all workers say what they can do.

        Raises:
            MachineError: the scheduler has other code, and could not read what it is given.
        """
        self._check_scheduler()
        try:
            self.client.register_plugin(Announcement(release(), compilers, targets))
        except Exception as error:
            # A worker without this harness cannot even read it; the others have it.
            logging.getLogger("harness").warning(
                "a worker of the cluster cannot be used: %s: %s", type(error).__name__, error
            )

    def _check_scheduler(self) -> None:
        try:
            code = str(self.client.run_on_scheduler(release))
        except Exception as error:
            code = f"none of it: {type(error).__name__}: {error}"
        if code != release():
            raise MachineError(
                f"the scheduler at {self.address} has another version of the harness ({code}), and "
                f"here it is {release()}. Install there what is here, and start it again.",
                code=Code.CLUSTER,
            )

    def workers(self) -> dict[str, WorkerState]:
        """Return the workers that can be used, by address.

        Raises:
            MachineError: the scheduler is gone.
        """
        return {
            address: WorkerState(offers=names, threads=int(about["nthreads"]))
            for address, about in self._about().items()
            if (names := _usable(about))
        }

    def refused(self) -> list[str]:
        """Return the workers that are given nothing, since their harness is another one."""
        return sorted(str(about["name"]) for about in self._about().values() if not _usable(about))

    def give(self, name: str, value: object) -> Future:
        """Hand something to the scheduler, which gives it to each worker that needs it, once.

        Args:
            name: what Dask's dashboard calls it.
            value: what stands in the place of the future, where that is an argument.
        """
        # What is scattered is lost with the worker that has it; a task's argument is not.
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sending large graph")
            return self.client.submit(_same, value, key=task_key(name), priority=2)

    def builds(self, workers: Collection[str]) -> dict[str, list[str]]:
        """Return the names of the finished builds that workers have, whatever they are at.

        Args:
            workers: their addresses.
        """
        found: dict[str, list[str]] = self.client.run(
            finished_builds, workers=[*workers], on_error="ignore"
        )
        return found

    def gone(self, why: object = "") -> MachineError:
        """Return what to say when the scheduler does not answer any more."""
        words = f" ({why})" if str(why) else ""
        return MachineError(
            f"the scheduler at {self.address} does not answer any more{words}. What is finished is "
            "kept: start it again, and run the same command, which continues",
            code=Code.CLUSTER,
        )

    def _about(self) -> dict[str, dict[str, Any]]:
        try:
            about: dict[str, dict[str, Any]] = self.client.scheduler_info(-1)["workers"]
        except (OSError, TimeoutError, KeyError, ValueError, RuntimeError) as error:
            raise self.gone(error) from error
        return about


def task_key(name: str) -> str:
    """Return a key for a task, of which the first word is the group that Dask puts it in.

    Scheduler and workers keep what they know of a group for ever, and count in each heartbeat what
    there is of each: a group per task would make every task dearer than the one before.

    Args:
        name: what Dask's dashboard calls it, beginning with what kind of task it is.
    """
    kind, _, what = name.partition(" ")
    return f"{kind}-{uuid4().hex[:8]} {what}"


def _usable(about: dict[str, Any]) -> frozenset[str]:
    """Return what a worker offers; nothing if it said so to a command with other code."""
    names = capability.from_resources(about["resources"])
    return names if f"{CODE}{release()}" in names else frozenset()


def _same(value: object) -> object:
    return value


@contextmanager
def connected(address: str) -> Iterator[Cluster]:
    """Yield the cluster whose scheduler has an address.

    Args:
        address: such as `tcp://10.0.0.1:8786`, the path of a scheduler file (`….json`), or
            `CONFIGURED` for what Dask's configuration says.

    Raises:
        MachineError: nobody answers there.
    """
    for name in ("distributed", "distributed.client"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    where = address
    if address == CONFIGURED:
        where = dask.config.get(SETTING, default=None) or ""
        if not where:
            raise MachineError(
                f"--scheduler {CONFIGURED}: Dask's configuration names none. Set "
                "DASK_SCHEDULER_ADDRESS, or give an address.",
                code=Code.CLUSTER,
            )
    named = {"scheduler_file": where} if where.endswith(".json") else {"address": where}
    try:
        client = Client(**named, timeout=SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        raise MachineError(
            f"--scheduler {where}: no scheduler answers ({error or type(error).__name__}). Start "
            "one with `dask scheduler`, and workers with `dask worker`, see docs/scale.md.",
            code=Code.CLUSTER,
        ) from error
    try:
        yield Cluster(client=client, address=where)
    finally:
        client.close(timeout=5)
