"""`store`: what the build store holds, and removing what was not used for longest."""

from __future__ import annotations

import time
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table

from harness.build.pruning import StoreEntry, entries, prune, size_of
from harness.commands import argument_types as types
from harness.commands.arguments import COMMON_EXITS, add_builds
from harness.report.console import wide_console
from harness.util.build_store import TAG, Store
from harness.util.codes import Code
from harness.util.errors import EXIT_OK, UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

HELP = "list what the build store holds, set its size, remove what was not used for longest"
DESCRIPTION = """\
Lists builds, failed builds, sources and reference values with their sizes and last use. The store
keeps itself below its limit after each build: least recently used first, and nothing that a running
command uses. What entries need (the Python binding, glslang), downloads, models and logs have no
limit; the compiler cache (objects) keeps to a fifth of it by itself. Everything can be made again:
to be rid of all, delete the directory while nothing uses it.
"""
EXAMPLES = """\
examples:
  python -m harness store                  how much of what
  python -m harness store --entries        each entry, the least recently used first
  python -m harness store --limit 40       let it grow to 40 GiB (default: 20)
  python -m harness store --prune          bring it within its limit, remove leftovers of crashes
  python -m harness store --prune-to 0     remove all entries that are not in use
"""
BEYOND = "beyond the limit until the next build, or --prune"
BEYOND_PRUNED = (
    "beyond the limit: what a running command uses, and the compiler cache (objects), until it is "
    "used next"
)
"""Why a store may take more than its limit."""
EXITS = {EXIT_OK: "the store is listed, or pruned", **COMMON_EXITS}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_builds(parser)
    parser.add_argument("--entries", action="store_true", help="list each entry")
    parser.add_argument("--limit", type=types.gib, metavar="GIB", help="set the limit and keep it")
    parser.add_argument("--prune", action="store_true", help="bring the store within its limit")
    parser.add_argument(
        "--prune-to", type=types.gib, metavar="GIB", help="likewise, with another limit this once"
    )


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        UsageError: no such store.
    """
    if not options.builds.is_dir():
        raise UsageError(
            f"{options.builds}: no such directory. Name a build store with --builds.",
            code=Code.NO_RESULTS,
        )
    if not (options.builds / TAG).is_file():
        raise UsageError(
            f"{options.builds}: no build store, which has a file {TAG}. Name one with --builds."
        )
    console = wide_console()
    store = Store(root=options.builds.resolve())
    if options.limit is not None:
        store.set_limit(options.limit)
    if options.prune or options.prune_to is not None:
        removed = prune(store, limit_gib=options.prune_to)
        freed = sum(entry.bytes for entry in removed)
        console.print(f"removed {len(removed)} entries, {_size(freed)}", highlight=False)
    total = _show(console, store, entries(store), each=options.entries)
    if total > store.limit_gib * 2**30:
        pruned = options.prune or options.prune_to is not None
        console.print(BEYOND_PRUNED if pruned else BEYOND, highlight=False, soft_wrap=True)
    return EXIT_OK


def _show(console: Console, store: Store, found: Sequence[StoreEntry], *, each: bool) -> int:
    """Print what there is, and return how much of it there is a limit for."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("kind", "entries", "size", "last used"):
        table.add_column(heading, justify="right" if heading in ("entries", "size") else "left")
    if each:
        for entry in found:
            table.add_row(entry.kind, entry.path.name, _size(entry.bytes), _day(entry.used))
    else:
        for kind, group in groupby(sorted(found, key=_kind), key=_kind):
            members = list(group)
            size = _size(sum(entry.bytes for entry in members))
            first = _day(min(entry.used for entry in members))
            last = _day(max(entry.used for entry in members))
            table.add_row(kind, str(len(members)), size, f"{first} … {last}")
    objects = size_of(store.objects)
    table.add_row("objects", "", _size(objects), "")
    total = sum(entry.bytes for entry in found) + objects
    others = max(0, size_of(store.root) - total)
    table.add_row("no limit", "", _size(others), "")
    console.print(table)
    limit = _size(store.limit_gib * 2**30)
    console.print(f"{_size(total)} of at most {limit} in {store.root}", highlight=False)
    return total


def _kind(entry: StoreEntry) -> str:
    return entry.kind


def _size(count: float) -> str:
    return f"{count / 2**20:.0f} MiB" if count < 2**30 else f"{count / 2**30:.1f} GiB"


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
