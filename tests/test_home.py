"""What the libraries do that the harness uses."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from tests import one_layer

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path
import numpy as np
from harness.reference.evaluation import evaluate
evaluate(Path(sys.argv[1]), {"x": np.zeros((1, 40, 120), np.float32)})
"""


def test_evaluating_a_model_leaves_the_home_directory_alone(tmp_path: Path) -> None:
    one_layer.write_model(tmp_path)
    home = tmp_path / "home"
    home.mkdir()
    kept = {
        k: v for k, v in os.environ.items() if k not in ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    }
    environment = {**kept, "HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "m.onnx")]
    subprocess.run(command, env=environment, check=True)
    assert list(home.rglob("*")) == []
