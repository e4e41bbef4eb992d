"""Messages of worker processes, which ran foreign code: read as somebody else's files are.

A build that writes where it should not may have changed anything. What does not fit the job that
the process was given is left out, as if it had never been said.
"""

from __future__ import annotations

import logging
import math
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from harness.execution.job import MESSAGES, AloneDone, ChainDone, Job, Message, Opened
from harness.model.param import read_param

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.execution.session import Array

T = TypeVar("T")
logger = logging.getLogger(__name__)

_NUMBERS = "biuf"
"""Kinds of arrays that a blob may be."""
MOST_BYTES = 256 << 20
"""Of the messages of one process; those of a model with a thousand layers are a hundredth of it."""


def read_messages(path: Path, parse: Callable[[str], T]) -> list[T]:
    """Return the messages of a process, one per line; none if there is no such file.

    A line that cannot be parsed was torn by the death of who wrote it, or is none of ours.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES)
    except OSError:
        return []
    found = []
    for line in data.split(b"\n"):
        # Deep nesting is a RecursionError, other nonsense a ValueError.
        with suppress(ValueError, RecursionError):
            found.append(parse(line.decode()))
    return found


def messages_of(path: Path, job: Job, folders: Iterable[Path | str]) -> list[Message]:
    """Return what a process said of its job.

    Args:
        path: the file with its messages.
        job: what it was to do.
        folders: where it was allowed to write.
    """
    check = _Check(job, folders)
    found = []
    for message in read_messages(path, MESSAGES.validate_json):
        if check.is_sound(message):
            found.append(message)
        else:
            logger.info("%s: left out, since it does not fit the job: %.200s", path, message)
    return found


class _Check:
    """What a job's messages can say."""

    def __init__(self, job: Job, folders: Iterable[Path | str]) -> None:
        param = read_param(Path(job.param))
        self._inputs = {item.name for item in job.inputs}
        self._blobs = {layer.name: set(layer.outputs) for layer in param.layers}
        self._all_blobs = {blob for blobs in self._blobs.values() for blob in blobs}
        self._outputs = set(job.outputs)
        self._folders = [Path(folder).resolve() for folder in folders]
        self._again = job.again

    def is_sound(self, message: Message) -> bool:
        if isinstance(message, Opened):
            return True
        if message.input not in self._inputs:
            return False
        if isinstance(message, ChainDone):
            return self._is_sound_chain(message)
        if isinstance(message, AloneDone):
            blobs = self._blobs.get(message.layer)
            said = (message.errors, message.reasons, message.digests, message.files)
            return (
                blobs is not None
                and not message.died
                and all(blobs.issuperset(each) for each in said)
                and self._are_own(message.files)
            )
        return True

    def _is_sound_chain(self, message: ChainDone) -> bool:
        of_blobs = (message.digests, message.spoilt, message.shapes, message.files)
        of_outputs = (message.outputs, message.output_files)
        latency = (message.latency_ms, message.slowest_ms)
        layers = all(r.blob in self._blobs.get(r.name, ()) for r in message.layers)
        return (
            layers
            and all(self._all_blobs.issuperset(each) for each in of_blobs)
            and all(self._outputs.issuperset(each) for each in of_outputs)
            and all(count >= 0 for count in message.spoilt.values())
            and all(extent >= 0 for shape in message.shapes.values() for extent in shape)
            and all(math.isfinite(each) and each >= 0 for each in latency)
            and self._are_own(message.files)
            and self._are_own(message.output_files)
        )

    def _are_own(self, files: Mapping[str, str]) -> bool:
        """Return whether files lie where the process may write, and are files."""
        for file in files.values():
            path = Path(file)
            place = path.resolve()
            inside = any(place.is_relative_to(folder) for folder in self._folders)
            if not inside or path.is_symlink() or not path.is_file():
                return False
        return True


def array_of(file: str) -> Array | None:
    """Return the tensor in a file that a process wrote; None if there is none."""
    try:
        with Path(file).open("rb") as stream:
            # Not `np.load`, which takes archives too.
            array = np.lib.format.read_array(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError):
        return None
    return array if array.dtype.kind in _NUMBERS else None
