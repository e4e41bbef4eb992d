"""The record of a cell: append-only, self-describing, the only truth that anything else reads."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from harness.domain.base import Integer, StoredValue
from harness.domain.instability import Instability
from harness.util.files import append_line
from harness.util.kept import kept_lines

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SCHEMA: Literal[2] = 2
Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Verdict(StrEnum):
    """What became of a cell; everything but `OK` carries a reason."""

    OK = "ok"
    DROP = "drop"
    """Precision below tolerance."""
    MODEL_DIFFERS = "model-differs"
    """ncnn computes what the model's files say, but they are not the ONNX model."""
    BROKEN = "broken"
    """NaN or Inf, crash, hang, wrong shape."""
    UNSTABLE = "unstable"
    """Two measurements that should agree do not: neither is evidence of anything else."""
    BUILD_FAILED = "build-failed"
    UNSUPPORTED = "unsupported"
    """This version has no such option, or this CPU no such instructions."""
    SKIPPED = "skipped"

    @property
    def is_finding(self) -> bool:
        """Whether this verdict makes the command exit with 1."""
        return self in (
            Verdict.DROP,
            Verdict.MODEL_DIFFERS,
            Verdict.BROKEN,
            Verdict.UNSTABLE,
            Verdict.BUILD_FAILED,
        )

    @property
    def has_numbers(self) -> bool:
        """Whether all of the cell was measured, is finite and can be relied on."""
        return self in (Verdict.OK, Verdict.DROP, Verdict.MODEL_DIFFERS)

    @property
    def is_clean(self) -> bool:
        """Whether ncnn computes what it should: nothing in such a cell is a fault of a build."""
        return self in (Verdict.OK, Verdict.MODEL_DIFFERS)


class Failure(StrEnum):
    """What kept a cell that was run from having numbers."""

    TIMEOUT = "timeout"
    LACKS_LAYER = "lacks-layer"
    """The build has no layer of a type that the model has."""
    LOAD = "load"
    """ncnn refused the model."""
    RUN = "run"
    """Anything later: a crash, an error, a wrong shape."""
    MACHINE = "machine"
    """Something that this machine did, or lacks: the next run measures the cell again."""


class Metrics(StoredValue):
    """How far one array is from its reference; computed in float64 over all elements.

    A magnitude from 1e37 on counts as infinite, see `harness.domain.metrics`. Errors leave out the
    elements at which either array is infinite or NaN.
    """

    max_abs: float
    """Largest absolute error."""
    mean_abs: float
    """Mean absolute error."""
    scale_relative: float
    """`max_abs` / largest absolute reference value (`max_abs` itself where that is 0)."""
    cosine: float
    """Cosine of the angle between the two arrays as vectors; 1.0 if both are zero."""
    snr_db: float
    """Signal-to-noise ratio in dB, 10·log10(Σ ref² / Σ error²); inf where the error is 0."""
    nan: Integer
    """NaNs in the array that are no NaN in the reference."""
    inf: Integer
    """Infinities in the array where the reference is finite, or infinite with the other sign."""
    finite: Integer = 0
    """Finite numbers in the array where the reference is infinite."""
    undefined: Integer = 0
    """Elements at which the reference is NaN and the array is not: nothing can be said of them."""
    compared: int | None = None
    """Elements at which both arrays are finite, or infinite alike; None in records that do not say
    it."""
    blank: bool = False
    """Whether the reference is zero everywhere: `scale_relative` is then an absolute error."""
    channel: Integer | None = None
    """The channel that is furthest beyond its own noise; None where channels are not told apart."""
    channel_relative: float = 0.0
    """Its largest absolute error in units of its scale: its largest absolute reference value, or
    `SMALL_CHANNEL` of that of the whole array where this is more."""
    channel_floor: float = 0.0
    """The noise floor of that channel, in the same units."""

    @property
    def is_broken(self) -> bool:
        """Whether there are NaNs or infinities that should not be, or should be and are not."""
        return bool(self.nan or self.inf or self.finite)

    @property
    def is_void(self) -> bool:
        """Whether nothing was compared, so that an error of 0 says nothing."""
        return self.compared == 0 and not self.is_broken

    @property
    def is_wrong(self) -> bool:
        """Whether the values are wrong, and not imprecise: off by all of the largest, or more.

        So are zeros in the place of anything else.
        """
        return self.is_broken or (not self.blank and self.scale_relative >= 1)


