"""Every fatal error of the harness, each with its exit code.

A message names the place (file, key, command) and ends with the remedy. Anything that is not a
`HarnessError` and reaches the top is a bug in the harness: `EXIT_INTERNAL`.
"""

from __future__ import annotations

from typing import ClassVar

from harness.util.codes import Code

EXIT_OK = 0
EXIT_FINDINGS = 1
"""At least one cell is not fine: `drop`, `broken` or `build-failed`."""
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_SUSPECTS = 4
"""A bisection ends at several suspects: those between could not be tested."""
EXIT_NOT_REPRODUCIBLE = 5
"""A bisection has nothing to look for: its ends do not differ, or cannot be tested."""
EXIT_INTERNAL = 70
"""A mistake in the harness itself (EX_SOFTWARE of sysexits.h)."""
EXIT_INTERRUPTED = 130
EXIT_CLOSED = 141
"""Nobody reads standard output any more, as a shell says it of a program that SIGPIPE ended."""


class HarnessError(Exception):
    """Base of all expected failures: one clear message, no traceback.

    Attributes:
        code: which kind of failure it is, for `docs/errors.md`.
    """

    exit_code: ClassVar[int] = EXIT_ENVIRONMENT
    usual_code: ClassVar[Code] = Code.MACHINE
    """The code where none is given."""

    def __init__(self, message: str, *, code: Code | None = None) -> None:
        super().__init__(message)
        self.code = code or self.usual_code


class UsageError(HarnessError):
    """The command line or the configuration asks for something impossible."""

    exit_code = EXIT_USAGE
    usual_code = Code.USAGE


class ConfigError(UsageError):
    """A configuration file is wrong; the message names file and key."""

    usual_code = Code.CONFIG


class SelectorError(UsageError):
    """A `--only` or `--skip` pattern matches nothing."""

    usual_code = Code.NO_MATCH


class ModelError(UsageError):
    """A model or input file is missing, truncated or not understood."""

    usual_code = Code.MODEL


class LimitError(ModelError):
    """A model takes more time, memory or space than the configuration allows."""

    usual_code = Code.LIMIT


class CrashError(ModelError):
    """What evaluates a model crashed on it."""

    usual_code = Code.NO_REFERENCE


class MachineError(HarnessError):
    """Something this machine lacks: a compiler, disk space, the network."""

    usual_code = Code.MACHINE


class OutputClosedError(HarnessError):
    """Whoever read standard output has gone, as with `| head`: nothing is left to be said."""

    exit_code = EXIT_CLOSED
    usual_code = Code.OUTPUT_CLOSED


class SourceError(HarnessError):
    """A revision of ncnn cannot be obtained."""

    usual_code = Code.SOURCE


class NotReproducibleError(HarnessError):
    """The two ends of a bisection do not differ, or one of them cannot be tested."""

    exit_code = EXIT_NOT_REPRODUCIBLE
    usual_code = Code.NOT_REPRODUCIBLE


class OutsideError(HarnessError):
    """Something was about to be written where nothing of this package belongs; it was not."""

    exit_code = EXIT_INTERNAL
    usual_code = Code.OUTSIDE


class UnbuildableError(MachineError):
    """One build needs something that this machine lacks; others may not."""

    usual_code = Code.UNBUILDABLE


class BuildError(HarnessError):
    """One build failed; the matrix goes on without it.

    Attributes:
        log: path of the full build log, or None when nothing ran.
        first_error: the first line of the log that reports an error.
        lasting: whether it would fail again; a compiler that crashed need not.
    """

    usual_code = Code.BUILD_FAILED

    def __init__(
        self,
        message: str,
        *,
        log: str | None = None,
        first_error: str = "",
        lasting: bool = True,
        code: Code | None = None,
    ) -> None:
        super().__init__(message, code=code)
        self.log = log
        self.first_error = first_error or message
        self.lasting = lasting


class LacksLayerError(BuildError):
    """This version of ncnn has no layer of a type that the model needs."""

    usual_code = Code.NO_LAYER
