"""What is to be built and run, as values.

Specifications are frozen, hashable and serialisable. Nothing else identifies a build or a cell:
the readable, globbable id and the content key both derive from them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any, Literal

THREADS = "num_threads"
"""The field of `ncnn::Option` that has a place of its own in `RunSpec`."""
OptionValue = bool | int
When = Literal["first", "after-param", "after-model", "after-extractor"]


def content_key(value: Any) -> str:
    """Return a short stable key of a JSON-serialisable value or dataclass."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} has no canonical form")


@dataclass(frozen=True, kw_only=True)
class Revision:
    """One source revision of ncnn and where it comes from."""

    label: str
    """The readable name used in ids, such as `20250503`."""
    kind: Literal["index", "git", "directory"]
    name: str
    """Release date (`index`), tag, branch or commit (`git`), path (`directory`)."""
    where: str = ""
    """Path or URL of the repository (`git` only)."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A machine that builds are made for, other than the one at hand."""

    name: str
    compiler: str
    """C++ compiler by name or path."""
    system: str
    processor: str
    """What CMake calls the target's system and processor (`CMAKE_SYSTEM_PROCESSOR`)."""
    arch: str
    """Folder below ncnn's `src/layer` with the target's kernels, such as `arm`."""
    emulator: str
    """Command that runs a program of the target, to be followed by that program's path."""
    install: str
    """Command that installs compiler and emulator."""
    network: bool = False
    """Whether the emulator's command reaches the machine by the network."""


@dataclass(frozen=True, kw_only=True)
class FlagSet:
    """One named set of compile-time choices, before it is resolved against a version."""

    name: str
    options: tuple[tuple[str, str], ...] = ()
    """CMake cache entries, such as `("NCNN_AVX2", "ON")`, sorted by name."""
    needs: frozenset[str] = frozenset()
    """CPU features that the compiled code executes unconditionally, named as archspec does."""
    compiler: str = ""
    """C++ compiler by name or path; empty for the first of `c++`, `g++`, `clang++` on PATH."""
    cxx_flags: str = ""
    """Flags appended to every compile command, after ncnn's own `CMAKE_CXX_FLAGS`."""
    target: Target | None = None
    """What the builds are for; None for the machine at hand."""

    @property
    def wants_vulkan(self) -> bool:
        """Whether the builds have Vulkan."""
        return ("NCNN_VULKAN", "ON") in self.options

    @property
    def wants_asan(self) -> bool:
        """Whether the builds have AddressSanitizer, whose library a process must have first."""
        texts = (self.cxx_flags, dict(self.options).get("CMAKE_CXX_FLAGS", ""))
        return any(
            "address" in word.removeprefix("-fsanitize=").split(",")
            for text in texts
            for word in text.split()
            if word.startswith("-fsanitize=")
        )

    @property
    def wants_coverage(self) -> bool:
        """Whether the builds count which of their lines and branches are run."""
        return "--coverage" in dict(self.options).get("CMAKE_CXX_FLAGS", "").split()

    @property
    def names_glslang(self) -> bool:
        """Whether a shader compiler for Vulkan is on the machine, so that none is to be made."""
        return ("NCNN_SYSTEM_GLSLANG", "ON") in self.options


@dataclass(frozen=True, kw_only=True)
class BuildSpec:
    """One revision + one flag set + the layers it must contain: one loadable module."""

    revision: Revision
    flags: FlagSet
    layers: frozenset[str] | None
    """Layer types the models need, as in `.param` files; None compiles every layer."""

    @property
    def id(self) -> str:
        """The readable id, such as `20250503-avx2-nof16c`."""
        return f"{self.revision.label}-{self.flags.name}"


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """One set of runtime options applied to a build; needs no recompilation."""

    name: str
    options: tuple[tuple[str, OptionValue], ...] = ()
    """Fields of `ncnn::Option` that differ from that version's defaults, sorted by name."""
    threads: int = 1
    when: When = "first"
    """When the options are set: before the model is loaded, as ncnn wants it, or later, as
    programs do by mistake: after `load_param`, `load_model` or `create_extractor`. The number of
    threads is always set first."""


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """One named input of the model: exactly one of `text`, `image`, `npy`, `random` is set."""

    name: str
    text: str = ""
    """A text line to render."""
    image: str = ""
    """Path of an image file."""
    npy: str = ""
    """Path of a `.npy` file with the tensor as the ONNX model takes it."""
    random: int | None = None
    """Seed of a tensor uniform in [-1, 1]."""
    shape: tuple[int, ...] = ()
    """Shape of the tensor as the ONNX model takes it; empty where the file decides."""
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """In place of it, pairs of name and shape for a model with several inputs."""
    mean: tuple[float, ...] = ()
    scale: tuple[float, ...] = ()
    """An image's pixels become `(pixel - mean) * scale`, per channel, pixel in 0..255."""
    order: Literal["RGB", "BGR", "GRAY"] = "RGB"


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """A model in both formats. The built-in recogniser leaves the paths empty.

    With `onnx` alone, `param` and `bin` are made from it.
    """

    name: str
    onnx: str = ""
    param: str = ""
    bin: str = ""
    names: tuple[tuple[str, str], ...] = ()
    """Pairs of ncnn blob name and ONNX value name where the two differ."""
    converter: str = ""
    """What makes `param` and `bin` of `onnx`, such as `pnnx 20250530`; empty if they are there."""
    reference: Literal["onnx", "ncnn"] = "onnx"
    """What it is compared with: the ONNX file, or `param` and `bin` by ncnn's definitions."""
    non_finite: bool = False
    """Whether its outputs are meant to hold NaN or infinities."""
    label: str = ""
    """What tells it from the same model by other converters, in ids; empty if there are none."""
    shapes: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...] = ()
    """Shapes that it is converted for, each as `InputSpec.shapes`; an only input has no name."""


@dataclass(frozen=True, kw_only=True)
class CellSpec:
    """Build × run × model × input: the unit that gets a verdict."""

    build: BuildSpec
    run: RunSpec
    model: ModelSpec
    input: InputSpec

    @property
    def place(self) -> str:
        """The id without the input, such as `20250503-avx2/default@pnnx-20250530`."""
        label = f"@{self.model.label}" if self.model.label else ""
        return f"{self.build.id}/{self.run.name}{label}"

    @property
    def id(self) -> str:
        """The readable id, such as `20250503-avx2-nof16c/fp16-off/short`."""
        return f"{self.place}/{self.input.name}"
