"""A loaded model in one build: give it forward passes, get blobs back.

`Session` is what the worker needs. The native session below drives the pybind11 binding in this
process; a target that Python does not run on answers the same requests by another program.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from harness.build.extension import load_binding
from harness.build.packages import INSTALL, VULKAN_DRIVER
from harness.domain.spec import THREADS
from harness.execution.heap import Heap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.domain.spec import When

Array = np.ndarray[Any, np.dtype[np.float32]]

POOLS = ("use_local_pool_allocator",)
"""Options by which ncnn keeps the memory of blobs: what it keeps, the C library cannot fill."""
USE_VULKAN = "use_vulkan_compute"
DEVICE_REMEDY = f"{INSTALL} {VULKAN_DRIVER}"
ENOUGH = 0.1
"""Seconds of repeated passes after which there are no more of them."""
PLACES = {-1: "", 0: "cpu", 1: "vulkan"}
"""What the core's codes for the place of a layer mean."""


@dataclass(frozen=True, kw_only=True)
class ForwardPass:
    """One forward pass."""

    feeds: Mapping[str, Array]
    """ncnn blob → tensor in ncnn's layout."""
    blobs: Sequence[str]
    """Blobs to take out, in this order."""
    keep_intermediate: bool = False
    repeats: int = 1
    """How often to run it, if a pass is short; the fastest one counts for the latency."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What came of a request."""

    blobs: Mapping[str, Array]
    failures: Mapping[str, str] = field(default_factory=dict)
    """Blobs that could not be computed, with the reason."""
    seconds: float = 0.0
    """Wall time of the fastest pass."""
    slowest: float = 0.0
    """Wall time of the slowest pass."""
    steady: bool = True
    """Whether all passes gave the same, bit for bit."""

    @classmethod
    def fastest(cls, replies: Sequence[Reply]) -> Reply:
        """Return the fastest of several passes of the same request."""
        first, *others = replies
        return replace(
            min(replies, key=lambda reply: reply.seconds),
            slowest=max(reply.seconds for reply in replies),
            steady=all(same_blobs(first.blobs, other.blobs) for other in others),
        )


def same_blobs(one: Mapping[str, Array], other: Mapping[str, Array]) -> bool:
    """Return whether the blobs that both passes have are equal; NaN is equal to NaN."""
    shared = one.keys() & other.keys()
    return all(np.array_equal(one[blob], other[blob], equal_nan=True) for blob in shared)


@dataclass(frozen=True, kw_only=True)
class Setup:
    """What makes a session of a build: the model and the options."""

    core: Path
    param: Path
    weights: Path
    options: Mapping[str, bool | int]
    threads: int = 1
    trace: Path | None = None
    """File that receives where the process is when a signal ends it."""
    when: When = "first"
    """When the options are set; `harness.domain.spec.RunSpec` says more."""
    pools: bool = True
    """Whether ncnn may keep the memory of blobs for later ones, as it does by itself."""
    heap: Heap = Heap.AS_IT_IS
    """How a program elsewhere looks after its memory; the worker sees to its own."""

    def finally_set(self, loaded: Mapping[str, bool | int]) -> dict[str, bool | int]:
        """Return the options as they are during a pass, given those after loading."""
        return {**loaded, **(self.options if self.when == "after-extractor" else {})}

    def without_pools(self, known: Iterable[str]) -> tuple[str, ...]:
        """Return the options to switch off behind loading, of those that a build knows."""
        return () if self.pools else tuple(name for name in POOLS if name in known)

    @property
    def wants_vulkan(self) -> bool:
        """Whether the options ask for a Vulkan device."""
        return bool(self.options.get(USE_VULKAN))


class LoadError(Exception):
    """The build cannot load the model."""


class RunError(Exception):
    """The program that runs the model elsewhere did not end well."""


class UnsupportedError(Exception):
    """The build has no option of a requested name, or no Vulkan."""


