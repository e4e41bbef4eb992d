"""What a process is told that runs cases, and what it writes down line by line meanwhile."""

from __future__ import annotations

from harness.cases.judgement import CaseVerdict
from harness.domain.base import MessageValue
from harness.domain.verdict import Tolerance
from harness.execution.heap import Heap


class CaseRun(MessageValue):
    """Run options of a job."""

    name: str
    options: dict[str, bool | int] = {}
    threads: int = 1


class CaseItem(MessageValue):
    """One case of a job."""

    case: str
    """Its id."""
    runs: tuple[int, ...]
    """Places of the run options in the job."""


class CaseJob(MessageValue):
    """One build and many cases: the work of one process."""

    binding: str
    """The pybind11 binding; not needed with a `runner`."""
    runner: tuple[str, ...] = ()
    """Command of the runner, for a build that Python itself cannot load."""
    library: str = ""
    core: str
    runs: tuple[CaseRun, ...]
    exact: CaseRun
    """What a layer without a definition is compared with: the same build by these options."""
    items: tuple[CaseItem, ...]
    tolerance: Tolerance
    heap: Heap = Heap.AS_IT_IS
    seconds: int = 10
    """After which a run of one case is taken to hang."""
    network: bool = False
    """Whether the runner is reached by the network."""
    counts: bool = False
    """Whether the build counts what is run of it, see `harness.build.coverage`."""


class RunDone(MessageValue):
    """A case has been run with some options."""

    item: int
    run: int
    verdict: CaseVerdict
