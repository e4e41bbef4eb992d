"""References on disk: all values of one model for one input, computed once, read by page."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from harness.domain.spec import content_key
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

Kind = Literal["fp32", "float64"]

_SCHEMA = 4
_MANIFEST = "manifest.json"
_VALUES = "values.bin"
FILES = (_MANIFEST, _VALUES)
"""All that is in the directory of a reference."""
_ALIGNMENT = 64
"""Bytes at whose multiples arrays begin: a cache line, as NumPy aligns its own."""


@dataclass(frozen=True)
class Reference(Mapping[str, "Array"]):
    """The values of a model for one input, by name; arrays are mapped, not loaded.

    On disk it is a directory with all arrays one after the other in `values.bin`, since opening a
    file for each takes longer than comparing it, and `manifest.json`, which holds their names
    (which may contain any character), places, types, shapes and where they come from.
    """

    directory: Path

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What `manifest.json` says."""
        try:
            content = json.loads((self.directory / _MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error
        return dict(content)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of all values by name, in the order of the graph."""
        return {name: tuple(value["shape"]) for name, value in self.manifest["values"].items()}

    def __getitem__(self, name: str) -> Array:
        """Return one value, read-only.

        Raises:
            KeyError: there is no such value.
            MachineError: the file with the values is damaged.
        """
        entry = self.manifest["values"][name]
        dtype, shape = np.dtype(entry["dtype"]), tuple(entry["shape"])
        start, stop = entry["offset"], entry["offset"] + math.prod(shape) * dtype.itemsize
        if stop > self._bytes.size:
            raise self._damaged(f"{_VALUES} is cut off")
        array: Array = self._bytes[start:stop].view(dtype).reshape(shape)
        return array

    @cached_property
    def _bytes(self) -> NDArray[np.uint8]:
        try:
            # A plain view: arithmetic on a `memmap` yields `memmap`, which costs time.
            return np.asarray(np.memmap(self.directory / _VALUES, np.uint8, mode="r"))
        except (OSError, ValueError) as error:
            raise self._damaged(error) from error

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order of the graph, inputs first."""
        return iter(self.manifest["values"])

    def __len__(self) -> int:
        """Return the number of values."""
        return len(self.manifest["values"])

    def __reduce__(self) -> tuple[type[Reference], tuple[Path]]:
        """Let another process map the same files."""
        return Reference, (self.directory,)

    def _damaged(self, error: Exception | str) -> MachineError:
        return MachineError(
            f"{self.directory}: reference values were damaged while they were used ({error}). "
            "Run the same command again: they are computed again.",
            code=Code.DAMAGED,
        )


def stored(
    origin: Mapping[str, Any], compute: Callable[[], Mapping[str, Array]], *, store: Path
) -> Reference:
    """Return values from the store, computed if they are not there.

    Args:
        origin: everything that they depend on; `file` is for people only.
        compute: gives them by name.
        store: directory of all references.
    """
    key = {name: value for name, value in origin.items() if name != "file"}
    directory = store / content_key({"schema": _SCHEMA, **key})
    if not is_intact(directory):
        values = compute()
        with sealed(directory) as work:
            write_values(work, values, {"schema": _SCHEMA, **origin})
    return Reference(directory)


def digests(inputs: Mapping[str, Array]) -> dict[str, str]:
    """Return what identifies each array of an input."""
    return {name: _digest(array) for name, array in sorted(inputs.items())}


def _digest(array: Array) -> str:
    content = hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
    return f"{array.dtype.str} {list(array.shape)} {content}"


def write_values(directory: Path, values: Mapping[str, Array], origin: dict[str, Any]) -> None:
    """Write values into an empty directory, which then is a `Reference`."""
    entries = {}
    with (directory / _VALUES).open("wb") as file:
        for name, array in values.items():
            file.seek(-file.tell() % _ALIGNMENT, os.SEEK_CUR)
            entries[name] = {
                "offset": file.tell(),
                "shape": array.shape,
                "dtype": array.dtype.str,
            }
            file.write(np.ascontiguousarray(array).tobytes())
        file.write(bytes(1))  # an empty file cannot be mapped
    manifest = {"origin": origin, "values": entries}
    (directory / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