class NoDeviceError(Exception):
    """The build has Vulkan, but there is no device that it could use."""


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

    @property
    def device(self) -> Mapping[str, str]:
        """What ncnn tells of the Vulkan device in use; empty on the CPU."""
        ...

    def placement(self, layers: int) -> tuple[str, ...]:
        """Return where each of the model's `layers` runs, if a device is in use.

        `vulkan`, `cpu`, or empty where this version of ncnn does not tell.
        """
        ...

    def run(self, requests: Sequence[ForwardPass]) -> Iterator[Reply]:
        """Answer the requests in their order."""
        ...


def check_setup(setup: Setup, known: Mapping[str, object], devices: int) -> None:
    """Check what is asked for against what a build has.

    Args:
        setup: what is asked for.
        known: the build's options.
        devices: number of Vulkan devices, -1 for a build without Vulkan.

    Raises:
        UnsupportedError: an unknown option, or Vulkan on a build without it.
        NoDeviceError: Vulkan without a device.
    """
    unknown = sorted(set(setup.options) - set(known))
    if unknown:
        raise UnsupportedError(f"this build of ncnn has no option {', '.join(unknown)}")
    if setup.wants_vulkan and devices < 0:
        raise UnsupportedError(f"{USE_VULKAN}: this build has no Vulkan (NCNN_VULKAN=OFF)")
    if setup.wants_vulkan and not devices:
        raise NoDeviceError(
            "no Vulkan device. With a graphics card: `vulkaninfo --summary` names the driver that "
            f"does not load. A software device: {DEVICE_REMEDY}"
        )


def device_properties(text: str) -> dict[str, str]:
    """Return what the core says of a device, one `key value` per line, as a dictionary."""
    pairs = (line.partition(" ") for line in text.splitlines())
    return {key: value for key, _, value in pairs}


class NativeSession:
    """A session in this process, over the pybind11 binding."""

    def __init__(self, binding: Path, setup: Setup) -> None:
        """Open a build, set its options and load the model.

        Raises:
            UnsupportedError: the build does not have what is asked for.
            NoDeviceError: Vulkan without a device.
            LoadError: ncnn does not take the model; its own words are on stderr.
        """
        self._setup = setup
        module = load_binding(binding)
        if setup.trace:
            module.trace_crashes(str(setup.trace))
        core = module.Core(str(setup.core))
        self._net = module.Net(core)
        self.defaults: Mapping[str, bool | int] = dict(self._net.options())
        # Counting devices starts the Vulkan driver: only where it is asked for.
        check_setup(setup, self.defaults, core.device_count() if setup.wants_vulkan else -1)
        self.device: Mapping[str, str] = (
            device_properties(core.device_text()) if setup.wants_vulkan else {}
        )
        try:
            self._load(setup)
        except RuntimeError as error:
            raise LoadError(str(error)) from error
        # Loading changes options: ncnn drops what the device cannot do.
        self.options: Mapping[str, bool | int] = setup.finally_set(self._net.options())
        for name in setup.without_pools(self.defaults):
            self._net.set_option(name, 0)

    def _load(self, setup: Setup) -> None:
        self._net.set_option(THREADS, setup.threads)
        self._set_if(setup.when == "first")
        self._net.load_param(str(setup.param))
        self._set_if(setup.when == "after-param")
        self._net.load_model(str(setup.weights))
        self._set_if(setup.when == "after-model")

    def _set_if(self, due: bool) -> None:
        if due:
            for name, value in self._setup.options.items():
                self._net.set_option(name, int(value))

    def placement(self, layers: int) -> tuple[str, ...]:
        """Return where each layer runs, if a device is in use."""
        if not self.device:
            return ("",) * layers
        return tuple(PLACES[self._net.layer_on_device(index)] for index in range(layers))

    def run(self, requests: Sequence[ForwardPass]) -> Iterator[Reply]:
        """Answer the requests in their order."""
        for request in requests:
            replies = [self._once(request)]
            while len(replies) < request.repeats and sum(r.seconds for r in replies) < ENOUGH:
                replies.append(self._once(request))
            yield Reply.fastest(replies)

    def _once(self, request: ForwardPass) -> Reply:
        late = self._setup.when == "after-extractor"
        if late:
            # As if no pass had been there before, and set no option.
            for name in self._setup.options:
                self._net.set_option(name, int(self.defaults[name]))
        forward = self._net.forward(request.keep_intermediate)
        self._set_if(late)
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
