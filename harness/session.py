"""A loaded model in one build: give it forward passes, get blobs back.

`Session` is what the worker needs. The native session below drives the pybind11 front in this
process; a target that Python does not run on answers the same requests by another program.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from harness.front import load_front

Array = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """One forward pass."""

    feeds: Mapping[str, Array]
    """ncnn blob → tensor in ncnn's layout."""
    blobs: Sequence[str]
    """Blobs to take out, in this order."""
    keep_intermediate: bool = False
    repeats: int = 1
    """How often to run it; the fastest pass counts for the latency."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of a request."""

    blobs: Mapping[str, Array]
    failures: Mapping[str, str] = field(default_factory=dict)
    """Blobs that could not be computed, with the reason."""
    seconds: float = 0.0
    """Wall time of the fastest pass."""


class LoadError(Exception):
    """The build cannot load the model."""


class UnknownOptionError(Exception):
    """The build has no option of a requested name."""


class Session(Protocol):
    """A build with its options set and its model loaded."""

    @property
    def defaults(self) -> Mapping[str, bool | int]:
        """Every option as the build sets it by itself."""
        ...

    @property
    def options(self) -> Mapping[str, bool | int]:
        """Every option as it is in force."""
        ...

    def run(self, requests: Sequence[Request]) -> Iterator[Reply]:
        """Answer the requests in their order."""
        ...


class NativeSession:
    """A session in this process, over the pybind11 front."""

    def __init__(self, front: Path, core: Path, options: Mapping[str, bool | int]) -> None:
        """Open a build and set its options.

        Raises:
            UnknownOptionError: the build has no such option.
        """
        module = load_front(front)
        self._net = module.Net(module.Core(str(core)))
        self.defaults: Mapping[str, bool | int] = dict(self._net.options())
        unknown = sorted(set(options) - set(self.defaults))
        if unknown:
            raise UnknownOptionError(f"this build of ncnn has no option {', '.join(unknown)}")
        for name, value in options.items():
            self._net.set_option(name, int(value))
        self.options: Mapping[str, bool | int] = dict(self._net.options())

    def load(self, param: Path, weights: Path) -> None:
        """Load a model; options have to be set by now, since ncnn converts weights here.

        Raises:
            LoadError: ncnn does not take it; its own words are on stderr.
        """
        try:
            self._net.load(str(param), str(weights))
        except RuntimeError as error:
            raise LoadError(str(error)) from error

    def run(self, requests: Sequence[Request]) -> Iterator[Reply]:
        """Answer the requests in their order."""
        for request in requests:
            replies = [self._once(request) for _ in range(request.repeats)]
            yield min(replies, key=lambda reply: reply.seconds)

    def _once(self, request: Request) -> Reply:
        forward = self._net.forward(request.keep_intermediate)
        for blob, array in request.feeds.items():
            forward.input(blob, array)
        blobs: dict[str, Array] = {}
        failures: dict[str, str] = {}
        started = time.perf_counter()
        for blob in request.blobs:
            try:
                blobs[blob] = forward.extract(blob)
            except (RuntimeError, ValueError) as error:
                failures[blob] = str(error)
        return Reply(blobs=blobs, failures=failures, seconds=time.perf_counter() - started)
