from pathlib import Path

import pytest
from PIL import Image

from harness.analysis.diagnosis.input_folder import inputs_in
from harness.domain.spec import (
    InputSpec,
)
from harness.util.errors import UsageError


def test_directory_of_inputs(tmp_path: Path) -> None:
    Image.new("L", (8, 4)).save(tmp_path / "b.png")
    (tmp_path / "a.npy").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    shape = (1, 3, 48, 320)
    found = inputs_in(tmp_path, [InputSpec(name="text", text="x", shape=shape)])
    assert [item.name for item in found] == ["a.npy", "b.png"]
    assert (found[1].shape, found[1].mean) == (shape, (127.5,))


def test_directory_without_inputs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no image"):
        inputs_in(tmp_path, [])
    with pytest.raises(UsageError, match="no such directory"):
        inputs_in(tmp_path / "missing", [])
