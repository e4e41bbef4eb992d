"""How a worker ends that cannot do its work: told apart from how a build has it end."""

from __future__ import annotations

import errno
import re
import sys
from typing import TYPE_CHECKING

from harness.execution.mishap import EXIT_MACHINE, SHORT
from harness.util.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable

_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written")
"""What NumPy says of a full disk, without an error number."""
_SHORT_OF = {
    errno.ENOSPC: "the disk of the temporary directory is full. Free some, or set TMPDIR",
    errno.EDQUOT: "the quota of the temporary directory is used up. Free some, or set TMPDIR",
    errno.EFBIG: "a file would be larger than allowed. Raise the limit (ulimit -f)",
    errno.EIO: "the disk of the temporary directory has errors. Set TMPDIR to another one",
    errno.ENOMEM: SHORT,
    errno.EAGAIN: "no more processes may be started. Raise the limit (ulimit -u)",
    errno.EMFILE: "no more files may be open. Raise the limit (ulimit -n)",
    errno.ENFILE: "no more files may be open on this machine. Lower --jobs",
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
        if error.errno in _SHORT_OF:
            return _say(_SHORT_OF[error.errno])
        if _SHORT_WRITE.search(str(error)):
            return _say(_SHORT_OF[errno.ENOSPC])
        raise
    return 0


def _say(reason: str) -> int:
    print(f"\n{reason}", file=sys.stderr)
    return EXIT_MACHINE
