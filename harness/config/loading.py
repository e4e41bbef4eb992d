"""Configuration files: TOML, checked, with one clear line per mistake."""

from __future__ import annotations

import difflib
import json
import tomllib
from importlib import resources
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.config.flags import FlagTable, resolve_flag_set
from harness.config.tables import (
    ONE_AT_A_TIME,
    Config,
    RunTable,
)
from harness.config.targets import TargetTable
from harness.util.codes import Code
from harness.util.errors import ConfigError
from harness.util.reading import read_text
from harness.util.toml import FILE_LIMIT, read_toml

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from pydantic_core import ErrorDetails

Model = TypeVar("Model", bound=BaseModel)
LONGEST_SHOWN = 120
"""Characters of a key or value in a message."""
MOST_MISTAKES = 20
"""How many are told at once."""


def load_config(path: Path) -> Config:
    """Read a configuration file and add the built-in flag sets, run options and targets.

    Raises:
        ConfigError: not readable, not TOML, or not valid; every mistake is one line.
    """
    config = validated(Config, read_toml(path), str(path))
    config = config.model_copy(
        update={
            "flags": _builtin("flags.toml", FlagTable) | config.flags,
            "runs": _builtin("runs.toml", RunTable) | config.runs,
            "targets": _builtin("targets.toml", TargetTable) | config.targets,
        }
    )
    _check_names(config, path)
    for name in config.flags:
        try:
            resolve_flag_set(name, config.flags, config.targets)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error
    return config


def config_text(path: Path, config: Config) -> str:
    """Return the text of a configuration file that says the same as a configuration in use.

    That of the file it was loaded from, if model and inputs are still the file's.

    Raises:
        ConfigError: the file is no longer one.
    """
    own = load_config(path)
    if (own.model, own.inputs) == (config.model, config.inputs):
        return read_text(path, limit=FILE_LIMIT, error=ConfigError)
    data = read_toml(path)
    data |= {
        "title": config.title,
        "model": config.model.model_dump(exclude_defaults=True),
        "inputs": {n: t.model_dump(exclude_defaults=True) for n, t in config.inputs.items()},
        "bisect": {**data.get("bisect", {}), "input": config.bisect.input},
    }
    return toml_text(data)


def toml_text(table: Mapping[str, Any]) -> str:
    """Return a table as TOML, tables in it as inline ones."""
    return "".join(f"{_toml(key)} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{_toml(k)} = {_toml(v)}' for k, v in value.items())} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # Strings, numbers and truth values are written as in JSON, keys as strings.
    return json.dumps(value, ensure_ascii=False)


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
                    f"of {', '.join(sorted(known))}, or define it.",
                    code=Code.UNKNOWN_NAME,
                )
    for key, values in (("versions", config.matrix.versions), ("flags", config.matrix.flags)):
        for value in values:
            if "/" in value and value not in config.sources:
                raise ConfigError(
                    f"{path}: matrix.{key}: '{value}' has a '/', which separates the parts of an "
                    f"id. Give it a label: [sources.LABEL] with revision = '{value}'."
                )


def validated(model: type[Model], data: dict[str, Any], where: str) -> Model:
    """Return a table of a TOML file as a model.

    Raises:
        ConfigError: it is not valid; every mistake is one line, with the place and the key.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors()
        lines = [f"{where}: {_explain(model, detail)}" for detail in found[:MOST_MISTAKES]]
        more = len(found) - len(lines)
        lines += [f"{where}: and {more} more mistakes. Correct these first."] if more else []
        raise ConfigError("\n".join(lines)) from error


def _explain(model: type[BaseModel], detail: ErrorDetails) -> str:
    """Turn one validation error into `key: what is wrong (did you mean ...)`."""
    location = [shortened(str(part)) for part in detail["loc"]]
    key = ".".join(location)
    if detail["type"] == "extra_forbidden":
        valid = _valid_keys(model, location[:-1])
        return f"{key}: unknown key{_nearest(location[-1], valid)} Valid keys: {', '.join(valid)}"
    if detail["type"] == "missing":
        return f"{key}: missing. Add it."
    message = detail["msg"].removeprefix("Value error, ")
    shown = "" if detail["type"] == "value_error" else f", not {shortened(repr(detail['input']))}"
    return f"{key}{': ' if key else ''}{message[0].lower()}{message[1:]}{shown}"


def shortened(text: str) -> str:
    """Return as much of a text as a message has room for."""
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


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
