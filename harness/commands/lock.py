"""`lock`: write down what may be downloaded, or check that all of it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.bisection.history import index_releases
from harness.commands import argument_types as types
from harness.commands.arguments import COMMON_EXITS, add_builds, add_config
from harness.config.cells import revision_of
from harness.config.downloads import about_others, not_pinned
from harness.config.loading import load_config
from harness.config.lock_file import Lock, builtin_lock, builtin_path, lock_path, read_lock
from harness.config.tables import known_converter
from harness.model import pnnx
from harness.model.downloads import built_in_model, converter, downloads_of, release, source
from harness.report.console import saying, wide_console
from harness.sources.pins import pin
from harness.util.build_store import Store
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, UsageError
from harness.util.files import write_atomically

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.config.downloads import Download

HELP = "pin what is downloaded by its content, or check that all of it is pinned"
DESCRIPTION = """\
Writes a lock file beside the configuration (mine.toml → mine.lock): the SHA-256 of each file of the
package index and the commit of each revision of a repository that it uses. The harness has a lock
of its own for ncnn's releases, the built-in model and pnnx: what that pins is not repeated. What is
pinned is verified whenever it is used, and what differs is refused. What is not pinned is told when
it is downloaded, or refused with --locked, which each command has that downloads something.
"""
EXAMPLES = """\
examples:
  python -m harness lock --config configs/mine.toml     pin what is not pinned yet
  python -m harness lock --config configs/mine.toml --version 20270101
                                                        and this version besides
  python -m harness lock --config configs/mine.toml --update
                                                        pin anew: branches as they are now
  python -m harness lock --config configs/mine.toml --update master
  python -m harness lock --config configs/mine.toml --check
  nox -s matrix -- --config configs/mine.toml --locked  use nothing else
"""
EXITS = {
    EXIT_OK: "the lock is written, or all is pinned",
    EXIT_FINDINGS: "with --check: something is not pinned",
    **COMMON_EXITS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser, "configuration file whose downloads are pinned")
    parser.add_argument(
        "--version",
        action="append",
        type=types.name,
        default=[],
        metavar="V",
        help="pin this version besides",
    )
    parser.add_argument(
        "--converter",
        action="append",
        type=types.text,
        default=[],
        metavar="NAME",
        help="pin this pnnx besides",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--update",
        nargs="*",
        type=types.text,
        metavar="NAME",
        help="pin anew, and drop what is not needed any more; or only a project, version, "
        "repository or revision",
    )
    what.add_argument(
        "--check", action="store_true", help="write nothing and ask nobody: is all of it pinned?"
    )
    parser.add_argument(
        "--builtin",
        action="store_true",
        help="for maintainers: write the harness's own lock, for all configurations in the "
        "folder of --config and all releases of the package index",
    )
    add_builds(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        UsageError: --update names nothing that the configuration needs.
        HarnessError: configuration or lock file are not valid, or something cannot be had.
    """
    console = wide_console()
    path = builtin_path() if options.builtin else lock_path(options.config)
    base = Lock() if options.builtin else builtin_lock()
    own = read_lock(path)
    wanted = list(dict.fromkeys(_wanted(options)))
    missing = not_pinned(wanted, own.over(base))
    if options.check:
        return _checked(console, path, wanted, missing)
    anew = _named(wanted, options.update)
    todo = missing if anew is None else anew
    found = Lock()
    store = Store(root=options.builds.resolve())
    with saying(console, "looking for what is not pinned") as say:
        for each in todo:
            say(f"pinning {each.name}")
            found = pin(each, store, fresh=anew is not None).over(found)
    kept = Lock() if options.update == [] else about_others(own, todo)
    written = found.over(kept).without(base)
    if written != own and (path.exists() or written != Lock()):
        write_atomically(path, written.text())
    _tell(console, path, written, own, wanted)
    return EXIT_OK


def _wanted(options: argparse.Namespace) -> Iterator[Download]:
    """Yield all that is to be pinned."""
    paths = [options.config]
    if options.builtin:
        paths = sorted(options.config.parent.glob("*.toml"))
        yield built_in_model()
        yield from (converter(version) for version in (pnnx.VERSION, *pnnx.OTHERS))
        if not options.check:
            yield from (release(point.revision.name) for point in index_releases())
    for path in paths:
        config = load_config(path)
        yield from downloads_of(config, path.resolve().parent)
        for label in options.version:
            yield from source(revision_of(label, config, path.resolve().parent))
    for name in options.converter:
        try:
            yield converter(known_converter(name).partition(" ")[2])
        except ValueError as error:
            raise UsageError(f"--converter {name}: {error}.") from error


def _named(wanted: Sequence[Download], names: Sequence[str] | None) -> list[Download] | None:
    """Return what is to be pinned anew; None if nothing is."""
    if names is None:
        return None
    for name in names:
        if not any(each.is_called(name) for each in wanted):
            raise UsageError(
                f"--update {name}: nothing that is needed is called so. Give one of "
                f"{', '.join(each.name for each in wanted)}."
            )
    return [x for x in wanted if not names or any(x.is_called(name) for name in names)]


def _checked(
    console: Console, path: Path, wanted: Sequence[Download], missing: Sequence[Download]
) -> int:
    for each in missing:
        console.print(f"not pinned: {each.name}", highlight=False, markup=False)
    pinned = len(wanted) - len(missing)
    console.print(f"{pinned} of {len(wanted)} downloads are pinned", highlight=False)
    if not missing:
        return EXIT_OK
    console.print(
        f"{path} is not up to date: run the same command without --check",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    return EXIT_FINDINGS


def _tell(
    console: Console, path: Path, written: Lock, own: Lock, wanted: Sequence[Download]
) -> None:
    """Say what is new in a lock, and how much of what is wanted is pinned where."""
    for file in written.without(own).files:
        words = f"{file.file}  sha256 {file.sha256}  {file.size} bytes"
        console.print(words, highlight=False, markup=False, soft_wrap=True)
    for commit in written.without(own).commits:
        words = f"{commit.name} → {commit.commit}"
        console.print(words, highlight=False, markup=False, soft_wrap=True)
    here = sum(bool(each.pins(written)) for each in wanted)
    words = f"{here} of {len(wanted)} downloads are pinned in {path}" if here else "nothing to pin"
    rest = len(wanted) - here
    if rest:
        words += f", {rest} in the harness's own lock"
    console.print(words, highlight=False, markup=False, soft_wrap=True)
