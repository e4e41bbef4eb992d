"""Thousands of cells: what a matrix holds of each until its report is written."""

import json
import subprocess
import sys
from pathlib import Path

from tests.commands.long_run import LAYERS

ROOT = Path(__file__).parent.parent.parent
CELLS = 5000
MEMORY_PER_LAYER = 3500
"""Bytes. A record of 20 layers with the errors of both chain and alone takes 2200 per layer."""


def test_memory_and_disk_grow_by_little_for_each_cell(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.commands.long_run", str(CELLS), str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    taken = json.loads(done.stdout)
    assert taken["records"] == CELLS
    assert taken["memory"] < MEMORY_PER_LAYER * LAYERS
    assert taken["disk"] < 1000 * LAYERS
