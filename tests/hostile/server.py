"""A warm process that forks for each hostile input, in a namespace that is read-only.

It reads one request per line from stdin and answers in one line on stdout, both JSON.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

from harness.util.forking import ForkServer
from tests.hostile import namespace
from tests.hostile.watch import watch

ADDRESS_SPACE = 8 << 30
"""Bytes; more than anything here may take, and less than makes the machine suffer."""
FILE_BYTES = 1 << 30
GRACE_SECONDS = 5.0
"""What was started may end a little later than what started it."""
_SUBREAPER = 36
"""`PR_SET_CHILD_SUBREAPER`: what loses its parent becomes ours."""


def main(arguments: list[str]) -> int:
    """Serve requests that run in the folder `arguments[0]`; end with the input."""
    place = Path(arguments[0])
    folders = [place / name for name in ("builds", "results", "tmp", "io")]
    is_closed = arguments[1] == "closed"
    if is_closed:
        namespace.close(folders)
    _become_reaper()
    _warm_up()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            # Returning, and no more: the interpreter ends as that of a program does.
            return _child(request, place)
        print(json.dumps(_outcome(pid, request["seconds"])), flush=True)
    return 0


def _warm_up() -> None:
    sys.dont_write_bytecode = True
    from harness.commands.command_line import COMMANDS

    for module in (*COMMANDS.values(), "harness.commands.conclusion"):
        importlib.import_module(module)
    for module in ("harness.reference.generated_inputs", "harness.execution.worker"):
        importlib.import_module(module)
    # It would import all that we have imported, for workers that refused inputs never need.
    setattr(ForkServer, "start", _start_later)  # noqa: B010 (mypy refuses it otherwise)
    gc.collect()
    gc.freeze()


def _start_later(_server: ForkServer) -> None:
    """Start with the first process that is asked for."""


def _become_reaper() -> None:
    import ctypes

    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def _child(request: dict[str, Any], place: Path) -> int:
    os.setpgid(0, 0)
    io = place / "io"
    _redirect(0, os.open(io / "stdin", os.O_RDONLY))
    _redirect(2, os.open(io / "stderr", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    _open_stdout(request["stdout"], io / "stdout")
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.environ.clear()
    os.environ.update(request["env"])
    os.chdir(place)
    time.tzset()
    words = request["words"]
    if request["program"]:
        os.execv(sys.executable, [sys.executable, "-m", "harness", *words])
    log = os.open(io / "events", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    allowed = [os.path.realpath(place / name) for name in ("builds", "results", "tmp")]
    watch(allowed, lambda line: _tell(log, line))
    from harness.__main__ import main as harness_main

    sys.argv[1:] = words
    return harness_main()


def _tell(log: int, line: str) -> None:
    os.write(log, f"{line!r}\n".encode(errors="backslashreplace"))


def _redirect(number: int, descriptor: int) -> None:
    os.dup2(descriptor, number)
    if descriptor != number:
        os.close(descriptor)


def _open_stdout(kind: str, file: Path) -> None:
    if kind == "closed":
        os.close(1)
        sys.stdout = None  # as Python has it that starts without one
        return
    if kind == "pipe":
        reader, writer = os.pipe()
        os.close(reader)
        _redirect(1, writer)
    elif kind == "full":
        _redirect(1, os.open("/dev/full", os.O_WRONLY))
    else:
        _redirect(1, os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _outcome(pid: int, seconds: float) -> dict[str, Any]:
    """Wait for a child, and for what it leaves behind."""
    began = time.monotonic()
    handle = os.pidfd_open(pid)
    in_time = bool(select.select([handle], [], [], seconds)[0])
    os.close(handle)
    if not in_time:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    _, status, used = os.wait4(pid, 0)
    took = time.monotonic() - began
    return {
        "code": os.waitstatus_to_exitcode(status),
        "timed_out": not in_time,
        "seconds": round(took, 3),
        "mebibytes": used.ru_maxrss // 1024,
        "left": _left(GRACE_SECONDS if in_time else 0.0),
    }


def _left(grace: float) -> list[str]:
    """Return the names of processes that are still there, and end them."""
    deadline = time.monotonic() + grace
    while _living() and time.monotonic() < deadline:
        time.sleep(0.02)
    names = []
    while children := _living():
        for pid in children:
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                names.append(b" ".join(words).decode(errors="replace")[:200])
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)
    return names


def _living() -> list[int]:
    """Reap what ended, and return our children that did not."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return []
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, IndexError):
            if int(stat.read_text(errors="replace").rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
