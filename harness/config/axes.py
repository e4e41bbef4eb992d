"""Axes named on the command line: versions, and sets of flags and options with changes to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from harness.config.cells import BASELINE
from harness.config.flags import FlagTable, resolve_flag_set
from harness.config.ranges import whole
from harness.config.tables import RunTable
from harness.domain.spec import THREADS, OptionValue, content_key
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from harness.config.tables import Config


_OTHERS = {THREADS: "threads", "options set": "when"}
"""What is no option of ncnn, or is not set as one, with its name in the configuration."""


def with_axes(
    config: Config, *, versions: Sequence[str], flags: Sequence[str], runs: Sequence[str]
) -> Config:
    """Return the same configuration with other axes; an empty one stays as it is.

    Args:
        config: a checked configuration.
        versions: releases, revisions or labels.
        flags: texts as `with_flags` takes them.
        runs: texts as `with_run` takes them.

    Raises:
        UsageError: a text is not as it should be.
    """
    for version in versions:
        if "/" in version:
            raise UsageError(
                f"--version {version}: a '/' separates the parts of a cell's id. Give the commit "
                "instead, or a label of the configuration's [sources]."
            )
    axes: dict[str, object] = {"versions": tuple(versions)} if versions else {}
    for name, texts, add in (("flags", flags, with_flags), ("runs", runs, with_run)):
        names = []
        for text in texts:
            config, added = add(config, text)
            names.append(added)
        axes |= {name: tuple(names)} if names else {}
    if not axes:
        return config
    # The rules of the file are about its own combinations.
    axes |= {"include": (), "exclude": ()}
    return config.model_copy(update={"matrix": config.matrix.model_copy(update=axes)})


def with_flags(config: Config, text: str) -> tuple[Config, str]:
    """Return a configuration that has the flag set in `text`, and the set's name.

    Args:
        config: a checked configuration.
        text: the name of a flag set, with CMake options or without: `avx2,NCNN_INT8=OFF`.

    Raises:
        UsageError: not the name of a set, or not a pair.
    """
    base, pairs = _parsed(text, "--flags", config.flags)
    if not base:
        raise UsageError(f"--flags {text}: no name of a set. Begin with one: avx2,{text}")
    if not pairs:
        return config, base
    options = dict(resolve_flag_set(base, config.flags, config.targets).options) | pairs
    name = f"{base}-{content_key(sorted(options.items()))[:8]}"
    try:
        table = FlagTable(base=base, options={**pairs}, summary=text)
    except ValidationError as error:
        wrong = error.errors()[0]["loc"][1]
        raise UsageError(f"--flags {text}: {wrong!r} is no name of a CMake option.") from error
    return config.model_copy(update={"flags": {**config.flags, name: table}}), name


def with_run(config: Config, text: str) -> tuple[Config, str]:
    """Return a configuration that has the run options in `text`, and their name.

    Args:
        config: a checked configuration.
        text: the name of a set, options of ncnn, or both: `bf16,use_sgemm_convolution=false`.
            `num_threads` is one of them, and `options set` says when they are set.

    Raises:
        UsageError: not the name of a set, or not a pair.
    """
    base, pairs = _parsed(text, "--run", config.runs)
    base = base or BASELINE
    if not pairs:
        return config, base
    known = config.runs[base]
    values = {key: option_value(key, value) for key, value in pairs.items() if key not in _OTHERS}
    update: dict[str, object] = {_OTHERS[k]: v for k, v in pairs.items() if k in _OTHERS}
    if THREADS in pairs:
        update[_OTHERS[THREADS]] = option_value(THREADS, pairs[THREADS])
    update |= {"options": {**known.options, **values}, "summary": text}
    try:
        table = RunTable.model_validate({**known.model_dump(), **update})
    except ValidationError as error:
        what = error.errors()[-1]
        message = what["msg"].removeprefix("Value error, ")
        raise UsageError(f"--run {text}: {what['input']!r}: {message}.") from error
    return config.model_copy(update={"runs": {**config.runs, text: table}}), text


def run_text(base: str, changes: Mapping[str, str]) -> str:
    """Return the text that `with_run` takes for changes to a set of run options.

    Args:
        base: name of the set, perhaps with changes of its own.
        changes: values of options by name.
    """
    pairs = [f"{name}={value}" for name, value in sorted(changes.items())]
    parts = [part for part in base.split(",") if part.partition("=")[0] not in changes]
    if pairs and parts == [BASELINE]:
        parts = []
    return ",".join([*parts, *pairs]) or BASELINE


def _parsed(text: str, option: str, known: Collection[str]) -> tuple[str, dict[str, str]]:
    names: list[str] = []
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if equals:
            pairs[key] = value
        else:
            names.append(part)
    unknown = [name for name in names if name not in known]
    if unknown or len(names) > 1:
        raise UsageError(
            f"{option} {text}: give one of {', '.join(known)}, KEY=VALUE pairs, or both, separated "
            "by commas."
        )
    return (names[0] if names else ""), pairs


def option_value(key: str, text: str) -> OptionValue:
    """Return the value of an option.

    Raises:
        UsageError: the text is none.
    """
    if text.lower() in ("true", "on", "false", "off"):
        return text.lower() in ("true", "on")
    try:
        return whole(text)
    except ValueError as error:
        raise UsageError(f"--run {key}={text}: give true, false or an integer.") from error
