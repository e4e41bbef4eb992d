"""When a fault strikes: moments in a run that can be seen from outside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from faults import processes
from faults.index import slowly

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.run import Running
    from faults.stage import Stage

Moment = "Callable[[Stage, Running], None]"
"""Returns when the moment has come."""


def words(moment: Callable[[Stage, Running], None]) -> str:
    """Return a moment as the end of a sentence."""
    text = (moment.__doc__ or "").strip().rstrip(".")
    return text[:1].lower() + text[1:]


def starting(stage: Stage, run: Running) -> None:
    """In its first half second, while Python imports."""
    del run
    time.sleep(stage.random.uniform(0.02, 0.5))


def downloading(stage: Stage, run: Running) -> None:
    """While the archive is on its way."""
    stage.index.behaviour = slowly(4.0)
    run.until(lambda: stage.index.requests)
    time.sleep(stage.random.uniform(0.3, 2.5))


def extracting(stage: Stage, run: Running) -> None:
    """When some files of the archive have been written."""
    run.until(lambda: any(stage.sources.glob(".index-*/source/src/*")))


def evaluating(stage: Stage, run: Running) -> None:
    """When the first reference is there, or half there."""
    run.until(lambda: any(stage.store.glob("references/*")))


def compiling_the_binding(stage: Stage, run: Running) -> None:
    """While the Python binding compiles."""
    run.until(lambda: any(stage.store.glob("modules/.binding-*")))
    time.sleep(stage.random.uniform(0.0, 0.3))


def configuring(stage: Stage, run: Running) -> None:
    """While CMake asks the compiler what it can do."""
    run.until_there(processes.named("cmake"))
    time.sleep(stage.random.uniform(0.0, 0.5))


def compiling(stage: Stage, run: Running) -> None:
    """While the library compiles."""
    run.until_there(processes.named("ninja"))
    run.until(lambda: any((stage.store / "work").glob("slot-*/build/**/*.o")))
    time.sleep(stage.random.uniform(0.0, 0.5))


def compiling_the_second(stage: Stage, run: Running) -> None:
    """While the second library compiles, with cells of the first one measured."""
    run.until(lambda: len([*stage.store.glob("modules/2*")]) >= 1 and stage.cells_written() >= 1)
    run.until_there(processes.named("ninja"))


def measuring(stage: Stage, run: Running) -> None:
    """When the first cells are finished and others are not."""
    run.until(lambda: stage.cells_written() >= 1)
    time.sleep(stage.random.uniform(0.0, 0.15))


def working(stage: Stage, run: Running) -> None:
    """While ncnn runs in a worker."""
    del stage
    run.until_there(processes.workers)


def concluding(stage: Stage, run: Running) -> None:
    """When the tables have been written and the report has not."""
    run.until(lambda: any(stage.results.glob("*/layers.csv")))


def anywhere(seconds: float) -> Callable[[Stage, Running], None]:
    """Return a moment at random within some seconds."""

    def come(stage: Stage, run: Running) -> None:
        """At random."""
        del run
        time.sleep(stage.random.uniform(0.0, seconds))

    return come
