"""`python -m harness`: all that the nox sessions do."""

from __future__ import annotations

import sys

from harness.util.interruption import leave_when_asked


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: the command line, for callers within a process that is their own; by default
            that of this process, whose signals and standard streams are then the command's.
    """
    own = arguments is None
    if own:
        leave_when_asked()
    # Only now, since it takes a while, in which somebody may want to interrupt.
    from harness.commands.command_line import run

    return run(sys.argv[1:] if arguments is None else arguments, own=own)


if __name__ == "__main__":
    sys.exit(main())