class LayerRecord(StoredValue):
    """One output blob of one ncnn layer, beside what it should be."""

    index: Integer
    """Position of the layer in the `.param` file, from 0."""
    name: str
    type: str
    blob: str
    params: str | None = None
    """Its parameters as in a `.param` file; None in records that do not have them."""
    inputs: tuple[str, ...] = ()
    """Names of its input blobs."""
    value: str = ""
    """Name of the ONNX value that the blob holds; empty if none is known."""
    aligned: str
    """How the blob was matched: `name`, `value`, `definition`, …, or `none`."""
    note: str = ""
    """Why it was not aligned or not measured."""
    shape: tuple[int, ...] = ()
    chain: Metrics | None = None
    """Error of the chain as it ran up to and including this layer."""
    floor: float | None = None
    """Scale-relative error of the fp32 reference itself at this value, against float64."""
    own_floor: float | None = None
    """The same of the layer by itself, where the floor is that of what comes before it."""
    alone: Metrics | None = None
    """Error of this layer alone, fed with the reference's values at its inputs."""
    device: str = ""
    """Where Vulkan was asked for: `vulkan`, or `cpu` for a layer that fell back to it."""

    @property
    def floor_alone(self) -> float | None:
        """The noise floor of the layer by itself, if it is known."""
        return self.floor if self.own_floor is None else self.own_floor


class BuildRecord(StoredValue):
    """What was really configured and compiled, recorded with every build and every cell."""

    id: str
    key: str
    version: str
    """Label of the ncnn revision."""
    flags: str
    """Name of the flag set."""
    source: str = ""
    """Where the source came from, in words, with commit or archive hash."""
    source_digest: str = ""
    """SHA-256 over the names and contents of the source files that take part in the build."""
    compiler: str = ""
    """Compiler id and version as CMake found them."""
    compile_command: str = ""
    """Compile command of the reference translation unit (`innerproduct_x86.cpp` on x86)."""
    cmake_cache: dict[str, str] = {}
    """The NCNN_*, WITH_* and CMAKE_* entries of the CMake cache that differ per build."""
    layers: tuple[str, ...] = ()
    """Layer types that were compiled."""
    untrimmed: str = ""
    """Why all layers were compiled although the model needs only some."""
    options: dict[str, bool | Integer] = {}
    """Fields of `ncnn::Option` in this build and their defaults."""
    ineffective: tuple[str, ...] = ()
    """Requested flags that this version or another flag made void, each with the reason."""
    seconds: float = 0.0
    """Wall time of the build."""


class CrashFrame(StoredValue):
    """One function that was running when a process ended."""

    function: str
    """Its name; empty if it is not known."""
    module: str = ""
    """File name of the library that it belongs to; empty for the build under test."""


class Crash(StoredValue):
    """Where a process was when a signal ended it."""

    signal: str
    """Its name; `SIGTERM` where the process was asked because its time was up."""
    frames: tuple[CrashFrame, ...] = ()
    """Functions, the innermost first."""

    @property
    def function(self) -> str:
        """The innermost function of the build that is known; empty if none is."""
        return next((f.function for f in self.frames if f.function and not f.module), "")


