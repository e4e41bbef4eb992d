"""Configuration files: TOML, checked, with one clear line per mistake."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Iterable
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from harness.analysis.bisection.criterion import Rules
from harness.config.flags import FlagTable
from harness.config.targets import TargetTable
from harness.domain.limits import Tolerance
from harness.domain.spec import When
from harness.sources.options import ONE_AT_A_TIME
from harness.util.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


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


def load_config(path: Path) -> Config:
    """Read a configuration file and add the built-in flag sets, run options and targets.

    Raises:
        ConfigError: not readable, not TOML, or not valid; every mistake is one line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}. Give an existing file.") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}. Correct the file.") from error
    config = _validated(Config, data, str(path))
    config = config.model_copy(
        update={
            "flags": _builtin("flags.toml", FlagTable) | config.flags,
            "runs": _builtin("runs.toml", RunTable) | config.runs,
            "targets": _builtin("targets.toml", TargetTable) | config.targets,
        }
    )
    _check_names(config, path)
    return config


def _builtin(file: str, table: type[Model]) -> dict[str, Model]:
    text = resources.files("harness.config.resources").joinpath(file).read_text(encoding="utf-8")
    return {name: table.model_validate(entry) for name, entry in tomllib.loads(text).items()}


def _check_names(config: Config, path: Path) -> None:
    if ONE_AT_A_TIME in config.runs:
        raise ConfigError(
            f"{path}: runs.{ONE_AT_A_TIME}: this name stands for generated run options. Rename it."
        )
    flags, runs = set(config.flags), {*config.runs, ONE_AT_A_TIME}
    extra = config.matrix.include
    axes: tuple[tuple[str, Iterable[str], Collection[str]], ...] = (
        ("matrix.flags", config.matrix.flags, flags),
        ("matrix.runs", config.matrix.runs, runs),
        ("matrix.include.flags", (item.flags for item in extra), flags),
        ("matrix.include.run", (item.run for item in extra), runs),
    )
    for key, names, known in axes:
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"{path}: {key}: '{name}' is not defined{_nearest(name, known)} Choose one "
                    f"of {', '.join(sorted(known))}, or define it."
                )
    for key, values in (("versions", config.matrix.versions), ("flags", config.matrix.flags)):
        for value in values:
            if "/" in value and value not in config.sources:
                raise ConfigError(
                    f"{path}: matrix.{key}: '{value}' has a '/', which separates the parts of an "
                    f"id. Give it a label: [sources.LABEL] with revision = '{value}'."
                )


def _validated(model: type[Model], data: dict[str, Any], where: str) -> Model:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [f"{where}: {_explain(model, detail)}" for detail in error.errors()]
        raise ConfigError("\n".join(lines)) from error


def _explain(model: type[BaseModel], detail: ErrorDetails) -> str:
    """Turn one validation error into `key: what is wrong (did you mean ...)`."""
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location) or "(top level)"
    if detail["type"] == "extra_forbidden":
        valid = _valid_keys(model, location[:-1])
        return f"{key}: unknown key{_nearest(location[-1], valid)} Valid keys: {', '.join(valid)}"
    if detail["type"] == "missing":
        return f"{key}: missing. Add it."
    message = detail["msg"].removeprefix("Value error, ")
    shown = "" if detail["type"] == "value_error" else f", not {detail['input']!r}"
    return f"{key}: {message[0].lower()}{message[1:]}{shown}"


def _valid_keys(model: type[BaseModel], location: Iterable[str]) -> list[str]:
    """Return the keys that a table at `location` may have."""
    schema = model.model_json_schema()
    node: dict[str, Any] = schema
    for part in location:
        node = node.get("properties", {}).get(part) or node.get("additionalProperties") or node
        node = node.get("items", node)
        if "$ref" in node:
            node = schema["$defs"][node["$ref"].rsplit("/", 1)[1]]
    return list(node.get("properties", {}))


def _nearest(name: str, valid: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(valid), n=1)
    return f", did you mean '{close[0]}'?" if close else "."
