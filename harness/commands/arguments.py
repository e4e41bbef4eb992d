"""Arguments that several commands share, so that they mean the same everywhere."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from harness.config.loading import load_config
from harness.config.tables import Config, with_repository
from harness.sources.checkout import is_url
from harness.util.errors import EXIT_ENVIRONMENT, EXIT_INTERRUPTED, EXIT_USAGE

COMMON_EXITS = {
    EXIT_USAGE: "wrong usage, configuration or model file",
    EXIT_ENVIRONMENT: "the machine lacks something: compiler, network, disk space",
    EXIT_INTERRUPTED: "interrupted; the same command continues",
}
"""What most commands end with besides codes of their own."""

Arguments = argparse._ActionsContainer
"""A parser or a group of its arguments: the class that argparse has for both."""


def add_config(to: Arguments, what: str = "configuration file") -> None:
    """Add `--config`."""
    _add_path(to, "config", "configs/default.toml", "FILE", what)


def add_repo(to: Arguments) -> None:
    """Add `--repo`, see `configured`."""
    to.add_argument(
        "--repo",
        default="",
        metavar="PATH",
        help="clone or URL to use in place of the git repositories in the configuration, or to "
        "take the versions from if it has none",
    )


def configured(options: argparse.Namespace) -> Config:
    """Return the configuration of `--config`, with the repository of `--repo`.

    Raises:
        ConfigError: the file is not valid.
    """
    config = load_config(options.config)
    if not options.repo:
        return config
    local = Path(options.repo).expanduser().resolve()
    return with_repository(config, options.repo if is_url(options.repo) else str(local))


def add_jobs(to: Arguments, what: str = "compilers to run at the same time") -> None:
    """Add `--jobs`."""
    to.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help=f"{what} (default: %(default)s)",
    )


def add_builds(to: Arguments, what: str = "the build store") -> None:
    """Add `--builds`."""
    _add_path(to, "builds", "builds", "DIR", what)


def add_results(to: Arguments, what: str = "where run directories go") -> None:
    """Add `--results`."""
    _add_path(to, "results", "results", "DIR", what)


def _add_path(to: Arguments, name: str, default: str, metavar: str, what: str) -> None:
    to.add_argument(
        f"--{name}",
        type=Path,
        default=Path(default),
        metavar=metavar,
        help=f"{what} (default: %(default)s)",
    )
