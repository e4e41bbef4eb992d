"""`python -m harness`: all that the nox sessions do."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

import harness
from harness.commands import bench, bisect, bisect_step, diagnose, matrix, report, store
from harness.util.errors import EXIT_INTERRUPTED, HarnessError
from harness.util.files import disk_trouble_explained

logger = logging.getLogger("harness")

COMMANDS = (matrix, bisect, bisect_step, report, diagnose, store, bench)

DESCRIPTION = """\
Builds many variants of ncnn (version x compile flags), runs one model on each with many runtime
options, compares every layer with ONNX Runtime, and says which version, flag or option costs
precision.
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="python -m harness",
        description=DESCRIPTION,
        epilog="each command says in its own --help what its exit codes mean",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=harness.__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(
            module.NAME,
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
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    console = Console(stderr=True)
    _set_up_logging(verbose=options.verbose, debug=options.debug)
    try:
        with disk_trouble_explained(getattr(options, "builds", Path())):
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
