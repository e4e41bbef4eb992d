"""Arguments that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import argument_types as types
from harness.config.loading import load_config
from harness.config.tables import (
    Config,
    ModelTable,
    known_converter,
    too_large,
    with_model,
    with_repository,
)
from harness.sources.checkout import is_url
from harness.util.codes import Code
from harness.util.errors import (
    EXIT_CLOSED,
    EXIT_ENVIRONMENT,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_USAGE,
    UsageError,
)
from harness.util.paths import expanded, real
from harness.util.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable

COMMON_EXITS = {
    EXIT_USAGE: "wrong usage, configuration or model file",
    EXIT_ENVIRONMENT: "the machine lacks something: compiler, network, memory, disk space",
    EXIT_INTERNAL: "a mistake in the harness itself; the last line names the traceback's file",
    EXIT_INTERRUPTED: "interrupted; the same command continues",
    EXIT_CLOSED: "nobody reads standard output any more",
}
"""What most commands end with besides codes of their own."""

Arguments = argparse._ActionsContainer
"""A parser or a group of its arguments: the class that argparse has for both."""


def add_config(to: Arguments, what: str = "configuration file") -> None:
    """Add `--config`."""
    _add_path(to, "config", "configs/default.toml", "FILE", what, types.path)


def add_repo(to: Arguments) -> None:
    """Add `--repo`, see `configured`."""
    to.add_argument(
        "--repo",
        type=types.repository,
        default="",
        metavar="PATH",
        help="clone or URL to use in place of the git repositories in the configuration, or to "
        "take the versions from if it has none",
    )


def add_model(to: Arguments) -> None:
    """Add `--onnx`, `--shape` and `--converter`, see `loaded`."""
    to.add_argument(
        "--onnx",
        type=_absolute,
        default="",
        metavar="FILE",
        help="this ONNX model, converted by pnnx, with inputs made up for it, in place of the "
        "configuration's model and inputs; its versions, flags, run options and limits stay",
    )
    to.add_argument(
        "--shape",
        action="append",
        type=types.text,
        default=[],
        metavar="SHAPE",
        help="an input's shape, such as 1,3,224,224, or NAME=1,3,224,224 of several inputs, where "
        "the ONNX model leaves it open (default: a usual one that works, which is told); a second "
        "one for the same input is the shape of the second input made up, and the axes that "
        "differ stay open in the conversion",
    )

    to.add_argument(
        "--converter",
        action="append",
        type=_converter,
        default=[],
        metavar="NAME",
        help="what makes ncnn's files of the ONNX model, such as 'pnnx 20250530', or files for "
        "those of the configuration, in place of the configuration's",
    )


def _converter(text: str) -> str:
    try:
        return known_converter(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def _absolute(text: str) -> str:
    return str(expanded(str(types.path(text))).absolute()) if text else ""


def loaded(options: argparse.Namespace) -> Config:
    """Return the configuration of `--config`, with the model of `--onnx` and `--converter`.

    Where the configuration has an ONNX model and no inputs, they are made up as for `--onnx`.

    Raises:
        ConfigError: the file is not valid.
        UsageError: `--shape` is wrong or has no use.
        ModelError: the ONNX model cannot be read, or its shapes cannot be made up.
    """
    config = _with_model(load_config(options.config), options)
    converters = getattr(options, "converter", [])
    if not converters:
        return config
    matrix = config.matrix.model_copy(update={"converters": tuple(converters)})
    return config.model_copy(update={"matrix": matrix})


def _with_model(config: Config, options: argparse.Namespace) -> Config:
    """Return the configuration with the model of `--onnx`, or with inputs where it has none."""
    onnx, shapes = getattr(options, "onnx", ""), getattr(options, "shape", [])
    model = config.model
    if onnx:
        model = ModelTable(name=Path(onnx).stem or "model", onnx=onnx)
    elif config.inputs or not model.is_converted:
        if shapes:
            raise UsageError(
                f"--shape {shapes[0]}: goes with --onnx, or with a [model] that has no [inputs]. "
                "Set the shapes of the configuration's inputs in its file.",
                code=Code.STRANGE_SHAPE,
            )
        return config
    # Only now, since reading models takes a second to import.
    generated_inputs = importlib.import_module("harness.reference.generated_inputs")
    isolated = importlib.import_module("harness.reference.isolated_evaluator")
    made = generated_inputs.generate(
        options.config.resolve().parent / model.onnx,
        shapes,
        isolated.IsolatedEvaluator(limits=config.limits),
    )
    for line in made.assumed:
        print(printable(line), file=sys.stderr)
    if problem := too_large(made.tables, config.limits):
        raise UsageError(f"--shape: {problem}.", code=Code.STRANGE_SHAPE)
    if onnx:
        return with_model(config, model, made.tables)
    return config.model_copy(update={"inputs": made.tables})


def configured(options: argparse.Namespace) -> Config:
    """Return the configuration of `loaded`, with the repository of `--repo`.

    Raises:
        HarnessError: as `loaded`.
    """
    config = loaded(options)
    if not options.repo:
        return config
    local = real(expanded(options.repo))
    return with_repository(config, options.repo if is_url(options.repo) else str(local))


def add_jobs(to: Arguments, what: str = "compilers to run at the same time") -> None:
    """Add `--jobs`."""
    to.add_argument(
        "--jobs",
        type=types.processes,
        default=os.cpu_count() or 1,
        metavar="N",
        help=f"{what} (default: %(default)s)",
    )


def add_builds(to: Arguments, what: str = "the build store") -> None:
    """Add `--builds`."""
    _add_path(to, "builds", "builds", "DIR", what, types.directory)


def add_locked(to: Arguments) -> None:
    """Add `--locked`, which holds in the whole command; see `harness.config.pinning`."""
    to.add_argument(
        "--locked",
        action="store_true",
        help="refuse to download what no lock file pins (python -m harness lock)",
    )


def add_results(to: Arguments, what: str = "where run directories go") -> None:
    """Add `--results`."""
    _add_path(to, "results", "results", "DIR", what, types.directory)


def _add_path(
    to: Arguments,
    name: str,
    default: str,
    metavar: str,
    what: str,
    kind: Callable[[str], Path],
) -> None:
    to.add_argument(
        f"--{name}",
        type=kind,
        default=Path(default),
        metavar=metavar,
        help=f"{what} (default: %(default)s)",
    )
