"""The tables of a configuration file, each key with its meaning."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.config.flags import FlagTable
from harness.config.rules import Rules
from harness.config.targets import TargetTable
from harness.domain.spec import When
from harness.domain.verdict import Tolerance

ONE_AT_A_TIME = "one-at-a-time"
"""In place of the name of run options: every field that the version has, each by itself."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelTable(_Table):
    """`[model]`: what to run. Without it, the PP-OCRv3 recogniser."""

    name: str = Field(default="ppocrv3-rec", description="Name in tables and reports.")
    onnx: str = Field(default="", description="ONNX file, relative to the configuration file.")
    param: str = Field(default="", description="ncnn .param file.")
    bin: str = Field(default="", description="ncnn .bin file.")
    names: dict[str, str] = Field(
        default_factory=dict, description="ncnn blob = ONNX value, where the names differ."
    )

    @model_validator(mode="after")
    def _all_or_nothing(self) -> ModelTable:
        if 0 < sum(bool(path) for path in (self.onnx, self.param, self.bin)) < 3:
            raise ValueError("give all of onnx, param and bin, or none for the built-in model")
        return self


class InputTable(_Table):
    """`[inputs.NAME]`: one input of the model."""

    text: str = Field(default="", description="A text line to render.")
    image: str = Field(default="", description="Image file.")
    npy: str = Field(default="", description=".npy file, in the shape the ONNX model takes.")
    random: int | None = Field(default=None, description="Seed; uniform in [-1, 1].")
    shape: tuple[int, ...] = Field(default=(), description="Tensor shape as ONNX takes it.")
    mean: tuple[float, ...] = Field(default=(), description="Per channel, in pixels.")
    scale: tuple[float, ...] = Field(default=(), description="(pixel - mean) * scale.")
    order: Literal["RGB", "BGR", "GRAY"] = Field(default="RGB", description="Channel order.")

    @model_validator(mode="after")
    def _one_kind(self) -> InputTable:
        given = [bool(self.text), bool(self.image), bool(self.npy), self.random is not None]
        if sum(given) != 1:
            raise ValueError("give exactly one of text, image, npy and random")
        if not self.npy and not self.shape:
            raise ValueError("shape is missing, such as [1, 3, 48, 320]")
        return self


class SourceTable(_Table):
    """`[source]` (for all versions) and `[sources.LABEL]` (for one)."""

    git: str = Field(default="", description="Path or URL of a git repository.")
    revision: str = Field(default="", description="Tag, branch or commit; default: the label.")
    directory: str = Field(default="", description="A source tree, used as it is.")

    @model_validator(mode="after")
    def _one_kind(self) -> SourceTable:
        if self.git and self.directory:
            raise ValueError("give git or directory, not both")
        return self


class RunTable(_Table):
    """`[runs.NAME]`: one set of run options."""

    summary: str = Field(default="", description="One line for people.")
    options: dict[str, bool | int] = Field(
        default_factory=dict, description="Fields of ncnn::Option."
    )
    threads: int = Field(default=1, ge=1, description="Number of threads.")
    when: When = Field(
        default="first",
        description="When options are set: first, or by mistake after-param, -model or -extractor.",
    )


class Rule(_Table):
    """One exclude rule: globs; a cell is left out where all of them match."""

    version: str = "*"
    flags: str = "*"
    run: str = "*"
    input: str = "*"


class Extra(_Table):
    """One include rule: names of a combination to add to the product of the axes."""

    version: str
    flags: str
    run: str = "default"


class MatrixTable(_Table):
    """`[matrix]`: the axes."""

    versions: tuple[str, ...] = Field(min_length=1, description="Releases, revisions or labels.")
    flags: tuple[str, ...] = Field(min_length=1, description="Names of flag sets.")
    runs: tuple[str, ...] = Field(
        min_length=1, description="Names of run option sets, or one-at-a-time for generated ones."
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

    build_seconds: float = Field(default=3600, gt=0, description="One configure or compile step.")
    run_seconds: float = Field(default=120, gt=0, description="One cell.")
    memory_gib: float = Field(default=8, gt=0, description="Address space of one cell's process.")


class Config(_Table):
    """A whole configuration file."""

    title: str = ""
    model: ModelTable = ModelTable()
    inputs: dict[str, InputTable] = Field(min_length=1)
    source: SourceTable = SourceTable()
    sources: dict[str, SourceTable] = Field(default_factory=dict)
    flags: dict[str, FlagTable] = Field(default_factory=dict)
    runs: dict[str, RunTable] = Field(default_factory=dict)
    targets: dict[str, TargetTable] = Field(default_factory=dict)
    matrix: MatrixTable
    tolerance: Tolerance = Tolerance()
    bisect: BisectTable = BisectTable()
    limits: Limits = Limits()


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
