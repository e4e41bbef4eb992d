import json
import os
import resource
from pathlib import Path

import pytest

from harness.util.limits import ProcessLimits, for_seconds, resident_bytes
from harness.util.process import Processes

NAMES = ("CORE", "FSIZE", "CPU", "DATA", "NOFILE")


def says(arguments: list[str]) -> int:
    ProcessLimits(**json.loads(arguments[0])).apply()
    print(json.dumps({x: resource.getrlimit(getattr(resource, f"RLIMIT_{x}")) for x in NAMES}))
    return 0


def limits(tmp_path: Path, first: ProcessLimits, second: dict[str, int]) -> dict[str, list[int]]:
    done = Processes().call(
        says, [json.dumps(second)], log=tmp_path / "log", timeout=60, limits=first
    )
    found: dict[str, list[int]] = json.loads(done.output)
    return found


def test_limits_are_set_and_only_lowered(tmp_path: Path) -> None:
    first = ProcessLimits(file_bytes=1000, cpu_seconds=50, data_bytes=1 << 32)
    found = limits(tmp_path, first, {"file_bytes": 2000, "cpu_seconds": 10})
    assert found["CORE"] == [0, 0]
    assert found["FSIZE"] == [1000, 1000]
    assert found["CPU"] == [10, 15]
    assert found["DATA"] == [1 << 32, 1 << 32]
    assert found["NOFILE"][0] <= 4096


@pytest.mark.parametrize("seconds", [0.001, 60, 1e30])
def test_cpu_time_goes_with_wall_time(seconds: float) -> None:
    assert 60 <= for_seconds(seconds).cpu_seconds <= 2**31 + 60
    assert for_seconds(seconds).cpu_seconds >= min(seconds, 2**31)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc")
def test_memory_in_use_is_known() -> None:
    assert 1 << 20 < resident_bytes([os.getpid()]) < 1 << 36
    assert resident_bytes([2**22 + 1]) == 0
