"""What a worker process is told to do, and what it writes down, line by line, while it does it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from harness.domain.base import MessageValue
from harness.domain.records import LayerRecord, Metrics
from harness.domain.spec import When
from harness.execution.heap import Heap
from harness.model.alignment import Alignment
from harness.reference.values import FILES


class JobInput(MessageValue):
    """One input of a job."""

    name: str
    feeds: dict[str, str]
    """ncnn blob → `.npy` file in the layout of ncnn (no batch axis)."""
    reference: str = ""
    """Directory of the values to compare with, and to feed layers alone with; empty for none."""
    noise: str = ""
    """Directory of what honest arithmetic may be off by in each channel; empty to judge none."""
    keep: str = ""
    """Directory that receives every blob that is computed; empty to keep none but the output."""
    alone: tuple[str, ...] | None = None
    """Layers to run alone as well, by name; None for all."""
    shapes: dict[str, tuple[int, ...]] | None = None
    """Shapes of the blobs, where an earlier process ran the chain: then only layers are run."""


class Job(MessageValue):
    """One build, one set of run options, several inputs: the work of one process."""

    binding: str
    """The pybind11 binding; not needed with a `runner`."""
    runner: tuple[str, ...] = ()
    """Command of the runner, for a build that Python itself cannot load."""
    library: str = ""
    """Library that the process must have loaded before all others: that of a sanitizer."""
    core: str
    param: str
    bin: str
    alignments: tuple[Alignment, ...] = ()
    """Which blob holds which value; needed where there is a reference."""
    options: dict[str, bool | int] = {}
    threads: int = 1
    when: When = "first"
    inputs: tuple[JobInput, ...] = ()
    outputs: tuple[str, ...]
    """ncnn blobs of the model's outputs."""
    repeats: int = 1
    """Forward passes from which the fastest gives the latency."""
    again: bool = False
    """Whether this is only to be compared with what was measured before: one pass for all blobs,
    and no errors."""
    heap: Heap = Heap.AS_IT_IS
    pools: bool = True
    """Whether ncnn may keep the memory of blobs for later ones."""
    network: bool = False
    """Whether the runner is reached by the network."""

    def files(self) -> list[str]:
        """Return all files that are read: the build, the model, the inputs and what they give."""
        folders = [folder for item in self.inputs for folder in (item.reference, item.noise)]
        values = [f"{folder}/{name}" for folder in folders if folder for name in FILES]
        feeds = [file for item in self.inputs for file in item.feeds.values()]
        return [self.binding, self.core, self.param, self.bin, *values, *feeds]


class Opened(MessageValue):
    """The build is open and the model loaded, or the reason why not."""

    kind: Literal["opened"] = "opened"
    failure: str = ""
    """ncnn refused the model, or something died."""
    refused: bool = False
    """Whether the failure was to load the model."""
    unsupported: str = ""
    """A requested option that this build does not have."""
    skipped: str = ""
    """Something that this machine lacks, and what to do about it."""
    options: dict[str, bool | int] = {}
    """Every option as it was in force."""
    defaults: dict[str, bool | int] = {}
    """Every option as the build sets it by itself."""
    device: dict[str, str] = {}
    """What ncnn tells of the Vulkan device in use."""

    @property
    def stopped(self) -> str:
        """Why nothing was run; empty if all is well."""
        return self.failure or self.unsupported or self.skipped


class ChainDone(MessageValue):
    """The model ran on one input: for its output, and once more keeping every blob."""

    kind: Literal["chain"] = "chain"
    input: str
    failure: str = ""
    """Why there is no output: an error of ncnn, a wrong shape."""
    outputs: dict[str, Metrics] = {}
    """Errors of the outputs that have a reference, by blob."""
    output_files: dict[str, str] = {}
    """`.npy` files with the outputs, in the layout of ncnn."""
    layers: tuple[LayerRecord, ...] = ()
    """One record per alignment, with the chain's errors."""
    latency_ms: float = 0.0
    """Wall time of the fastest pass."""
    slowest_ms: float = 0.0
    steady: bool = True
    """Whether all passes for the output gave the same, bit for bit."""
    kept_agrees: bool = True
    """Whether the pass that keeps all blobs gave the same output, bit for bit."""
    digests: dict[str, str] = {}
    """Blob → digest of its values in the pass that keeps all blobs."""
    spoilt: dict[str, int] = {}
    """Blob → how many of its values there are NaN or infinite, where any are."""
    shapes: dict[str, tuple[int, ...]] = {}
    files: dict[str, str] = {}
    """Blob → file, where blobs are kept."""
    failures: dict[str, str] = {}
    """Blobs that could not be computed, with the reason."""


class AloneDone(MessageValue):
    """One layer ran on the reference's values, or the reason why not."""

    kind: Literal["alone"] = "alone"
    input: str
    layer: str
    errors: dict[str, Metrics] = {}
    """By blob."""
    reasons: dict[str, str] = {}
    """Blobs without an error, with the reason."""
    died: str = ""
    """How the process ended that ran it."""
    digests: dict[str, str] = {}
    """Blob → digest of its values."""
    files: dict[str, str] = {}


class InputDone(MessageValue):
    """All is done for one input."""

    kind: Literal["done"] = "done"
    input: str


Message = Annotated[Opened | ChainDone | AloneDone | InputDone, Field(discriminator="kind")]
MESSAGES: TypeAdapter[Message] = TypeAdapter(Message)
