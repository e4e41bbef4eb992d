"""A model with its inputs, as it travels: files under the names that their content gave them.

A worker puts them into its own store, where they are found again by any later run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.execution.engine import ModelAtHand
from harness.reference.values import Reference
from harness.util.files import directory_atomically, disk_trouble_explained
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.reference.prepared_input import PreparedInput
    from harness.util.build_store import Store

PARAM, BIN = "model.param", "model.bin"

Folder = dict[str, bytes]
"""Files by name."""


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """Everything that a worker needs of a model."""

    at_hand: ModelAtHand
    """With the paths of the machine that packed it."""
    digest: str
    """`PreparedModel.digest`."""
    model: Folder
    references: Mapping[str, Folder]
    """Directories of the store of references, by name; each has its seal."""


def packed(at_hand: ModelAtHand, beside: Iterable[Reference] = ()) -> Parcel:
    """Read all files of a model and its inputs.

    Args:
        at_hand: both.
        beside: other references that are needed there, see `moved`.

    Raises:
        MachineError: the model's files were changed meanwhile.
        OSError: one cannot be read.
    """
    folders = {
        folder
        for item in at_hand.inputs.values()
        for folder in (
            item.reference.directory,
            item.noise.channels.directory,
            *(Path(feed).parent for feed in item.feeds.values()),
        )
    }
    folders |= {reference.directory for reference in beside}
    model = at_hand.model
    files = {PARAM: model.param.read_bytes(), BIN: model.bin.read_bytes()}
    model.check()
    return Parcel(
        at_hand=at_hand,
        digest=model.digest,
        model=files,
        references={
            folder.name: {path.name: path.read_bytes() for path in folder.iterdir()}
            for folder in sorted(folders)
        },
    )


def unpacked(parcel: Parcel, store: Store) -> ModelAtHand:
    """Put what a parcel holds into a store, unless it is there, and return the model from there.

    Raises:
        MachineError: the disk is full, or not writable.
    """
    model = parcel.at_hand.model
    folder = store.models / f"parcel-{parcel.digest}"
    with store.lock(folder.name):
        if not is_intact(folder):
            with sealed(folder) as work:
                _fill(work, parcel.model)
    for name, files in parcel.references.items():
        target = store.references / name
        with store.lock(name):
            # Sealed already, by who made it.
            if not is_intact(target):
                with disk_trouble_explained(target), directory_atomically(target) as work:
                    _fill(work, files)
    return ModelAtHand(
        model=replace(model, param=folder / PARAM, bin=folder / BIN, states=()),
        inputs={name: _moved(item, store) for name, item in parcel.at_hand.inputs.items()},
    )


def moved(reference: Reference, store: Store) -> Reference:
    """Return a reference that came with a parcel, where it is in the store of who unpacked it."""
    return Reference(store.references / reference.directory.name)


def _fill(folder: Path, files: Folder) -> None:
    for name, data in files.items():
        (folder / name).write_bytes(data)


def _moved(item: PreparedInput, store: Store) -> PreparedInput:
    def here(path: Path | str) -> Path:
        return store.references / Path(path).parent.name / Path(path).name

    return replace(
        item,
        feeds={blob: str(here(path)) for blob, path in item.feeds.items()},
        reference=moved(item.reference, store),
        noise=replace(item.noise, channels=moved(item.noise.channels, store)),
    )
