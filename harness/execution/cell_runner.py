"""From cells to records: the one way in which anything that is built gets a verdict."""

from __future__ import annotations

import platform
import re
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

import harness
from harness.build.toolchain import cpu_description, cpu_features
from harness.domain.records import BuildRecord, CellRecord, Failure, LayerRecord, Verdict
from harness.domain.verdict import judge, worst_output
from harness.execution.confinement import sandbox_lacks
from harness.execution.job import Job, JobInput
from harness.execution.repetition import Repetition
from harness.execution.sanitizer_report import asan_report, asan_sentence
from harness.execution.session import USE_VULKAN
from harness.execution.stability import with_one_thread
from harness.reference.prepared_input import PreparedInput, decode
from harness.util.scratch import scratch_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.build.builder import Build
    from harness.domain.instability import Instability
    from harness.domain.spec import CellSpec
    from harness.domain.verdict import Tolerance
    from harness.execution.launcher import InputResult, Launcher
    from harness.execution.making import NotBuilt
    from harness.execution.memory import CellMemory
    from harness.model.conversion import Conversion
    from harness.model.prepared_model import PreparedModel

TAIL_LINES = 8
REPEATS = 3
"""Passes from which the fastest gives the latency; an emulator's says nothing, so one will do."""
_NO_LAYER = re.compile(r"layer (\w+) not exists or registered")


