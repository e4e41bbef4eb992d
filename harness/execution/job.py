"""What a worker process is told to do, and what it says of each input when it is done."""

from __future__ import annotations

from harness.domain.base import MessageValue
from harness.domain.records import LayerRecord, Metrics
from harness.domain.spec import When


class JobInput(MessageValue):
    """One input of a job."""

    name: str
    feeds: dict[str, str]
    """ncnn blob → `.npy` file in the layout of ncnn (no batch axis)."""
    reference: str
    """Directory of the reference bundle."""


class Job(MessageValue):
    """One build, one set of run options, several inputs: the work of one process."""

    binding: str
    """The pybind11 binding; not needed with a `runner`."""
    runner: tuple[str, ...] = ()
    """Command of the runner, for a build that Python itself cannot load."""
    core: str
    param: str
    bin: str
    names: dict[str, str] = {}
    """ncnn blob → ONNX value, where the names differ."""
    options: dict[str, bool | int] = {}
    threads: int = 1
    when: When = "first"
    inputs: tuple[JobInput, ...]
    output: str
    """ncnn blob of the model's output."""
    alone: bool = True
    """Whether to run every layer alone on the reference's values as well."""
    repeats: int = 1
    """Forward passes from which the fastest gives the latency."""
    memory_bytes: int = 0
    """Limit of the process's address space; 0 for none."""


class InputResult(MessageValue):
    """What a worker reports of one input."""

    input: str
    failure: str = ""
    """Why there are no numbers: the model does not load, an output has the wrong shape."""
    refused: bool = False
    """Whether the failure was to load the model."""
    unsupported: str = ""
    """A requested option that this build does not have."""
    skipped: str = ""
    """Something that this machine lacks, and the remedy."""
    options: dict[str, bool | int] = {}
    """Every option as it was in force."""
    defaults: dict[str, bool | int] = {}
    """Every option as the build sets it by itself."""
    device: dict[str, str] = {}
    """What ncnn tells of the Vulkan device in use."""
    output: Metrics | None = None
    layers: tuple[LayerRecord, ...] = ()
    latency_ms: float | None = None
    repeatable: bool = True
    """Whether the pass that keeps all blobs gave the same output, bit for bit."""
    output_file: str = ""
    """`.npy` file with the output, in the layout of ncnn."""
