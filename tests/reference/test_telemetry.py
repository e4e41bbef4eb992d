"""ONNX Runtime keeps nothing in the user's home, and tells nobody that it is used."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import harness.reference.evaluation, pathlib
threads = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(len(threads))
"""


def test_importing_it_starts_no_thread_and_writes_nothing(tmp_path: Path) -> None:
    env = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    env.pop("ORT_DISABLE_TELEMETRY", None)
    done = subprocess.run(
        [sys.executable, "-c", CODE], env=env, capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("1", "")
    assert list(tmp_path.iterdir()) == []