@dataclass(frozen=True, kw_only=True)
class CellRunner:
    """Runs the cells of one build and one set of run options and judges them."""

    launcher: Launcher
    tolerance: Tolerance
    memory: CellMemory | None = None
    """What was measured before; None to measure everything."""

    def run(
        self,
        cells: Sequence[CellSpec],
        build: Build,
        model: PreparedModel,
        inputs: Sequence[PreparedInput],
        *,
        alone: bool = True,
        recall: bool = True,
        again: bool = True,
    ) -> list[CellRecord]:
        """Run cells that differ in their input only, or recall what they gave before.

        Args:
            cells: what to run.
            build: their build.
            model: their model.
            inputs: their inputs, in the same order.
            alone: whether to run every layer alone as well.
            recall: whether what was measured before will do.
            again: whether to measure once more, to see whether it gives the same.
        """
        memory = self.memory if alone else None
        keys = {
            place: memory.key(cell, build, model, item, machine()) if memory else ""
            for place, (cell, item) in enumerate(zip(cells, inputs, strict=True))
        }
        found: dict[int, CellRecord] = {}
        for place, key in keys.items():
            known = memory.recall(key) if memory and recall else None
            if known:
                found[place] = self._recalled(known, cells[place], build, model)
        left = [place for place in keys if place not in found]
        if left:
            own, items = [cells[place] for place in left], [inputs[place] for place in left]
            measured = self._measured(own, build, model, items, alone=alone, again=again)
            found |= dict(zip(left, measured, strict=True))
        if memory:
            for place in left:
                memory.keep(keys[place], found[place])
        return [found[place] for place in keys]

    def _measured(
        self,
        cells: Sequence[CellSpec],
        build: Build,
        model: PreparedModel,
        inputs: Sequence[PreparedInput],
        *,
        alone: bool,
        again: bool,
    ) -> list[CellRecord]:
        with scratch_directory("cell-") as scratch:
            job = job_of(build, cells[0], model, inputs, alone=alone)
            results = self.launcher.run(job, scratch / "first")
            model.check()
            records = [
                self._record(cell, item, build, model, result)
                for cell, item, result in zip(cells, inputs, results, strict=True)
            ]
            # A sanitizer tells by itself what reads memory that is not its own.
            if not again or build.library:
                return records
            repetition = Repetition(
                launcher=self.launcher, job=job, first=results, folder=scratch / "again"
            )
            return self._again(records, inputs, model, repetition)

    def _again(
        self,
        records: Sequence[CellRecord],
        inputs: Sequence[PreparedInput],
        model: PreparedModel,
        repetition: Repetition,
    ) -> list[CellRecord]:
        """Return records with what differs where the cells are measured once more."""
        limits = [
            max(
                (
                    self.tolerance.output_limit(layer.floor)
                    for layer in record.layers
                    if layer.blob in record.outputs
                ),
                default=self.tolerance.output,
            )
            for record in records
        ]
        found = repetition.instabilities(limits)
        job = repetition.job
        if job.threads > 1 and not all(found) and not job.options.get(USE_VULKAN):
            single = repetition.single_threaded()
            for place, (record, item) in enumerate(zip(records, inputs, strict=True)):
                if found[place] is None and item.name in single:
                    one = single[item.name]
                    own = _layers(one, item, model)
                    found[place] = with_one_thread(
                        repetition.first[place],
                        record.layers,
                        one,
                        own,
                        model.graph,
                        self.tolerance,
                    )
        return [
            _unstable(record, instability)
            for record, instability in zip(records, found, strict=True)
        ]

    def _recalled(
        self, known: CellRecord, cell: CellSpec, build: Build, model: PreparedModel
    ) -> CellRecord:
        """Return a remembered record under the names of today, with the verdict of today."""
        blank = self.blank(cell, build.record.model_copy(update={"options": known.build.options}))
        names = {
            name: getattr(blank, name)
            for name in ("cell", "model", "version", "flags", "run", "input", "converter", "build")
        }
        record = known.model_copy(update=names)
        return record.model_copy(update=self._judged(record, model))

    def blank(self, cell: CellSpec, build: BuildRecord) -> CellRecord:
        """Return a record of a cell that has not been run."""
        return CellRecord(
            cell=cell.id,
            model=cell.model.name,
            version=cell.build.revision.label,
            flags=cell.build.flags.name,
            run=cell.run.name,
            input=cell.input.name,
            converter=cell.model.converter,
            verdict=Verdict.SKIPPED,
            options=dict(cell.run.options),
            threads=cell.run.threads,
            when=cell.run.when,
            build=build,
            machine=machine(),
            harness_version=harness.__version__,
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def unrun(self, cell: CellSpec, instead: NotBuilt) -> CellRecord:
        """Return the record of a cell whose build is not to be had."""
        return self.blank(cell, instead.record).model_copy(
            update={"verdict": instead.verdict, "reason": instead.reason}
        )

    def _record(
        self,
        cell: CellSpec,
        item: PreparedInput,
        build: Build,
        model: PreparedModel,
        result: InputResult,
    ) -> CellRecord:
        opened, chain = result.opened, result.chain
        layers = _layers(result, item, model)
        errors = chain.outputs if chain else {}
        worst, _ = worst_output(errors, layers, self.tolerance) if errors else ("", 0.0)
        emulated = bool(build.runner)
        known = build.record.model_copy(update={"options": opened.defaults})
        record = self.blank(cell, known).model_copy(
            update={
                "options": opened.options or dict(cell.run.options),
                "output_blob": worst,
                "output": errors.get(worst),
                "outputs": errors,
                "layers": layers,
                "latency_ms": chain.latency_ms if chain and not emulated else None,
                "slowest_ms": chain.slowest_ms if chain and not emulated else None,
                "machine": machine() | _elsewhere(build, result),
                "text": _text(result, model),
                "reference_text": item.text,
            }
        )
        return record.model_copy(update=self._verdict(record, model, result))

    def _verdict(
        self, record: CellRecord, model: PreparedModel, result: InputResult
    ) -> dict[str, object]:
        """Return verdict and reason, and what the process said where it did not end well."""
        opened = result.opened
        ended = result.death or result.ended
        words = ended.output if ended else ""
        if result.mishap:
            return {
                "verdict": Verdict.SKIPPED,
                "reason": result.failure,
                "failure": Failure.MACHINE,
                "stderr": tail(result.ended.output if result.ended else ""),
            }
        if opened.unsupported:
            return {"verdict": Verdict.UNSUPPORTED, "reason": opened.unsupported}
        if opened.skipped:
            return {"verdict": Verdict.SKIPPED, "reason": opened.skipped}
        if not result.failure and record.output is None:
            if model.conversion.differs:
                return {"verdict": Verdict.MODEL_DIFFERS, **_about(model.conversion)}
            notes = (x.note for x in record.layers if x.blob in model.outputs and x.note)
            why = model.conversion.unsettled or next(notes, "no output has a reference value")
            return {"verdict": Verdict.SKIPPED, "reason": f"not judged: {why}"}
        if result.failure:
            return {
                "verdict": Verdict.BROKEN,
                "reason": self._explained(result, words),
                "failure": _kind(result, words),
                "crash": result.crash,
                "stderr": "\n".join(asan_report(words)) or tail(words),
            }
        if result.died_alone:
            report = asan_report(words)
            name, fate = next(iter(result.died_alone.items()))
            fate = asan_sentence(report) if report else fate
            more = len(result.died_alone) - 1
            layer = model.graph.layer(name)
            others = f", and {more} more" if more else ""
            return {
                "verdict": Verdict.BROKEN,
                "reason": f"{layer.type} {name}, run alone: {fate}{others}",
                "failure": Failure.RUN,
                "crash": result.crash,
                "stderr": "\n".join(report) or tail(words),
            }
        judged = self._judged(record, model)
        ended_well = judged["verdict"] is not Verdict.BROKEN
        return {**judged, "stderr": "" if ended_well else tail(words)}

    def _judged(self, record: CellRecord, model: PreparedModel) -> dict[str, object]:
        """Return verdict and reason of a cell that has numbers."""
        verdict, reason = judge(record.outputs, record.layers, self.tolerance)
        about = _about(model.conversion)
        notes = (*model.conversion.notes, *_uncompared(record, model))
        if verdict is Verdict.OK and model.conversion.differs:
            return {**about, "verdict": Verdict.MODEL_DIFFERS, "model_notes": notes}
        return {**about, "verdict": verdict, "reason": reason, "model_notes": notes}

    def _explained(self, result: InputResult, words: str) -> str:
        """Return why there are no numbers, with what ncnn said where that says more."""
        reason = result.failure
        missing = _NO_LAYER.search(words)
        if missing:
            return f"{reason}: this build has no layer {missing.group(1)}"
        report = asan_report(words)
        if report:
            return asan_sentence(report)
        if reason.startswith("exit code"):
            reason = ": ".join([reason, *words.strip().splitlines()[-1:]])
        crash = result.crash
        if crash and crash.function and crash.signal == result.failure:
            reason = f"{reason} in {crash.function}"
        elif crash and crash.function and _kind(result, words) is Failure.TIMEOUT:
            reason = f"{reason}, at last in {crash.function}"
        return reason


def job_of(
    build: Build,
    cell: CellSpec,
    model: PreparedModel,
    inputs: Sequence[PreparedInput],
    *,
    alone: bool = True,
) -> Job:
    """Return what one process has to do for cells that differ in their input only."""
    return Job(
        binding="",
        runner=build.runner,
        network=build.network,
        library=build.library,
        core=str(build.core),
        param=str(model.param),
        bin=str(model.bin),
        alignments=model.conversion.alignments,
        options=dict(cell.run.options),
        threads=cell.run.threads,
        when=cell.run.when,
        inputs=tuple(
            JobInput(
                name=item.name,
                feeds=dict(item.feeds),
                reference=str(item.reference.directory),
                noise=str(item.noise.channels.directory),
                alone=None if alone else (),
            )
            for item in inputs
        ),
        outputs=model.outputs,
        repeats=1 if build.runner else REPEATS,
    )


def _layers(
    result: InputResult, item: PreparedInput, model: PreparedModel
) -> tuple[LayerRecord, ...]:
    """Return the layers of a measurement with their noise floors."""
    return tuple(
        layer.model_copy(
            update={
                "floor": item.noise.floors.get(layer.blob),
                "own_floor": _own_floor(layer, model),
            }
        )
        for layer in result.layers
    )


def _unstable(record: CellRecord, instability: Instability | None) -> CellRecord:
    """Return a record with what differs where its cell is measured once more."""
    if instability is None:
        return record
    found = record.model_copy(update={"instability": instability})
    if not instability.spoils:
        return found
    return found.model_copy(update={"verdict": Verdict.UNSTABLE, "reason": instability.sentence})


def _own_floor(layer: LayerRecord, model: PreparedModel) -> float | None:
    """Return the noise floor of a layer that is precise behind others that are not."""
    inherits = layer.blob in model.rough_blobs and layer.name not in model.rough_layers
    return 0.0 if inherits else None


def _about(conversion: Conversion) -> dict[str, object]:
    """Return what a record says of its model's files."""
    return {
        "reference": conversion.reference_words,
        "model_notes": conversion.notes,
        "reason": next((each.sentence for each in conversion.differences), ""),
    }


def _uncompared(record: CellRecord, model: PreparedModel) -> list[str]:
    """Return which outputs of a model with several the verdict does not speak of, and why."""
    notes = {layer.blob: layer.note for layer in record.layers}
    return [
        f"output '{blob}' is not compared: {notes.get(blob) or 'it has no reference value'}"
        for blob in model.outputs
        if blob not in record.outputs
    ]


def _text(result: InputResult, model: PreparedModel) -> str:
    """Return the text that an output of a recogniser spells."""
    texts = (decode(array, model) for array in result.outputs().values())
    return next(filter(None, texts), "") if model.characters else ""


def _elsewhere(build: Build, result: InputResult) -> dict[str, str]:
    """Return what a cell ran on besides the CPU at hand: an emulator or remote machine, a GPU."""
    runner = {"run by": shlex.join(build.runner[:-1])} if build.runner else {}
    return runner | {f"vulkan {name}": value for name, value in result.opened.device.items()}


def _kind(result: InputResult, words: str) -> Failure:
    if result.ended and result.ended.timed_out and result.chain is None:
        return Failure.TIMEOUT
    if _NO_LAYER.search(words):
        return Failure.LACKS_LAYER
    return Failure.LOAD if result.opened.refused else Failure.RUN


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
        **({"not kept from builds": "; ".join(lacks)} if (lacks := sandbox_lacks()) else {}),
    }
