"""Starts worker processes, follows them through their deaths, and puts together what they left."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.compare.layer_errors import with_alone
from harness.execution import worker
from harness.execution.confinement import run_worker
from harness.execution.job import AloneDone, ChainDone, InputDone, Job, JobInput, Message, Opened
from harness.execution.messages import array_of, messages_of
from harness.execution.mishap import SHORT, confined, is_short_of_memory, mishap_of
from harness.execution.native_trace import crash_of
from harness.execution.session import USE_VULKAN
from harness.execution.unchanged import unchanged
from harness.model.param import read_param
from harness.util.process import Completed, Processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.config.tables import Limits
    from harness.domain.records import Crash, LayerRecord
    from harness.execution.session import Array

logger = logging.getLogger(__name__)

MAX_DEATHS = 8
"""Processes that one input may cost; layers that were not run by then are not run at all."""


@dataclass(kw_only=True)
class InputResult:
    """What became of one input of a job."""

    name: str
    opened: Opened = field(default_factory=Opened)
    chain: ChainDone | None = None
    alone: dict[str, AloneDone] = field(default_factory=dict)
    """By layer."""
    ended: Completed | None = None
    """How the process ended that ran the input last."""
    crash: Crash | None = None
    """Where the first process was that a signal ended, as far as it could write it."""
    death: Completed | None = None
    """How the first process ended that did not outlive this input."""
    deaths: int = 0
    mishap: str = ""
    """What the machine did to the process, so that nothing can be said of the build."""

    @property
    def failure(self) -> str:
        """Why there is no output; empty if there is one."""
        if self.mishap:
            return f"not measured: {self.mishap}"
        if self.opened.stopped:
            return self.opened.stopped
        if self.chain is None:
            return fate_of(self.ended) if self.ended else "not run"
        return self.chain.failure

    @property
    def died_alone(self) -> dict[str, str]:
        """Layers whose run alone ended the process, with how it ended."""
        return {name: done.died for name, done in self.alone.items() if done.died}

    @property
    def layers(self) -> tuple[LayerRecord, ...]:
        """The records of all blobs, with the errors of the chain and of each layer alone."""
        if self.chain is None:
            return ()
        found = []
        for record in self.chain.layers:
            done = self.alone.get(record.name)
            if done is None:
                found.append(record)
            else:
                error = done.errors.get(record.blob)
                found.append(with_alone(record, error, done.reasons.get(record.blob, "")))
        return tuple(found)

    def chain_blob(self, blob: str) -> Array | None:
        """Return a blob of the chain, where blobs were kept and it was computed."""
        file = self.chain.files.get(blob) if self.chain else None
        return array_of(file) if file else None

    def alone_blob(self, layer: str, blob: str) -> Array | None:
        """Return a blob of a layer alone, where blobs were kept and it was computed."""
        done = self.alone.get(layer)
        file = done.files.get(blob) if done else None
        return array_of(file) if file else None

    def outputs(self) -> Mapping[str, Array]:
        """Return the model's outputs by blob, while the job's folder is there."""
        files = self.chain.output_files if self.chain else {}
        found = {blob: array_of(file) for blob, file in files.items()}
        return {blob: array for blob, array in found.items() if array is not None}


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Runs jobs in processes of their own."""

    binding: Callable[[], Path]
    """Returns the pybind11 binding; called where Python itself loads the build."""
    limits: Limits
    processes: Processes = field(default_factory=lambda: Processes(preload=worker))

    def run(self, job: Job, folder: Path) -> list[InputResult]:
        """Run all inputs of a job and return what became of each, in their order.

        A process that dies loses the step it was in, the chain of an input or one layer alone;
        a new one goes on behind it. What the machine has ended is tried once more.

        Args:
            job: what to run; the binding is added here.
            folder: where messages and outputs go; the caller removes it.

        Raises:
            MachineError: the disk of `folder` is full, no process can be started, or the build, the
                model or an input was damaged meanwhile.
        """
        job = job.model_copy(update={"binding": "" if job.runner else str(self.binding())})
        with unchanged(job.files()):
            return self._all(job, folder)

    def _all(self, job: Job, folder: Path) -> list[InputResult]:
        results = [InputResult(name=item.name) for item in job.inputs]
        pending = list(zip(job.inputs, results, strict=True))
        attempt = 0
        tried: set[str] = set()
        while pending:
            place = folder / f"process-{attempt}"
            attempt += 1
            inputs = tuple(item for item, _ in pending)
            finished, ended = self._process(job.model_copy(update={"inputs": inputs}), place)
            stopped = _take(finished, [result for _, result in pending])
            for _, result in pending:
                result.ended = ended
            if stopped:
                break
            done = {message.input for message in finished if isinstance(message, InputDone)}
            pending = [(item, result) for item, result in pending if item.name not in done]
            if pending:
                item, result = pending.pop(0)
                mishap = mishap_of(ended, self.limits.memory_bytes)
                if mishap and (item.name in tried or not mishap.again):
                    result.mishap = mishap.reason
                    continue
                if mishap:
                    logger.info("%s is measured again: %s", item.name, mishap.reason)
                    tried.add(item.name)
                    again = _left(item, result, job)
                else:
                    crash = crash_of(place / worker.TRACE_FILE, Path(job.core))
                    result.death = result.death or ended
                    result.crash = result.crash or crash
                    again = _after_death(item, result, ended, job)
                pending = [(again, result), *pending] if again else pending
        self._without_blame(results)
        return results

    def _process(self, job: Job, place: Path) -> tuple[list[Message], Completed]:
        """Start one process for all inputs of a job and read what it left."""
        kept = [item.keep for item in job.inputs if item.keep]
        ended = run_worker(
            self.processes,
            worker.main,
            job,
            place,
            seconds=self.limits.run_seconds * len(job.inputs),
            memory_bytes=self.limits.memory_bytes,
            devices=bool(job.options.get(USE_VULKAN)),
            folders=kept,
            # Results must not depend on the machine's idea of a good thread count.
            environment={"OMP_NUM_THREADS": str(job.threads)},
        )
        return messages_of(place / worker.MESSAGES_FILE, job, [place, *kept]), ended

    def _without_blame(self, results: Sequence[InputResult]) -> None:
        """Take back what ncnn is said to have failed at where it was refused memory."""
        limited = confined(self.limits.memory_bytes)
        for result in results:
            words = result.ended.output if result.ended else ""
            if result.mishap or not (result.failure or result.died_alone):
                continue
            if result.opened.unsupported or result.opened.skipped:
                continue
            if limited:
                result.mishap = limited.reason
            elif result.failure and is_short_of_memory(words):
                result.mishap = SHORT


