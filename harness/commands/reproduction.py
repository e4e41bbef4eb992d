"""Command lines that do something again, for reports."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def cell_command(
    options: argparse.Namespace, *more: str, version: str, flags: str, run: str
) -> str:
    """Return the command that measures a build and run which the configuration need not have.

    Args:
        options: what the command at hand was told; its `--config` is kept.
        more: further arguments.
        version: release, revision or label.
        flags: name of a flag set, with changes or without.
        run: the same of run options.
    """
    words = [*config_words(options), *more]
    words += ["--version", version, "--flags", flags, "--run", run]
    return f"nox -s matrix -- {shlex.join(words)}"


def config_words(options: argparse.Namespace) -> list[str]:
    """Return the arguments for configuration and model of a command line that does the same."""
    return [*file_words(options), *model_words(options)]


def file_words(options: argparse.Namespace) -> list[str]:
    """Return the argument that names the configuration file, if it takes one."""
    default = Path("configs/default.toml")
    same = options.config.resolve() == default.resolve()
    return [] if same else ["--config", str(options.config)]


def model_words(options: argparse.Namespace) -> list[str]:
    """Return the arguments that stand for the configuration's model."""
    words = []
    if getattr(options, "onnx", ""):
        words += ["--onnx", options.onnx]
    for name in ("shape", "converter"):
        for value in getattr(options, name, ()):
            words += [f"--{name}", value]
    return words
