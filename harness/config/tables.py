"""The tables of a configuration file, each key with its meaning."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)

from harness.config.flags import FlagTable
from harness.config.ranges import (
    LEAST_MEMORY_GIB,
    MOST_GIB,
    Int32,
    Label,
    Name,
    OptionalName,
    PathText,
    Repository,
    Seconds,
    Seed,
    Shape,
    Threads,
)
from harness.config.rules import Rules
from harness.config.targets import TargetTable
from harness.domain.spec import When
from harness.domain.verdict import Tolerance

if TYPE_CHECKING:
    from collections.abc import Mapping

ONE_AT_A_TIME = "one-at-a-time"
"""In place of the name of run options: every field that the version has, each by itself."""


FILES = "files"
"""In place of a converter: the files of the configuration, or those of the built-in model."""
DEFAULT_CONVERTER = "pnnx 20250530"
"""What it writes is loaded by every ncnn from 2025 on; later ones write more than those load."""


def known_converter(text: str) -> str:
    """Return the full name of a converter.

    Raises:
        ValueError: there is none of this name.
    """
    if text == "pnnx":
        return DEFAULT_CONVERTER
    if text not in ("", FILES) and not re.fullmatch(r"pnnx \d{8}(\.\d{1,4})?", text, re.ASCII):
        raise ValueError(
            "give pnnx with or without a version, such as 'pnnx 20250530', or 'files' for param "
            "and bin as they are"
        )
    return text


Converter = Annotated[str, AfterValidator(known_converter)]
"""What makes ncnn's files of an ONNX model."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReferenceCell(_Table):
    """`[model.reference_cell]`: a build and run options, by their names."""

    version: str
    flags: str
    run: str = Field(default="", description="Run options; the most exact there are by default.")


class ModelTable(_Table):
    """`[model]`: what to run. Without it, the PP-OCRv3 recogniser."""

    name: Name = Field(default="ppocrv3-rec", description="Name in tables and reports.")
    onnx: PathText = Field(default="", description="ONNX file, relative to the configuration file.")
    param: PathText = Field(default="", description="ncnn .param file.")
    bin: PathText = Field(default="", description="ncnn .bin file.")
    converter: Converter = Field(
        default="",
        description="What makes param and bin of onnx where they are not given: pnnx VERSION.",
    )
    names: dict[str, str] = Field(
        default_factory=dict, description="ncnn blob = ONNX value, where the names differ."
    )
    reference: Literal["onnx", "ncnn"] = Field(
        default="onnx",
        description="What cells are compared with: the ONNX file, or param and bin as ncnn defines "
        "their layers, evaluated in float64.",
    )
    non_finite: bool = Field(
        default=False,
        description="Whether outputs are meant to be NaN or infinite; a reference that has such "
        "numbers is refused otherwise.",
    )
    reference_cell: ReferenceCell | None = Field(
        default=None,
        description="What gives the values of layers that have no definition here.",
    )

    @model_validator(mode="after")
    def _files_go_together(self) -> ModelTable:
        if bool(self.param) != bool(self.bin):
            raise ValueError("give both of param and bin, or neither")
        if self.param and not self.onnx and self.reference == "onnx":
            raise ValueError(
                "param and bin are compared with the ONNX model that they come from: give onnx "
                'too, or reference = "ncnn" to compare with what ncnn defines for them'
            )
        if self.converter and (self.param or not self.onnx or self.converter == FILES):
            raise ValueError(
                "converter goes with onnx alone: leave out converter, or param and bin"
            )
        return self

    @property
    def is_converted(self) -> bool:
        """Whether param and bin are made of the ONNX file."""
        return bool(self.onnx) and not self.param


CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}
"""Of an image, by the order of its channels."""


