"""The isolated process: loads one build, runs it, measures every layer, writes what it found.

It may die at any moment by a fault in the build under test. What it has done is in the file before
it goes on, so that the parent loses nothing but the step that was running.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.compare.layer_errors import chain_records, error_of
from harness.definition.evaluation import NOTHING
from harness.execution.heap import prepare
from harness.execution.integer_session import IntegerSession
from harness.execution.job import AloneDone, ChainDone, InputDone, Job, JobInput, Message, Opened
from harness.execution.remote_session import RemoteSession
from harness.execution.session import (
    Array,
    ForwardPass,
    LoadError,
    NativeSession,
    NoDeviceError,
    Reply,
    RunError,
    Session,
    Setup,
    UnsupportedError,
    same_blobs,
)
from harness.execution.worker_end import ending_of
from harness.model.integer_blobs import integer_blobs, quantised_blobs
from harness.model.param import Layer, Param, read_param
from harness.reference.values import Reference
from harness.util.files import append_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.domain.records import LayerRecord, Metrics
    from harness.model.alignment import Alignment

MESSAGES_FILE = "messages.jsonl"
TRACE_FILE = "trace"
"""Where a process is when a signal ends it, see `native_trace.py`."""


def main(arguments: list[str]) -> int:
    """Run the job in the file `arguments[0]`; messages go beside it."""
    path = Path(arguments[0])
    job = Job.model_validate_json(path.read_text(encoding="utf-8"))

    def work() -> None:
        for message in messages(job, path.parent):
            # What is written outlives the process, though perhaps not the machine. While a build
            # runs the file is not open: what prints to any descriptor does not print there.
            append_line(path.parent / MESSAGES_FILE, message.model_dump_json(), sync=False)

    return ending_of(work)


def messages(job: Job, folder: Path) -> Iterator[Message]:
    """Run a job and yield what is done as it is done."""
    param = read_param(Path(job.param))
    integers = integer_blobs(param)
    try:
        session = _open(job, folder)
    except UnsupportedError as error:
        yield Opened(unsupported=str(error))
        return
    except NoDeviceError as error:
        yield Opened(skipped=str(error))
        return
    except (LoadError, RunError) as error:
        yield Opened(failure=str(error), refused=isinstance(error, LoadError))
        return
    yield Opened(
        options=dict(session.options),
        defaults=dict(session.defaults),
        device=dict(session.device),
    )
    if integers:
        session = IntegerSession(session, integers)
    for number, item in enumerate(job.inputs):
        work = _InputWork(session, job, item, param, folder / str(number))
        yield from work.messages()


def _open(job: Job, folder: Path) -> Session:
    """Open a job's build with its options and its model; a remote one keeps files in `folder`.

    What is allocated while the model is loaded counts too, so that memory is seen to before.
    """
    setup = Setup(
        core=Path(job.core),
        param=Path(job.param),
        weights=Path(job.bin),
        options=job.options,
        threads=job.threads,
        when=job.when,
        pools=job.pools,
        heap=job.heap,
        # A sanitizer reports what ends the process by itself.
        trace=None if job.library else folder / TRACE_FILE,
    )
    if job.runner:
        return RemoteSession(job.runner, setup, folder / "remote")
    prepare(job.heap)
    return NativeSession(Path(job.binding), setup)


class _InputWork:
    """One input: as the options say, once more keeping all blobs, then layer by layer."""

    def __init__(
        self, session: Session, job: Job, item: JobInput, param: Param, folder: Path
    ) -> None:
        self._session = session
        self._job = job
        self._item = item
        self._param = param
        self._folder = folder
        self._reference = Reference(Path(item.reference)) if item.reference else None
        self._noise = Reference(Path(item.noise)) if item.noise else NOTHING
        self._aligned = {a.blob: a for a in job.alignments if a.key}

    def messages(self) -> Iterator[Message]:
        shapes = self._item.shapes
        if shapes is None:
            try:
                done = self._again() if self._job.again else self._chain()
            except RunError as error:
                done = ChainDone(input=self._item.name, failure=str(error))
            yield done
            shapes = {} if done.failure else done.shapes
        if self._reference is not None and shapes:
            yield from self._layers_alone(self._reference, shapes)
        yield InputDone(input=self._item.name)

    def _chain(self) -> ChainDone:
        job, item = self._job, self._item
        everything = self._everything()
        plain, kept = self._session.run(
            [
                ForwardPass(feeds=everything.feeds, blobs=job.outputs, repeats=job.repeats),
                everything,
            ]
        )
        lost = next((blob for blob in job.outputs if blob not in plain.blobs), None)
        if lost is not None:
            return ChainDone(input=item.name, failure=plain.failures[lost])
        outputs, failure = self._outputs(plain.blobs)
        return ChainDone(
            input=item.name,
            failure=failure,
            outputs=outputs,
            output_files=self._output_files(plain),
            layers=self._placed(kept),
            latency_ms=plain.seconds * 1e3,
            slowest_ms=plain.slowest * 1e3,
            steady=plain.steady,
            kept_agrees=same_blobs(plain.blobs, kept.blobs),
            digests=_digests(kept.blobs),
            spoilt=_spoilt(kept.blobs),
            shapes={blob: array.shape for blob, array in kept.blobs.items()},
            files=self._kept("chain", kept.blobs),
            failures=dict(kept.failures),
        )

    def _again(self) -> ChainDone:
        """Run the model once more for what another measurement is compared by."""
        (kept,) = self._session.run([self._everything()])
        lost = next((blob for blob in self._job.outputs if blob in kept.failures), None)
        outputs = {blob: kept.blobs[blob] for blob in self._job.outputs if blob in kept.blobs}
        _, failure = self._outputs(outputs)
        return ChainDone(
            input=self._item.name,
            failure=kept.failures[lost] if lost else failure,
            output_files=self._output_files(kept),
            digests=_digests(kept.blobs),
            spoilt=_spoilt(kept.blobs),
            shapes={blob: array.shape for blob, array in kept.blobs.items()},
            failures=dict(kept.failures),
        )

    def _everything(self) -> ForwardPass:
        """Return the pass that keeps all blobs."""
        feeds = {blob: np.load(file) for blob, file in self._item.feeds.items()}
        blobs = tuple(dict.fromkeys(b for layer in self._param.layers for b in layer.outputs))
        return ForwardPass(feeds=feeds, blobs=blobs, keep_intermediate=True)

    def _output_files(self, reply: Reply) -> dict[str, str]:
        """Save the model's outputs."""
        return {
            blob: self._save("output", number, reply.blobs[blob])
            for number, blob in enumerate(self._job.outputs)
            if blob in reply.blobs
        }

    def _outputs(self, blobs: Mapping[str, Array]) -> tuple[dict[str, Metrics], str]:
        """Return the errors of the model's outputs, or why there are none."""
        errors: dict[str, Metrics] = {}
        if self._reference is None:
            return errors, ""
        for blob, actual in blobs.items():
            alignment = self._aligned.get(blob)
            if alignment is None:
                continue
            error, reason = error_of(actual, alignment, self._reference, self._noise)
            if error is None and actual.size != self._reference[alignment.key].size:
                return {}, f"wrong output shape: {reason}"
            if error is None:
                continue
            errors[blob] = error
        return errors, ""

    def _placed(self, kept: Reply) -> tuple[LayerRecord, ...]:
        """Return the records of the chain, with where each layer ran."""
        if self._reference is None:
            return ()
        places = self._session.placement(len(self._param.layers))
        chain: dict[str, Array | str] = {**kept.failures, **kept.blobs}
        records = chain_records(
            self._param, self._job.alignments, chain, self._reference, self._noise
        )
        return tuple(r.model_copy(update={"device": places[r.index]}) for r in records)

    def _layers_alone(
        self, reference: Reference, shapes: Mapping[str, tuple[int, ...]]
    ) -> Iterator[AloneDone]:
        """Run each layer alone on the reference's values."""
        wanted = self._item.alone
        int8 = quantised_blobs(self._param)
        layers, passes = [], []
        for layer in self._param.layers:
            if not layer.inputs or (wanted is not None and layer.name not in wanted):
                continue
            if not int8.isdisjoint(layer.inputs):
                # What it would be fed with are floats, which it would quantise once more.
                reasons = dict.fromkeys(layer.outputs, "its input is int8 inside of ncnn")
                yield AloneDone(input=self._item.name, layer=layer.name, reasons=reasons)
                continue
            try:
                feeds = {b: self._fed(b, reference, shapes) for b in layer.inputs}
            except ValueError as error:
                reasons = dict.fromkeys(layer.outputs, str(error))
                yield AloneDone(input=self._item.name, layer=layer.name, reasons=reasons)
                continue
            layers.append(layer)
            passes.append(ForwardPass(feeds=feeds, blobs=layer.outputs))
        for layer, reply in zip(layers, self._replies(passes), strict=True):
            yield self._alone(layer, reply, reference)

    def _replies(self, passes: Sequence[ForwardPass]) -> Iterator[Reply | RunError]:
        """Answer all passes; those of a program elsewhere one by one if one of them ends it."""
        done = 0
        try:
            for reply in self._session.run(passes):
                yield reply
                done += 1
        except RunError:
            for request in passes[done:]:
                try:
                    (reply,) = self._session.run([request])
                    yield reply
                except RunError as error:
                    yield error

    def _fed(self, blob: str, reference: Reference, shapes: Mapping[str, tuple[int, ...]]) -> Array:
        """Return the reference's value as the array that goes into a blob."""
        alignment = self._aligned.get(blob)
        if alignment is None or blob not in shapes:
            raise ValueError(f"no reference value for its input {blob}")
        value = reference[alignment.key]
        array = alignment.arranged(value.shape, tuple(shapes[blob])).to_blob(value)
        return np.ascontiguousarray(array, dtype=np.float32)

    def _alone(self, layer: Layer, reply: Reply | RunError, reference: Reference) -> AloneDone:
        name = self._item.name
        if isinstance(reply, RunError):
            reasons = dict.fromkeys(layer.outputs, str(reply))
            return AloneDone(input=name, layer=layer.name, reasons=reasons, died=str(reply))
        errors, reasons = {}, dict(reply.failures)
        for blob, array in () if self._job.again else reply.blobs.items():
            alignment: Alignment | None = self._aligned.get(blob)
            if alignment is None:
                continue
            error, reason = error_of(array, alignment, reference, self._noise)
            if error is None:
                reasons[blob] = reason
            else:
                errors[blob] = error
        files = self._kept(f"alone-{self._param.layers.index(layer)}", reply.blobs)
        return AloneDone(
            input=name,
            layer=layer.name,
            errors=errors,
            reasons=reasons,
            digests=_digests(reply.blobs),
            files=files,
        )

    def _kept(self, step: str, blobs: Mapping[str, Array]) -> dict[str, str]:
        """Save blobs if they are to be kept, under names that do not depend on theirs."""
        if not self._item.keep:
            return {}
        place = Path(self._item.keep)
        return {
            blob: self._save(step, number, array, place)
            for number, (blob, array) in enumerate(blobs.items())
        }

    def _save(self, step: str, number: int, array: Array, place: Path | None = None) -> str:
        folder = place or self._folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{step}-{number}.npy"
        np.save(path, array)
        return str(path)


def _digests(blobs: Mapping[str, Array]) -> dict[str, str]:
    """Return what tells whether blobs have equal values: -0 is equal to 0, and NaN to NaN."""
    found = {}
    for blob, array in blobs.items():
        values = array + np.float32(0)
        values[np.isnan(values)] = np.nan
        digest = hashlib.sha1(str(values.shape).encode(), usedforsecurity=False)
        digest.update(np.ascontiguousarray(values).data)
        found[blob] = digest.hexdigest()
    return found


def _spoilt(blobs: Mapping[str, Array]) -> dict[str, int]:
    counts = {blob: int(array.size - np.isfinite(array).sum()) for blob, array in blobs.items()}
    return {blob: count for blob, count in counts.items() if count}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
