from collections.abc import Callable
from pathlib import Path

import pytest

from harness.execution.unchanged import unchanged
from harness.util.errors import MachineError
from harness.util.sealed import SEAL, sealed


@pytest.fixture
def core(tmp_path: Path) -> Path:
    with sealed(tmp_path / "build") as work:
        (work / "core.so").write_bytes(b"code")
    return tmp_path / "build" / "core.so"


def again(core: Path) -> None:
    core.parent.rename(core.parent.with_name("theirs"))
    core.parent.mkdir()
    core.write_bytes(b"code")


@pytest.mark.parametrize(
    "change",
    [lambda core: core.write_bytes(b"cod"), lambda core: core.unlink(), again],
    ids=["cut off", "deleted", "made again"],
)
def test_what_changes_meanwhile_gives_nothing(core: Path, change: Callable[[Path], object]) -> None:
    with (
        pytest.raises(MachineError, match=r"core\.so: damaged or changed.*again"),
        unchanged([str(core)]),
    ):
        change(core)


def test_what_is_damaged_already_is_not_used(core: Path) -> None:
    core.write_bytes(b"cope")
    with pytest.raises(MachineError, match="build: damaged"), unchanged([str(core)]):
        pytest.fail("it is used")


def test_what_stays_is_fine(core: Path, tmp_path: Path) -> None:
    own = tmp_path / "m.bin"
    with unchanged([str(core), str(own), ""]):
        pass
    (core.parent / SEAL).unlink()
    with unchanged([str(core)]):
        pass
    with pytest.raises(MachineError), unchanged([str(own)]):
        own.touch()
