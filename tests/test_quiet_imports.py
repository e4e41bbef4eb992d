"""What importing the harness must not do."""

import os
import subprocess
import sys
from pathlib import Path


def test_nothing_is_written_or_sent_by_the_packages_that_are_imported(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    env |= {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    env.pop("XDG_CACHE_HOME", None)
    code = "import harness.reference.evaluation, harness.execution.cell_runner"
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert [str(path) for path in tmp_path.rglob("*")] == []
