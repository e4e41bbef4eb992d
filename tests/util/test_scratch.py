import logging
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness.util.scratch import MARK, remove_abandoned, scratch_directory

KILLED = """
import os, signal
from harness.util.scratch import scratch_directory
with scratch_directory("cell-") as path:
    (path / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def _temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_is_there_within_the_block_and_nobody_takes_it_for_abandoned(tmp_path: Path) -> None:
    with scratch_directory("cell-") as path:
        (path / "x").write_text("x")
        remove_abandoned()
        assert (path / "x").exists()
        assert path.name.startswith(f"{MARK}cell-")
    assert [*tmp_path.iterdir()] == []


def test_it_goes_when_the_block_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), scratch_directory("a-"):
        raise ValueError("no")
    assert [*tmp_path.iterdir()] == []


def test_what_a_killed_process_left_goes_and_what_is_not_ours_stays(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    assert len([*tmp_path.glob(f"{MARK}*")]) == 1
    other = tmp_path / "others"
    other.mkdir()
    (tmp_path / f"{MARK}link").symlink_to(other, target_is_directory=True)
    (tmp_path / f"{MARK}file").write_text("x")
    remove_abandoned()
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"others", f"{MARK}link", f"{MARK}file"}


def test_debugging_keeps_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "harness"), scratch_directory("cell-") as path:
        pass
    remove_abandoned()
    assert path.is_dir()
