"""The isolated process: loads one build, runs it, measures every layer, writes what it found.

It may die at any moment by a fault in the build under test. Each input's outcome is on disk
before the next one starts, so that the parent loses nothing but the input that was running.
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from harness.compare.alignment import align
from harness.compare.layer_errors import layer_records
from harness.domain.metrics import measure
from harness.execution.job import InputResult, Job, JobInput
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
)
from harness.model.blob_layout import to_ncnn_layout, to_reference_layout
from harness.model.param import Layer, Param, read_param
from harness.reference.values import Reference
from harness.util.files import append_line

RESULTS = "outcomes.jsonl"


def main(arguments: list[str]) -> int:
    """Run the job in the file `arguments[0]`; outcomes go beside it."""
    path = Path(arguments[0])
    job = Job.model_validate_json(path.read_text(encoding="utf-8"))
    if job.memory_bytes:
        resource.setrlimit(resource.RLIMIT_AS, (job.memory_bytes, job.memory_bytes))
    for result in results(job, path.parent):
        append_line(path.parent / RESULTS, result.model_dump_json())
    return 0


def results(job: Job, folder: Path) -> Iterator[InputResult]:
    """Run a job and yield the outcome of each of its inputs."""
    try:
        session = open_session(job, folder)
    except tuple(_STAND_INS) as error:
        kind = _STAND_INS[type(error)]
        stand_in = InputResult(input="", refused=isinstance(error, LoadError), **{kind: str(error)})
        yield from (stand_in.model_copy(update={"input": item.name}) for item in job.inputs)
        return
    param = read_param(Path(job.param))
    for item in job.inputs:
        try:
            yield _measure(session, job, item, param, folder)
        except RunError as error:
            yield InputResult(input=item.name, failure=str(error))


_STAND_INS: dict[type[Exception], str] = {
    UnsupportedError: "unsupported",
    NoDeviceError: "skipped",
    LoadError: "failure",
    RunError: "failure",
}
"""The field of an outcome that tells what kept a session from starting."""


def open_session(job: Job, folder: Path) -> Session:
    """Open a job's build with its options and its model; a remote one keeps files in `folder`.

    Raises:
        UnsupportedError, NoDeviceError, LoadError, RunError: as the session says.
    """
    setup = Setup(
        core=Path(job.core),
        param=Path(job.param),
        weights=Path(job.bin),
        options=job.options,
        threads=job.threads,
        when=job.when,
    )
    if job.runner:
        return RemoteSession(job.runner, setup, folder / "remote")
    return NativeSession(Path(job.binding), setup)


def _measure(session: Session, job: Job, item: JobInput, param: Param, folder: Path) -> InputResult:
    """Run one input: as the options say, once more keeping all blobs, then layer by layer."""
    reference = Reference(Path(item.reference))
    alignments = align(param, reference.shapes(), job.names)
    feeds = {blob: np.load(file) for blob, file in item.feeds.items()}
    blobs = tuple(dict.fromkeys(blob for layer in param.layers for blob in layer.outputs))
    plain, kept = session.run(
        [
            ForwardPass(feeds=feeds, blobs=[job.output], repeats=job.repeats),
            ForwardPass(feeds=feeds, blobs=blobs, keep_intermediate=True),
        ]
    )
    base = InputResult(
        input=item.name,
        options=dict(session.options),
        defaults=dict(session.defaults),
        device=dict(session.device),
    )
    if job.output not in plain.blobs:
        return base.model_copy(update={"failure": plain.failures[job.output]})
    values = {a.blob: a.value for a in alignments if a.value}
    actual = plain.blobs[job.output]
    again = kept.blobs.get(job.output, np.empty(0, np.float32))
    np.save(folder / f"{item.name}.npy", actual)
    alone = _local(session, param, values, kept, reference) if job.alone else {}
    places = session.placement(len(param.layers))
    layers = tuple(
        layer.model_copy(update={"device": places[layer.index]})
        for layer in layer_records(
            param, alignments, {**kept.failures, **kept.blobs}, alone, reference
        )
    )
    base = base.model_copy(
        update={
            "layers": layers,
            "latency_ms": plain.seconds * 1e3,
            "repeatable": bool(np.array_equal(actual, again, equal_nan=True)),
            "output_file": str(folder / f"{item.name}.npy"),
        }
    )
    expected = reference[values[job.output]]
    try:
        output = measure(to_reference_layout(actual, expected.shape), expected)
    except ValueError:
        shapes = f"shape {actual.shape}, the reference has {expected.shape}"
        return base.model_copy(update={"failure": f"wrong output shape: {shapes}"})
    return base.model_copy(update={"output": output})


def _local(
    session: Session,
    param: Param,
    values: Mapping[str, str],
    kept: Reply,
    reference: Reference,
) -> dict[str, Array | str]:
    """Run each layer alone on the reference's values; a string says why one could not be."""
    results: dict[str, Array | str] = {}
    requests = []
    for layer in param.layers:
        if not layer.inputs:
            continue
        missing = [blob for blob in layer.inputs if blob not in values or blob not in kept.blobs]
        if missing:
            reason = f"no reference value for its input {missing[0]}"
            results |= dict.fromkeys(layer.outputs, reason)
            continue
        try:
            requests.append(_alone(layer, values, kept, reference))
        except ValueError as error:
            results |= dict.fromkeys(layer.outputs, str(error))
    for reply in session.run(requests):
        results |= reply.blobs
        results |= reply.failures
    return results


def _alone(
    layer: Layer, values: Mapping[str, str], kept: Reply, reference: Reference
) -> ForwardPass:
    feeds = {
        blob: to_ncnn_layout(reference[values[blob]], kept.blobs[blob].shape)
        for blob in layer.inputs
    }
    return ForwardPass(feeds=feeds, blobs=layer.outputs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