def _take(messages: Sequence[Message], results: Sequence[InputResult]) -> bool:
    """Sort messages into the results, and return whether the build could not even be opened."""
    by_name = {result.name: result for result in results}
    for message in messages:
        if isinstance(message, Opened):
            for result in results:
                result.opened = message
            if message.stopped:
                return True
        elif isinstance(message, ChainDone):
            by_name[message.input].chain = message
        elif isinstance(message, AloneDone):
            by_name[message.input].alone[message.layer] = message
    return False


def fate_of(ended: Completed) -> str:
    """Return how a process ended that did not do all that it was to do."""
    return f"{ended.fate} before all was done" if ended.ok else ended.fate


def _left(item: JobInput, result: InputResult, job: Job) -> JobInput | None:
    """Return what is left of an input whose process ended, or None if that is nothing.

    Where the chain is not known to run, that is all of it.
    """
    shapes: Mapping[str, tuple[int, ...]] = item.shapes or {}
    if result.chain is not None and not result.chain.failure:
        shapes = result.chain.shapes
    if not shapes:
        return item if result.chain is None else None
    left = tuple(name for name in _to_run_alone(item, job) if name not in result.alone)
    return item.model_copy(update={"alone": left, "shapes": dict(shapes)}) if left else None


def _after_death(
    item: JobInput, result: InputResult, ended: Completed, job: Job
) -> JobInput | None:
    """Return what is left of an input that ended its process, without the step that did."""
    result.deaths += 1
    left = _left(item, result, job)
    if left is None or not left.shapes or not left.alone:
        return None
    lost, *rest = left.alone
    fate = fate_of(ended)
    result.alone[lost] = AloneDone(
        input=item.name, layer=lost, reasons=_reasons(result, lost, fate), died=fate
    )
    if result.deaths >= MAX_DEATHS:
        return None
    return left.model_copy(update={"alone": tuple(rest)})


def _to_run_alone(item: JobInput, job: Job) -> Sequence[str]:
    if item.alone is not None:
        return item.alone
    return [layer.name for layer in read_param(Path(job.param)).layers if layer.inputs]


def _reasons(result: InputResult, layer: str, fate: str) -> dict[str, str]:
    records = result.chain.layers if result.chain else ()
    return {record.blob: f"ncnn ended with {fate}" for record in records if record.name == layer}
