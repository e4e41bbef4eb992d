"""A session in which blobs of integers are given and taken as numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.execution.session import Array, ForwardPass, Reply, Session


class IntegerSession:
    """Another session, between whose float32 and the numbers of some blobs this one translates.

    ncnn reads the bits of a token's id where it has a float. Above, an id is the number that it is.
    """

    def __init__(self, session: Session, blobs: frozenset[str]) -> None:
        self._session = session
        self._blobs = blobs

    @property
    def defaults(self) -> Mapping[str, bool | int]:
        """Every option as the build sets it by itself."""
        return self._session.defaults

    @property
    def options(self) -> Mapping[str, bool | int]:
        """Every option as it is in force."""
        return self._session.options

    @property
    def device(self) -> Mapping[str, str]:
        """What ncnn tells of the Vulkan device in use; empty on the CPU."""
        return self._session.device

    def placement(self, layers: int) -> tuple[str, ...]:
        """Return where each layer runs, if a device is in use."""
        return self._session.placement(layers)

    def run(self, requests: Sequence[ForwardPass]) -> Iterator[Reply]:
        """Answer the requests in their order."""
        coded = [
            replace(r, feeds={blob: self._coded(blob, a) for blob, a in r.feeds.items()})
            for r in requests
        ]
        for reply in self._session.run(coded):
            blobs = {blob: self._decoded(blob, array) for blob, array in reply.blobs.items()}
            yield replace(reply, blobs=blobs)

    def _coded(self, blob: str, array: Array) -> Array:
        if blob not in self._blobs:
            return array
        return np.ascontiguousarray(array, dtype=np.int32).view(np.float32)

    def _decoded(self, blob: str, array: Array) -> Array:
        if blob not in self._blobs:
            return array
        return np.ascontiguousarray(array).view(np.int32).astype(np.float32)