class InputTable(_Table):
    """`[inputs.NAME]`: one input of the model."""

    text: str = Field(default="", description="A text line to render.")
    image: PathText = Field(default="", description="Image file.")
    npy: PathText = Field(default="", description=".npy file, in the shape the ONNX model takes.")
    random: Seed | None = Field(
        default=None, description="Seed; uniform in [-1, 1], integers that the model takes."
    )
    shape: Shape = Field(default=(), description="Tensor shape as ONNX takes it.")
    shapes: dict[str, Shape] = Field(
        default_factory=dict,
        description="With random, in place of shape: that of each input, of a model with several.",
    )
    mean: tuple[float, ...] = Field(default=(), description="Per channel, in pixels.")
    scale: tuple[float, ...] = Field(default=(), description="(pixel - mean) * scale.")
    order: Literal["RGB", "BGR", "GRAY"] = Field(default="RGB", description="Channel order.")

    @model_validator(mode="after")
    def _one_kind(self) -> InputTable:
        given = [bool(self.text), bool(self.image), bool(self.npy), self.random is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of text, image, npy and random")
        if self.shapes and (self.shape or self.random is None):
            raise ValueError("shapes goes with random, in place of shape")
        if not self.npy and not self.shape and not self.shapes:
            raise ValueError("shape is missing, such as [1, 3, 48, 320]")
        for key, values in (("mean", self.mean), ("scale", self.scale)):
            if len(values) not in (0, 1, CHANNELS[self.order]):
                raise ValueError(
                    f"{key} has {len(values)} numbers, and an image in {self.order} takes one, or "
                    f"one for each of {CHANNELS[self.order]} channels"
                )
        return self


class SourceTable(_Table):
    """`[source]` (for all versions) and `[sources.LABEL]` (for one)."""

    git: Repository = Field(default="", description="Path or URL of a git repository.")
    revision: OptionalName = Field(
        default="", description="Tag, branch or commit; default: the label."
    )
    directory: PathText = Field(default="", description="A source tree, used as it is.")

    @model_validator(mode="after")
    def _one_kind(self) -> SourceTable:
        if self.git and self.directory:
            raise ValueError("give git or directory, not both")
        return self


class RunTable(_Table):
    """`[runs.NAME]`: one set of run options."""

    summary: str = Field(default="", description="One line for people.")
    options: dict[Name, StrictBool | Int32] = Field(
        default_factory=dict, description="Fields of ncnn::Option."
    )
    threads: Threads = Field(default=1, description="Number of threads.")
    when: When = Field(
        default="first",
        description="When options are set: first, or by mistake after-param, -model or -extractor.",
    )


class Rule(_Table):
    """One exclude rule: globs; a cell is left out where all of them match."""

    version: str = "*"
    flags: str = "*"
    run: str = "*"
    converter: str = "*"
    input: str = "*"


class Extra(_Table):
    """One include rule: names of a combination to add to the product of the axes."""

    version: Name
    flags: Name
    run: Name = "default"


class MatrixTable(_Table):
    """`[matrix]`: the axes."""

    versions: tuple[Name, ...] = Field(min_length=1, description="Releases, revisions or labels.")
    flags: tuple[Name, ...] = Field(min_length=1, description="Names of flag sets.")
    runs: tuple[Name, ...] = Field(
        min_length=1, description="Names of run option sets, or one-at-a-time for generated ones."
    )
    converters: tuple[Converter, ...] = Field(
        default=(),
        description="What makes ncnn's files of the ONNX model, each in its turn: pnnx VERSION, or "
        "files for those of [model].",
    )
    exclude: tuple[Rule, ...] = ()
    include: tuple[Extra, ...] = ()
    build_unsupported: bool = Field(
        default=False, description="Compile flag sets that this CPU cannot execute."
    )


class BisectTable(_Table):
    """`[bisect]`: what `nox -s bisect` builds and runs, and how it judges."""

    flags: str = Field(default="avx2", description="Flag set.")
    run: str = Field(default="default", description="Run option set.")
    input: str = Field(default="", description="Input; default: the first of the file.")
    rules: Rules = Rules()


class Limits(_Table):
    """`[limits]`: what stops a build or a cell."""

    build_seconds: Seconds = Field(default=3600, description="One configure or compile step.")
    run_seconds: Seconds = Field(default=120, description="One cell.")
    reference_seconds: Seconds = Field(
        default=600, description="One evaluation of the model for its reference values."
    )
    memory_gib: float = Field(
        default=8,
        ge=LEAST_MEMORY_GIB,
        le=MOST_GIB,
        description="Memory in use by one cell's process and its children, one evaluation of the "
        "reference, or one compiler.",
    )
    model_gib: float = Field(default=8, gt=0, le=MOST_GIB, description="Each file of the model.")
    input_mib: float = Field(
        default=512, gt=0, le=MOST_GIB * 1024, description="One input, in single precision."
    )

    @property
    def memory_bytes(self) -> int:
        """The same in bytes, at least one: there is no way to ask for no limit."""
        return max(1, int(self.memory_gib * 2**30))

    @property
    def input_bytes(self) -> int:
        """`input_mib` in bytes."""
        return int(self.input_mib * 2**20)

    @property
    def model_bytes(self) -> int:
        """`model_gib` in bytes."""
        return int(self.model_gib * 2**30)


class Config(_Table):
    """A whole configuration file."""

    title: str = ""
    model: ModelTable = ModelTable()
    inputs: dict[Name, InputTable] = Field(default_factory=dict, validate_default=True)
    source: SourceTable = SourceTable()
    sources: dict[Label, SourceTable] = Field(default_factory=dict)
    flags: dict[Name, FlagTable] = Field(default_factory=dict)
    runs: dict[Name, RunTable] = Field(default_factory=dict)
    targets: dict[Name, TargetTable] = Field(default_factory=dict)
    matrix: MatrixTable
    tolerance: Tolerance = Tolerance()
    bisect: BisectTable = BisectTable()
    limits: Limits = Limits()

    @field_validator("inputs")
    @classmethod
    def _inputs_are_there(
        cls, inputs: dict[str, InputTable], info: ValidationInfo
    ) -> dict[str, InputTable]:
        """Only for an ONNX model alone inputs can be made up."""
        model = info.data.get("model")
        if inputs or model is None or model.is_converted:
            return inputs
        raise ValueError("missing. Add one, such as [inputs.a] with random = 1 and shape")

    @model_validator(mode="after")
    def _inputs_are_small(self) -> Config:
        if problem := too_large(self.inputs, self.limits):
            raise ValueError(problem)
        return self


def too_large(inputs: Mapping[str, InputTable], limits: Limits) -> str:
    """Return which input is larger than a limit, with the remedy; empty if none is."""
    for name, table in inputs.items():
        for shape in (table.shape, *table.shapes.values()):
            mib = math.prod(shape) * 4 / 2**20 if shape else 0
            if mib > limits.input_mib:
                extents = " × ".join(map(str, shape))
                return (
                    f"inputs.{name}: shape {extents} takes {mib:.3g} MiB, and {limits.input_mib:g} "
                    "are the limit. Give a smaller one, or raise [limits] input_mib"
                )
    return ""


def with_model(config: Config, model: ModelTable, inputs: dict[str, InputTable]) -> Config:
    """Return the same axes and limits for another model, with inputs of its own."""
    matrix = config.matrix
    axes = {
        "exclude": tuple(rule for rule in matrix.exclude if rule.input == "*"),
        "converters": tuple(name for name in matrix.converters if name != FILES),
    }
    return config.model_copy(
        update={
            "title": model.name,
            "model": model,
            "inputs": inputs,
            "matrix": matrix.model_copy(update=axes),
            "bisect": config.bisect.model_copy(update={"input": ""}),
        }
    )


def with_repository(config: Config, repository: str) -> Config:
    """Return the same configuration with `repository` in place of every git repository in it.

    Where there is none, all versions that have no source of their own are revisions of it.
    """

    def moved(table: SourceTable) -> SourceTable:
        return table.model_copy(update={"git": repository}) if table.git else table

    sources = {label: moved(table) for label, table in config.sources.items()}
    tables = (config.source, *config.sources.values())
    source = moved(config.source)
    if not any(table.git for table in tables) and not config.source.directory:
        source = SourceTable(git=repository)
    return config.model_copy(update={"source": source, "sources": sources})
