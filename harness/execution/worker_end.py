"""How a worker ends that cannot do its work: told apart from how a build has it end."""

from __future__ import annotations

import errno
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.execution.mishap import EXIT_MACHINE, SHORT
from harness.util.errors import HarnessError
from harness.util.files import disk_trouble

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORT_OF = {
    errno.ENOMEM: SHORT,
    errno.EAGAIN: "no more processes may be started. Raise the limit (ulimit -u)",
}


class MachineLimitError(Exception):
    """The machine, and not the build, kept a step from being done; the message has the remedy."""


def ending_of(work: Callable[[], None]) -> int:
    """Do a worker's work and return the exit code.

    What the machine lacks is said in the last line; any other exception is a mistake.
    """
    try:
        work()
    except MemoryError:
        return _say(SHORT)
    except (MachineLimitError, HarnessError) as error:
        return _say(str(error))
    except OSError as error:
        trouble = _SHORT_OF.get(error.errno or 0, "")
        trouble = trouble or disk_trouble(error, Path(tempfile.gettempdir()))
        if not trouble:
            raise
        return _say(trouble)
    return 0


def _say(reason: str) -> int:
    print(f"\n{reason}", file=sys.stderr)
    return EXIT_MACHINE
