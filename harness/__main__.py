"""`python -m harness`: all that the nox sessions do."""

from __future__ import annotations

import argparse
import gc
import importlib
import logging
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

import harness
from harness.util.errors import EXIT_INTERRUPTED, HarnessError
from harness.util.files import disk_trouble_explained

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import FrameType

logger = logging.getLogger("harness")

COMMANDS = {
    name: f"harness.commands.{name.replace('-', '_')}"
    for name in (
        "matrix",
        "sweep",
        "audit",
        "corpus",
        "bisect",
        "bisect-step",
        "report",
        "diagnose",
        "reproducer",
        "store",
        "lock",
        "doctor",
        "bench",
    )
}
"""Modules by the name of their command."""

GARBAGE_THRESHOLD = 200_000
"""New objects that make Python look for cycles; its default is 700."""

DESCRIPTION = """\
Builds ncnn many times (version x compile flags), runs one model on each with many runtime
options, compares every layer with ONNX Runtime, and says which version, flag or option costs
precision.
"""


def parser(names: Iterable[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Return the command line's parser, with some commands: each takes time to import."""
    top = argparse.ArgumentParser(
        prog="python -m harness",
        description=DESCRIPTION,
        epilog="each command says in its own --help what its exit codes mean",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=harness.__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in names:
        module = importlib.import_module(COMMANDS[name])
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=f"{module.EXAMPLES}\n{exit_codes(module.EXITS)}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        _add_talk(command)
        command.set_defaults(execute=module.execute)
    return top


def exit_codes(codes: Mapping[int, str]) -> str:
    """Return the end of a command's help."""
    lines = sorted(codes.items())
    return "\n".join(["exit codes:", *(f"  {code:<4} {words}" for code, words in lines)])


def _add_talk(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("how much to say")
    group.add_argument(
        "--verbose", action="store_true", help="name each program that is run, with its log"
    )
    group.add_argument(
        "--debug",
        action="store_true",
        help="the same, tracebacks of errors, and keep scratch directories",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    # Records are many and live to the end: looking for garbage among them takes a second.
    gc.set_threshold(GARBAGE_THRESHOLD)
    words = sys.argv[1:] if arguments is None else list(arguments)
    options = parser(words[:1] if words[:1] and words[0] in COMMANDS else COMMANDS).parse_args(
        words
    )
    signal.signal(signal.SIGTERM, _terminate)
    console = Console(stderr=True)
    _set_up_logging(verbose=options.verbose, debug=options.debug)
    try:
        with disk_trouble_explained(getattr(options, "builds", Path())), _pinned(options):
            code: int = options.execute(options)
    except HarnessError as error:
        logger.debug("where the error came from", exc_info=True)
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        logger.debug("where it was interrupted", exc_info=True)
        console.print("interrupted; the same command continues where it stopped", style="yellow")
        return EXIT_INTERRUPTED
    return code


def _pinned(options: argparse.Namespace) -> AbstractContextManager[None]:
    """Let locks hold, for a command that may download something."""
    if not hasattr(options, "locked"):
        return nullcontext()
    # Only now, since checking them takes a moment to import.
    pinning = importlib.import_module("harness.config.pinning")
    pinned: AbstractContextManager[None] = pinning.pinned_by(
        getattr(options, "config", None), locked=options.locked
    )
    return pinned


def _set_up_logging(*, verbose: bool, debug: bool) -> None:
    """Let the harness's own log, and nobody else's, be seen as far as was asked for."""
    log = logging.getLogger("harness")
    log.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
    log.propagate = False
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.handlers = [handler]


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