class CellRecord(StoredValue):
    """One cell's outcome."""

    schema_version: Literal[2] = SCHEMA
    cell: str
    """Id of the cell, `build/run/input`; `build/run@converter/input` where there are several."""
    model: str
    version: str
    flags: str
    run: str
    input: str
    converter: str = ""
    """What made ncnn's files of the ONNX model; empty if they were given, or built in."""
    verdict: Verdict
    reason: str = ""
    failure: Failure | None = None
    """Which kind of failure the reason tells of, where the cell was run and has no numbers."""
    options: dict[str, bool | Integer] = {}
    """Every `ncnn::Option` field as it was in force."""
    threads: Integer = 1
    when: str = "first"
    """When the options were set; anything but `first` is a mistake made on purpose."""
    output_blob: str = ""
    """The output that is furthest beyond its limit."""
    output: Metrics | None = None
    """Its error."""
    outputs: dict[str, Metrics] = {}
    """Errors of all outputs by blob."""
    reference: str = ""
    """What the cell was measured against, in words."""
    model_notes: tuple[str, ...] = ()
    """What was found about the model's files, in words: it does not depend on the build."""
    layers: tuple[LayerRecord, ...] = ()
    text: str = ""
    """Decoded text, where the model has a decoder."""
    reference_text: str = ""
    latency_ms: Milliseconds | None = None
    """Wall time of the fastest forward pass in milliseconds; None where an emulator ran it."""
    slowest_ms: Milliseconds | None = None
    """Wall time of the slowest one: how much the latency is worth."""
    instability: Instability | None = None
    """What differs where the cell was measured again; None where all was the same."""
    crash: Crash | None = None
    """Where the process was when a signal ended the model's run, or that of a layer alone."""
    stderr: str = ""
    """Last lines the process printed, where it did not end well."""
    build: BuildRecord
    machine: dict[str, str] = {}
    """CPU, kernel, driver, package versions."""
    command: str = ""
    """Shell command that measures it again, where the configuration file alone does not have it."""
    harness_version: str = ""
    finished: str = ""
    """When the cell was measured, ISO 8601 with UTC offset."""
    experiment: bool = False
    """Whether it is no cell of the table, but was measured to prove what causes something there."""
    recalled: str = ""
    """When it was taken from memory, if an earlier run measured it under the same conditions."""

    @property
    def way(self) -> str:
        """The run options, with the converter where several are compared, as in the id."""
        before, at, label = self.cell.removesuffix(f"/{self.input}").rpartition("@")
        return f"{self.run}@{label}" if at and before.endswith(f"/{self.run}") else self.run

    @property
    def machine_name(self) -> str:
        """What tells machines apart: the CPU and the operating system, whatever its version."""
        parts = (self.machine.get("cpu", ""), self.machine.get("system", "").partition(" ")[0])
        return ", ".join(part for part in parts if part) or "unknown machine"


def append_record(path: Path, record: CellRecord) -> None:
    """Append one record to a `.jsonl` file."""
    # What was recalled can be recalled again.
    append_line(path, record.model_dump_json(), sync=not record.recalled)


def read_records(paths: Iterable[Path]) -> list[CellRecord]:
    """Read records; the last one of a cell in the last file wins.

    Lines that cannot be read are left out, see `harness.util.kept`.
    """
    records: dict[str, CellRecord] = {}
    for path in paths:
        found = kept_lines(path, parse_record)
        records |= {record.cell: record for record in found}
    return list(records.values())


def parse_record(text: str) -> CellRecord:
    """Return the record that a line of JSON holds, of this schema or of an older one.

    Raises:
        ValueError: it holds none.
    """
    try:
        return CellRecord.model_validate_json(text)
    except ValidationError:
        old = json.loads(text)
        if not (isinstance(old, dict) and old.get("schema_version") == 1):
            raise
        # Schema 1 called the errors of a layer `cumulative` and `local`.
        layers = TypeAdapter(list[dict[str, Any]]).validate_python(old.get("layers", []))
        for layer in layers:
            layer |= {"chain": layer.get("cumulative"), "alone": layer.get("local")}
        new = {**old, "layers": layers, "schema_version": SCHEMA}
        return CellRecord.model_validate(new)
