"""Ends what a process of the harness leaves running when it is killed outright.

It waits at a pipe whose other end only that process has: when that ends, however it does, so does
everything with its mark.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from functools import cache
from uuid import uuid4

from harness.util.family import end_strays

MARK = "HARNESS_OWNER"
"""Environment variable by which everything is known that a process of the harness started."""
SERVER = "HARNESS_SERVER"
"""The same of what a fork server started."""
RUN = "HARNESS_RUN"
"""The same of what one program started."""
_guard = threading.Lock()


def mark() -> dict[str, str]:
    """Return the variable to start a program with that must not outlive this process."""
    with _guard:
        return {MARK: _guarded()[0]}


@cache
def _guarded() -> tuple[str, subprocess.Popen[bytes]]:
    """Return this process's mark, with its guardian, which runs as long as it does."""
    owner = uuid4().hex
    reader, writer = os.pipe()
    path = os.pathsep.join(filter(None, sys.path))
    # Both stay open and running until this process ends; Ctrl-C is not for the guardian.
    watching = subprocess.Popen(
        [sys.executable, "-m", __name__, owner],
        stdin=reader,
        env={**os.environ, "PYTHONPATH": path, MARK: ""},
        start_new_session=True,
    )
    os.close(reader)
    os.set_inheritable(writer, False)
    return owner, watching


def main(owner: str) -> int:
    """Wait for the end of the process that started this one, and end what it left."""
    while os.read(0, 1):
        pass
    end_strays(MARK, owner)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
