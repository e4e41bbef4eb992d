"""Files that a worker runs on: nothing that it gave is kept if one of them was damaged."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.files import file_state
from harness.util.sealed import SEAL, is_intact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def unchanged(files: Iterable[str]) -> Iterator[None]:
    """Make sure that files are what was stored before they are used, and the same afterwards.

    ncnn would be blamed for what a damaged build, model or reference gives.

    Args:
        files: paths; those in an entry of the store are proved by its seal, others are only
            looked at.

    Raises:
        MachineError: one was damaged or changed.
    """
    paths = sorted({Path(file) for file in files if file})
    for folder in dict.fromkeys(path.parent for path in paths):
        if (folder / SEAL).exists() and not is_intact(folder):
            raise _changed(folder)
    before = [file_state(path) for path in paths]
    yield
    for path, state in zip(paths, before, strict=True):
        if file_state(path) != state:
            raise _changed(path)


def _changed(path: Path) -> MachineError:
    return MachineError(
        f"{path}: damaged or changed while it was measured with, and what it gave is not kept. "
        "Run the same command again: it is made again, and what is finished stays.",
        code=Code.DAMAGED,
    )
