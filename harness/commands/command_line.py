"""The command line: which commands there are, and one of them run to its end."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

import harness
from harness.commands.argument_types import checked_words
from harness.commands.ending import ending_of
from harness.commands.places import check_apart, places_of
from harness.util.codes import Code
from harness.util.errors import MachineError, OutputClosedError, UsageError
from harness.util.interruption import raise_when_asked, raise_when_out_of_time
from harness.util.output import STDOUT, abandon, prepare_streams
from harness.util.places import confined
from harness.util.terminal import PlainConsole, PlainFormatter

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger("harness")

COMMANDS = {
    name: f"harness.commands.{name.replace('-', '_')}"
    for name in (
        "matrix",
        "ci-matrix",
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


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        """Complain.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            f"{message.rstrip('.')}. `{self.prog} --help` tells what there is.",
            code=Code.NOT_UNDERSTOOD,
        )


def parser(names: Iterable[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Return the command line's parser, with some commands: each takes time to import."""
    top = _Parser(
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


def run(words: Sequence[str], *, own: bool) -> int:
    """Run one command to its end, and return its exit code.

    This is the last line of defence: whatever is raised ends in one line and an exit code.

    Args:
        words: the command line.
        own: whether this process has been started for it, so that its signals and standard
            streams are the command's.
    """
    # Records are many and live to the end: looking for garbage among them takes a second.
    gc.set_threshold(GARBAGE_THRESHOLD)
    options = argparse.Namespace()
    if own:
        prepare_streams()
        threading.excepthook = lambda failed: _thread_failed(failed, words, options)
    try:
        code = _execute(words, options, own=own)
        if sys.stdout:
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt) as error:
        logger.debug("where it came from", exc_info=True)
        if own:
            # What still waits to be written would be tried again when Python ends.
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            abandon(STDOUT)
        code = _tell(error, words, _results(options))
        return code if code >= _least(words) else code + _least(words)
    return code


def _execute(words: Sequence[str], options: argparse.Namespace, *, own: bool) -> int:
    """Parse the command line into `options`, and run what it asks for."""
    try:
        os.getcwd()  # noqa: PTH109 (nothing is done with it)
    except OSError as error:
        raise MachineError(
            f"the current directory is gone or closed ({error.strerror}). Change to another one."
        ) from error
    checked_words(words)
    known = words[:1] if words[:1] and words[0] in COMMANDS else COMMANDS
    try:
        parser(known).parse_args(words, options)
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    _set_up_logging(verbose=options.verbose, debug=options.debug)
    if own:
        raise_when_asked()
        raise_when_out_of_time()
    check_apart(options)
    with confined(places_of(options)), _pinned(options):
        code: int = options.execute(options)
    return code


def _pinned(options: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """Let locks hold, for a command that may download something."""
    if not hasattr(options, "locked"):
        return contextlib.nullcontext()
    # Only now, since checking them takes a moment to import.
    pinning = importlib.import_module("harness.config.pinning")
    pinned: contextlib.AbstractContextManager[None] = pinning.pinned_by(
        getattr(options, "config", None), locked=options.locked
    )
    return pinned


def _least(words: Sequence[str]) -> int:
    """Return from which code on a command may end where it has no answer.

    `git bisect run` takes 1 to 127 for a verdict on the commit.
    """
    return 128 if words[:1] == ["bisect-step"] else 0


def _tell(error: BaseException, words: Sequence[str], results: Path | None) -> int:
    """Say how a command ends, and return its exit code."""
    ending = ending_of(error, words, results)
    if ending.line:
        style = "yellow" if isinstance(error, KeyboardInterrupt) else "red"
        console = PlainConsole(stderr=True)
        console.print(ending.line, style=style, markup=False, highlight=False, soft_wrap=True)
    return ending.code


def _results(options: argparse.Namespace) -> Path | None:
    found: Path | None = getattr(options, "results", None)
    return found


def _thread_failed(
    failed: threading.ExceptHookArgs, words: Sequence[str], options: argparse.Namespace
) -> None:
    """Say that a thread beside the command failed, such as one that draws a bar."""
    error = failed.exc_value
    if error is not None and not isinstance(error, OutputClosedError | SystemExit):
        _tell(error, words, _results(options))


class _Handler(logging.Handler):
    """Writes to what standard error is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _set_up_logging(*, verbose: bool, debug: bool) -> None:
    """Let the harness's own log, and nobody else's, be seen as far as was asked for."""
    log = logging.getLogger("harness")
    log.setLevel(logging.DEBUG if debug else logging.INFO if verbose else logging.WARNING)
    log.propagate = False
    handler = _Handler()
    handler.setFormatter(PlainFormatter("%(asctime)s %(message)s", "%H:%M:%S"))
    log.handlers = [handler]
