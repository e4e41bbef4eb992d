"""Starts worker processes and turns what becomes of them into records."""

from __future__ import annotations

import platform
import re
import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from pydantic import ValidationError

import harness
from harness.build.builder import Build
from harness.build.toolchain import cpu_description, cpu_features
from harness.compare.verdict import judge
from harness.config.tables import Config
from harness.domain.limits import Tolerance
from harness.domain.records import BuildRecord, CellRecord, Failure, Verdict
from harness.domain.spec import CellSpec
from harness.execution import worker
from harness.execution.job import InputResult, Job, JobInput
from harness.model.prepared_model import PreparedModel
from harness.reference.prepared_input import PreparedInput, decode
from harness.util.process import Completed, Processes

TAIL_LINES = 8
REPEATS = 3
"""Passes from which the fastest gives the latency; an emulator's says nothing, so one will do."""
_NO_LAYER = re.compile(r"layer (\w+) not exists or registered")


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Runs the cells of one build and one set of run options in processes of their own."""

    binding: Callable[[], Path]
    """Returns the pybind11 binding; called where Python itself loads the build."""
    tolerance: Tolerance
    seconds: float
    """Time limit of one cell."""
    memory_bytes: int
    """Address space that a cell's process may use; 0 for no limit."""
    alone: bool = True
    processes: Processes = field(default_factory=lambda: Processes(preload=worker))

    @classmethod
    def of(cls, config: Config, binding: Callable[[], Path]) -> Launcher:
        """Return a launcher with the limits of a configuration."""
        return cls(
            binding=binding,
            tolerance=config.tolerance,
            seconds=config.limits.run_seconds,
            memory_bytes=int(config.limits.memory_gib * 2**30),
        )

    def run(
        self,
        cells: Sequence[CellSpec],
        build: Build,
        model: PreparedModel,
        inputs: Sequence[PreparedInput],
    ) -> list[CellRecord]:
        """Run cells that differ in their input only.

        A process that dies loses the input it was working on; the ones after it get a new one.
        """
        records: list[CellRecord] = []
        pending = list(zip(cells, inputs, strict=True))
        while pending:
            results, done = self._process(pending, build, model)
            for (cell, item), result in zip(pending, results, strict=False):
                records.append(self._record(cell, item, build, model, result, done))
            pending = pending[len(results) :]
            if pending:
                cell, _ = pending.pop(0)
                records.append(self._died(cell, build, done))
        return records

    def blank(self, cell: CellSpec, build: BuildRecord) -> CellRecord:
        """Return a record of a cell that has not been run."""
        return CellRecord(
            cell=cell.id,
            model=cell.model.name,
            version=cell.build.revision.label,
            flags=cell.build.flags.name,
            run=cell.run.name,
            input=cell.input.name,
            verdict=Verdict.SKIPPED,
            options=dict(cell.run.options),
            threads=cell.run.threads,
            when=cell.run.when,
            build=build,
            machine=machine(),
            harness_version=harness.__version__,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _process(
        self,
        pending: Sequence[tuple[CellSpec, PreparedInput]],
        build: Build,
        model: PreparedModel,
    ) -> tuple[list[_Finished], Completed]:
        """Start one process for all pending inputs and read what it left."""
        run_spec = pending[0][0].run
        with tempfile.TemporaryDirectory(prefix="cell-") as name:
            folder = Path(name)
            job = Job(
                binding="" if build.runner else str(self.binding()),
                runner=build.runner,
                core=str(build.core),
                param=str(model.param),
                bin=str(model.bin),
                names=model.names,
                options=dict(run_spec.options),
                threads=run_spec.threads,
                when=run_spec.when,
                inputs=tuple(_job_input(item) for _, item in pending),
                output=model.output,
                alone=self.alone,
                repeats=1 if build.runner else REPEATS,
                memory_bytes=self.memory_bytes,
            )
            (folder / "job.json").write_text(job.model_dump_json(), encoding="utf-8")
            done = self.processes.call(
                worker.main,
                [folder / "job.json"],
                log=folder / "log",
                timeout=self.seconds * len(pending),
                # Results must not depend on the machine's idea of a good thread count.
                env={"OMP_NUM_THREADS": str(run_spec.threads), "OMP_WAIT_POLICY": "passive"},
            )
            return [_finished(result, model) for result in _read(folder)], done

    def _record(
        self,
        cell: CellSpec,
        item: PreparedInput,
        build: Build,
        model: PreparedModel,
        finished: _Finished,
        done: Completed,
    ) -> CellRecord:
        result = finished.result
        layers = tuple(
            layer.model_copy(update={"floor": item.floors.get(layer.value)})
            for layer in result.layers
        )
        known = build.record.model_copy(update={"options": result.defaults})
        base = self.blank(cell, known).model_copy(
            update={
                "options": result.options or dict(cell.run.options),
                "output_blob": model.output,
                "output": result.output,
                "layers": layers,
                "latency_ms": result.latency_ms,
                "machine": machine() | _elsewhere(build, result),
                "text": finished.text,
                "reference_text": item.text,
            }
        )
        failure = None
        if result.unsupported:
            verdict, reason = Verdict.UNSUPPORTED, result.unsupported
        elif result.skipped:
            verdict, reason = Verdict.SKIPPED, result.skipped
        elif result.failure or result.output is None:
            verdict, reason = Verdict.BROKEN, _explain(result.failure, done.output)
            failure = _kind(result, done.output)
        else:
            verdict, reason = judge(
                result.output,
                layers,
                self.tolerance,
                output_value=model.value_of(model.output),
                floors=item.floors,
            )
        stderr = "" if verdict in (Verdict.OK, Verdict.DROP) else tail(done.output)
        return base.model_copy(
            update={"verdict": verdict, "reason": reason, "failure": failure, "stderr": stderr}
        )

    def _died(self, cell: CellSpec, build: Build, done: Completed) -> CellRecord:
        words = tail(done.output)
        reason = _explain(done.fate, done.output)
        if "MemoryError" in done.output or "bad_alloc" in done.output:
            reason = f"out of memory (limit {self.memory_bytes / 2**30:.0f} GiB): {reason}"
        return self.blank(cell, build.record).model_copy(
            update={
                "verdict": Verdict.BROKEN,
                "reason": reason,
                "failure": Failure.TIMEOUT if done.timed_out else Failure.RUN,
                "stderr": words,
            }
        )


def _job_input(item: PreparedInput) -> JobInput:
    return JobInput(name=item.name, feeds=dict(item.feeds), reference=str(item.reference.directory))


def _elsewhere(build: Build, result: InputResult) -> dict[str, str]:
    """Return what a cell ran on besides the CPU at hand: an emulator or remote machine, a GPU."""
    runner = {"run by": shlex.join(build.runner[:-1])} if build.runner else {}
    return runner | {f"vulkan {name}": value for name, value in result.device.items()}


@dataclass(frozen=True, kw_only=True)
class _Finished:
    result: InputResult
    text: str


def _finished(result: InputResult, model: PreparedModel) -> _Finished:
    text = decode(np.load(result.output_file), model) if result.output_file else ""
    return _Finished(result=result, text=text)


def _read(folder: Path) -> list[InputResult]:
    path = folder / worker.RESULTS
    results = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            results.append(InputResult.model_validate_json(line))
        except ValidationError:
            break  # torn by the process's death
    return results


def _kind(result: InputResult, output: str) -> Failure:
    if _NO_LAYER.search(output):
        return Failure.LACKS_LAYER
    return Failure.LOAD if result.refused else Failure.RUN


def _explain(failure: str, output: str) -> str:
    """Add what ncnn said to a failure, where it says more."""
    missing = _NO_LAYER.search(output)
    if missing:
        return f"{failure}: this build has no layer {missing.group(1)}"
    last = output.strip().splitlines()[-1:] if failure.startswith("exit code") else []
    return ": ".join([failure, *last])


def tail(output: str) -> str:
    """Return the last lines of a process's output."""
    return "\n".join(output.strip().splitlines()[-TAIL_LINES:])


@cache
def machine() -> dict[str, str]:
    """Return what the numbers may depend on besides the build."""
    return {
        "cpu": cpu_description(),
        "cpu_features": " ".join(cpu_features()),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "onnxruntime": onnxruntime.__version__,
    }
