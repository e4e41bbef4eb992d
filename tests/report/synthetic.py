"""Synthetic records with everything a real matrix holds: drops, failures, gaps, other scripts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.domain.records import (
    BuildRecord,
    CellRecord,
    LayerRecord,
    Metrics,
    Verdict,
    append_record,
)
from harness.report.model import assemble
from harness.report.write import write_files

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VERSIONS = ("20220420", "20220729", "20221128", "20240102", "20250503", "20261020")
FLAGS = ("sse2", "avx2-nof16c", "avx2", "avx512", "runtime")
RUNS = ("default", "fp16-off", "packing-off", "bf16")
INPUTS = ("short", "long")
AXES = {"versions": VERSIONS, "flags": FLAGS, "runs": RUNS}
LAYERS = 150
TYPES = ("Convolution", "BinaryOp", "HardSwish", "Split", "InnerProduct", "MatMul", "LayerNorm")
MACHINE = {
    "cpu": "zen4 (AMD Test CPU)",
    "system": "Linux 6.1",
    "python": "3.11.2",
    "numpy": "2.4.6",
    "onnxruntime": "1.32.0",
}
DEFAULTS: dict[str, bool | int] = {
    "num_threads": 1,
    "use_bf16_storage": False,
    "use_fp16_arithmetic": True,
    "use_fp16_packed": True,
    "use_fp16_storage": True,
    "use_packing_layout": True,
}
OPTIONS: dict[str, dict[str, bool | int]] = {
    "default": {},
    "fp16-off": {
        "use_fp16_arithmetic": False,
        "use_fp16_packed": False,
        "use_fp16_storage": False,
    },
    "packing-off": {"use_packing_layout": False},
    "bf16": {"use_bf16_storage": True},
}
FINISHED = "2026-11-20T12:00:00+00:00"


def metrics(error: float, *, nan: int = 0) -> Metrics:
    """Return metrics of an array whose scale-relative error is `error`."""
    snr = -20 * math.log10(error / 3) if error else math.inf
    return Metrics(
        max_abs=error * 8,
        mean_abs=error,
        scale_relative=error,
        cosine=1 - error**2,
        snr_db=snr,
        nan=nan,
        inf=0,
    )


def matrix(*, machine: str = "", layers: int = LAYERS) -> list[CellRecord]:
    """Return a whole matrix: 6 versions × 5 flag sets × 4 runs × 2 inputs."""
    return [
        cell(version, flags, run, item, machine=machine, layers=layers)
        for version in VERSIONS
        for flags in FLAGS
        for run in RUNS
        for item in INPUTS
    ]


def cell(
    version: str,
    flags: str,
    run: str,
    item: str,
    *,
    machine: str = "",
    layers: int = LAYERS,
) -> CellRecord:
    """Return one record; what became of it follows from its place in the matrix."""
    found, reason = _fate(version, flags, run)
    measured = found in (Verdict.OK, Verdict.DROP) or (found is Verdict.BROKEN and flags == "avx2")
    factor = 1.3 if item == "long" else 1.0
    error = _error(version, flags, run) * factor
    base = CellRecord(
        cell=f"{version}-{flags}/{run}/{item}",
        model="ppocrv3-rec",
        version=version,
        flags=flags,
        run=run,
        input=item,
        verdict=found,
        reason=reason,
        options={**DEFAULTS, **OPTIONS[run]},
        build=_build(version, flags, failed=found is Verdict.BUILD_FAILED),
        machine={**MACHINE, **({"cpu": machine} if machine else {})},
        harness_version="0.1.0",
        finished=FINISHED,
    )
    if not measured:
        stderr = "layer BatchNorm load_model failed\nSegmentation fault <b>&\x1b[0m"
        return base.model_copy(update={"stderr": stderr if found is Verdict.BROKEN else ""})
    return base.model_copy(
        update={
            "output_blob": "softmax_5.tmp_0",
            "output": metrics(error / 8),
            "layers": tuple(_layer(i, error, found) for i in range(layers)),
            "text": "纯臻营养护发素" if item == "short" else "InnerProduct 20220420",
            "reference_text": "纯臻营养护发素" if item == "short" else "InnerProduct 20220420",
            "latency_ms": 9.0
            + 4 * (flags == "sse2")
            - 2 * (flags == "avx512")
            + 1.5 * (run == "fp16-off")
            + 6 * (run == "packing-off")
            + factor,
        }
    )


def _fate(version: str, flags: str, run: str) -> tuple[Verdict, str]:
    if flags == "avx512" and version == "20220729":
        return Verdict.BUILD_FAILED, "innerproduct_x86_avx512.cpp:12: error: '_mm512_foo'"
    if flags == "avx512" and version == "20220420":
        return Verdict.UNSUPPORTED, "this CPU lacks avx512_bf16"
    if run == "bf16" and flags == "runtime":
        return Verdict.SKIPPED, "excluded while the build is repaired"
    if run == "bf16" and version == "20250503":
        return Verdict.BROKEN, "SIGABRT: munmap_chunk(): invalid pointer"
    if _error(version, flags, run) > 1e-4:
        words = "InnerProduct linear_4: scale-relative error 2.2e-03 above 4.0e-05"
        return Verdict.DROP, words
    return Verdict.OK, ""


def _error(version: str, flags: str, run: str) -> float:
    if run == "bf16":
        return 1.2e-2
    f16c = flags in ("avx2", "avx512", "runtime") and version > "20220701"
    if f16c and run in ("default", "packing-off"):
        return 2.2e-3 if run == "default" else 7.4e-4
    return 3.6e-6


def _layer(index: int, error: float, verdict: Verdict) -> LayerRecord:
    kind = TYPES[index % len(TYPES)]
    at_fault = kind == "InnerProduct"
    if kind == "Split":
        own = 0.0
    else:
        own = error * (0.2 + 0.8 * abs(math.sin(index))) if at_fault else 2e-7 * (1 + index % 3)
    chain = max(own, min(error, 3e-7 * (1 + index / 10))) if index < 30 else max(own, error * 0.4)
    aligned = index % 50 != 49
    broken = verdict is Verdict.BROKEN and index > 140
    return LayerRecord(
        index=index,
        name=f"线性层_{index}" if at_fault else f"{kind.lower()}_{index}",
        type=kind,
        blob=f"blob_{index}",
        value=f"value_{index}" if aligned else "",
        aligned="name" if aligned else "none",
        note="" if aligned else "no ONNX value of this name or shape",
        shape=(1, 40, 120),
        chain=metrics(chain, nan=3 if broken else 0) if aligned else None,
        alone=metrics(own) if aligned else None,
    )


def _build(version: str, flags: str, *, failed: bool) -> BuildRecord:
    f16c = flags in ("avx2", "avx512", "runtime")
    cache = {
        "NCNN_RUNTIME_CPU": "ON" if flags == "runtime" else "OFF",
        "NCNN_AVX2": "OFF" if flags == "sse2" else "ON",
        "NCNN_F16C": "ON" if f16c else "OFF",
        "NCNN_AVX512": "ON" if flags in ("avx512", "runtime") else "OFF",
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CXX_FLAGS": "",
    }
    if failed:
        cache = {}
    definitions = " ".join(f"-D{name}={value}" for name, value in cache.items())
    return BuildRecord(
        id=f"{version}-{flags}",
        key=f"key-{version}-{flags}",
        version=version,
        flags=flags,
        source=f"ncnn {version} from the package index, sha256 {'0123456789abcdef' * 4}",
        source_digest="fedcba9876543210" * 4,
        compiler="GNU 12.2.0",
        compile_command=f"c++ -O3 -mavx2 {definitions} -c innerproduct_x86.cpp " + "-Isrc " * 40,
        cmake_cache=cache,
        options=DEFAULTS if not failed else {},
        ineffective=("NCNN_AVX512=ON: unknown to this version",) if version < "20220422" else (),
        seconds=79.0,
    )


def write_run(path: Path, records: Sequence[CellRecord]) -> Path:
    """Write a run directory as `nox -s matrix` leaves it."""
    path.mkdir(parents=True)
    for record in records:
        append_record(path / "cells.jsonl", record)
    quoted = {axis: ", ".join(f'"{name}"' for name in names) for axis, names in AXES.items()}
    (path / "config.toml").write_text(
        "[inputs.short]\ntext = 'ncnn'\nshape = [1, 3, 48, 320]\n"
        "[inputs.long]\ntext = 'InnerProduct'\nshape = [1, 3, 48, 320]\n"
        f"[matrix]\nversions = [{quoted['versions']}]\nflags = [{quoted['flags']}]\n"
        f"runs = [{quoted['runs']}]\n",
        encoding="utf-8",
    )
    return path


def write_page(folder: Path, records: Sequence[CellRecord], **parts: Any) -> Path:
    """Write a report of some records into a folder and return its page."""
    return write_files(assemble(records, **parts), folder / "report.html")
