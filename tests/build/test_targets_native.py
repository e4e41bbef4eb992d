"""Real ncnn where Python is not, and on a Vulkan device, with a model of one InnerProduct."""

import shutil
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.domain.records import CellRecord, Verdict, read_records
from harness.execution.session import DEVICE_REMEDY
from tests import one_layer

DRIVERS = [*Path("/usr/share/vulkan/icd.d").glob("*"), *Path("/etc/vulkan/icd.d").glob("*")]
CROSS = ("aarch64-linux-gnu-g++", "qemu-aarch64")
INSTALL_CROSS = "apt-get install g++-aarch64-linux-gnu qemu-user"

pytestmark = pytest.mark.native


def records_of(folder: Path, matrix: str) -> dict[str, CellRecord]:
    """Run a matrix over the one-layer model and return its records by `flags/run`."""
    one_layer.write_model(folder)
    (folder / "c.toml").write_text(one_layer.CONFIG + matrix)
    places = {"config": "c.toml", "builds": "builds", "results": "results"}
    main(["matrix", *(f"--{key}={folder / name}" for key, name in places.items())])
    (results,) = (folder / "results").iterdir()
    records = read_records([results / "cells.jsonl"])
    return {f"{record.flags}/{record.run}": record for record in records}


def errors_of(records: dict[str, CellRecord]) -> dict[str, float]:
    return {name: r.output.scale_relative for name, r in records.items() if r.output}


@pytest.mark.skipif(not all(map(shutil.which, CROSS)), reason=INSTALL_CROSS)
def test_arm_under_an_emulator(tmp_path: Path) -> None:
    records = records_of(
        tmp_path,
        """
        [matrix]
        versions = ["20250503"]
        flags = ["arm64", "arm64-fp16"]
        runs = ["fp16-off", "fp16-arithmetic"]
        """,
    )
    errors = errors_of(records)
    assert errors["arm64/fp16-off"] < 5e-6
    assert errors["arm64-fp16/fp16-off"] < 5e-6
    assert 1e-4 < errors["arm64-fp16/fp16-arithmetic"] < 1e-1
    command = records["arm64-fp16/fp16-off"].build.compile_command
    assert "innerproduct_arm" in command
    assert "+fp16" in command
    assert not records["arm64-fp16/fp16-off"].build.ineffective
    assert records["arm64-fp16/fp16-off"].layers[-1].alone is not None


@pytest.mark.skipif(not DRIVERS, reason=DEVICE_REMEDY)
def test_vulkan_device(tmp_path: Path) -> None:
    records = records_of(
        tmp_path,
        """
        [matrix]
        versions = ["20250503"]
        flags = ["vulkan"]
        runs = ["fp16-off", "vulkan-fp32", "vulkan-fp16s", "vulkan-bf16s"]
        """,
    )
    errors = errors_of(records)
    assert errors["vulkan/vulkan-fp32"] < 1e-5
    assert 5e-5 < errors["vulkan/vulkan-fp16s"] < 1e-2
    device = records["vulkan/vulkan-fp32"]
    assert device.machine["vulkan device_name"]
    assert device.options["use_vulkan_compute"] is True
    assert device.layers[-1].device == "vulkan"
    assert records["vulkan/fp16-off"].layers[-1].device == ""
    assert records["vulkan/vulkan-bf16s"].verdict == Verdict.UNSUPPORTED
    assert "no option use_bf16_packed" in records["vulkan/vulkan-bf16s"].reason


def test_missing_emulator_skips_its_cells(tmp_path: Path) -> None:
    records = records_of(
        tmp_path,
        """
        [targets.board]
        compiler = "c++"
        processor = "x"
        arch = "x86"
        emulator = "no-such-emulator"
        install = "apt-get install no-such-emulator"
        [flags.board]
        target = "board"
        [matrix]
        versions = ["20250503"]
        flags = ["board"]
        runs = ["default"]
        """,
    )
    record = records["board/default"]
    assert record.verdict == Verdict.SKIPPED
    assert record.reason == (
        "target board: no-such-emulator not found: apt-get install no-such-emulator"
    )
