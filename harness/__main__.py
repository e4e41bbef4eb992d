"""`python -m harness`: all that the nox sessions do."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

import harness
from harness.commands import bench, bisect, bisect_step, diagnose, matrix, report, store
from harness.util.errors import EXIT_INTERRUPTED, HarnessError
from harness.util.files import disk_trouble_explained

COMMANDS = (matrix, bisect, bisect_step, report, diagnose, store, bench)

DESCRIPTION = """\
Builds many variants of ncnn (version x compile flags), runs one model on each with many runtime
options, compares every layer with ONNX Runtime, and says which version, flag or option costs
precision.
"""

EXIT_CODES = """\
exit codes:
  0    all cells are fine
  1    at least one cell is `drop`, `broken` or `build-failed`, or none could be measured
  2    wrong usage, configuration or model file
  3    the machine lacks something: compiler, network, disk space
  130  interrupted; the same command continues
"""


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser."""
    top = argparse.ArgumentParser(
        prog="python -m harness",
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=harness.__version__)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for module in COMMANDS:
        command = commands.add_parser(
            module.NAME,
            help=module.HELP,
            description=module.DESCRIPTION,
            epilog=f"{module.EXAMPLES}\n{EXIT_CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(execute=module.execute)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _terminate)
    console = Console(stderr=True)
    try:
        with disk_trouble_explained(getattr(options, "builds", Path())):
            code: int = options.execute(options)
    except HarnessError as error:
        console.print(f"error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("interrupted; the same command continues where it stopped", style="yellow")
        return EXIT_INTERRUPTED
    return code


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
