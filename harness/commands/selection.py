"""Which cells a command is about: the arguments that say it, and the matrix that they stand for."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from harness.commands import argument_types as types
from harness.commands.arguments import add_config, add_model, add_repo, configured
from harness.config.axes import with_axes
from harness.config.cells import expand, select
from harness.sources import obtain_all
from harness.sources.options import one_at_a_time, read_option_fields
from harness.util.errors import SelectorError

if TYPE_CHECKING:
    import argparse

    from harness.commands.arguments import Arguments
    from harness.config.cells import Matrix
    from harness.config.tables import Config
    from harness.domain.spec import Revision, RunSpec
    from harness.util.build_store import Store


def add_selection(to: Arguments) -> None:
    """Add the arguments that say which cells; see `selected`."""
    add_config(to)
    add_model(to)
    add_repo(to)
    to.add_argument(
        "--version",
        action="append",
        type=types.name,
        default=[],
        metavar="V",
        help="this version in place of the configuration's; may be given again",
    )
    to.add_argument(
        "--flags",
        action="append",
        type=types.text,
        default=[],
        metavar="SET",
        help="this flag set in place of the configuration's, such as avx2 or avx2,NCNN_INT8=OFF",
    )
    to.add_argument(
        "--run",
        action="append",
        type=types.text,
        default=[],
        metavar="SET",
        help="these run options in place of the configuration's, such as bf16 or lightmode=false",
    )
    to.add_argument(
        "--only",
        action="append",
        type=types.text,
        default=[],
        metavar="GLOB",
        help="run only cells that match",
    )
    to.add_argument(
        "--skip",
        action="append",
        type=types.text,
        default=[],
        metavar="GLOB",
        help="leave out cells that match",
    )


def selected(options: argparse.Namespace, store: Store) -> tuple[Config, Matrix]:
    """Return the configuration, and its matrix after `--only` and `--skip`.

    Args:
        options: those of `add_selection`.
        store: where a source goes that is needed to know the run options of a version.

    Raises:
        HarnessError: as `configured`, `expand` and `select`.
    """
    config = with_axes(
        configured(options), versions=options.version, flags=options.flags, runs=options.run
    )
    base = options.config.resolve().parent
    expanded = expand(config, base=base, generate=partial(_generated, store))
    return config, select(expanded, only=options.only, skip=options.skip)


def check_any(matrix: Matrix) -> None:
    """Refuse a matrix without cells.

    Raises:
        SelectorError: it has none; the message has an example with the reason.
    """
    if not matrix.cells:
        first = matrix.left_out[0]
        raise SelectorError(
            "no cell is left of the matrix, so that nothing would be measured. Give another "
            "--only or --skip, or change matrix.exclude; --list tells why ("
            f"{first.cell.id}: {first.reason})."
        )


def _generated(store: Store, revision: Revision) -> tuple[RunSpec, ...]:
    """Return what `one-at-a-time` stands for in a revision, whose source is fetched for it."""
    store.prepare()
    tree = obtain_all([revision], store=store.sources, logs=store.logs)[revision]
    return one_at_a_time(read_option_fields(tree.path), threads=os.cpu_count() or 1)
