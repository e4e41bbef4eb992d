"""Calls what evaluates a model, in a process of its own and within limits."""

from __future__ import annotations

import logging
import pickle
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.reference import worker
from harness.reference.values import Reference
from harness.util.codes import Code
from harness.util.errors import CrashError, LimitError, MachineError, ModelError
from harness.util.process import FROM_OUTSIDE, Processes
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.config.tables import Limits
    from harness.reference.evaluator import Array, Work
    from harness.util.process import Completed

logger = logging.getLogger(__name__)

LAST_LINES = 3


@dataclass(frozen=True, kw_only=True)
class IsolatedEvaluator:
    """Calls each function in a process of its own; what it gives is mapped from a file."""

    limits: Limits
    processes: Processes = field(default_factory=lambda: Processes(preload=worker))

    def __call__(self, work: Work, *given: Any, what: Path) -> Mapping[str, Array]:
        """Return what a function gives, as `Evaluator` has it; arrays are read-only.

        Raises:
            MachineError: the process ended for a reason that is not the model's, twice.
        """
        for last in (False, True):
            values = self._values(work, given, what=what, last=last)
            if values is not None:
                return values
        raise AssertionError("unreachable")

    def _values(
        self, work: Work, given: tuple[Any, ...], *, what: Path, last: bool
    ) -> Mapping[str, Array] | None:
        """Return what a function gives; None if somebody ended the process, but for the last time.

        That says nothing of the model: it must not be taken for one that cannot be evaluated.
        """
        with scratch_directory("reference-") as scratch:
            call = (work.__module__, work.__name__, given)
            (scratch / worker.WORK).write_bytes(pickle.dumps(call))
            ended = self.processes.call(
                worker.main,
                [scratch, str(self.limits.memory_bytes)],
                log=scratch / "log",
                timeout=self.limits.reference_seconds,
            )
            if ended.ok:
                # What is mapped stays when the folder goes.
                return dict(Reference(scratch / worker.VALUES))
            if (scratch / worker.REFUSED).is_file():
                said = (scratch / worker.REFUSED).read_text(encoding="utf-8")
                code, _, why = said.partition(" ")
                raise ModelError(why, code=Code(code))
            exhausted = (scratch / worker.EXHAUSTED).is_file()
        if -ended.returncode in FROM_OUTSIDE and not ended.timed_out and not last:
            logger.info("%s is evaluated again: %s", what, ended.fate)
            return None
        raise self._failure(ended, what, exhausted=exhausted)

    def _failure(self, ended: Completed, what: Path, *, exhausted: bool) -> Exception:
        if ended.timed_out:
            return LimitError(
                f"{what}: evaluating it gave no result within {self.limits.reference_seconds:g} s. "
                "Raise `reference_seconds` in [limits], or give a smaller model or input."
            )
        if exhausted or "MemoryError" in ended.output:
            return LimitError(
                f"{what}: evaluating it takes more than {self.limits.memory_gib:g} GiB of memory. "
                "Raise `memory_gib` in [limits], or give a smaller model or input."
            )
        if -ended.returncode in FROM_OUTSIDE:
            return MachineError(
                f"{what}: the process that evaluates it was ended from outside by {ended.fate}, as "
                "the system does when memory is short. Close other programs, and run again.",
                code=Code.MEMORY,
            )
        if ended.returncode < 0:
            return CrashError(
                f"{what}: the process that evaluates it ended with {ended.fate}. Perhaps memory is "
                "short: close other programs. If it comes again, simplify the model."
            )
        said = " | ".join(ended.output.strip().splitlines()[-LAST_LINES:])
        return MachineError(
            f"{what}: the process that evaluates it ended with {ended.fate}: {said}. See to that, "
            "and run again.",
        )
