"""What functions and programs do that nobody should have to clean up after."""

import contextlib
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.util import bounded_log
from harness.util.errors import EXIT_INTERNAL, MachineError
from harness.util.family import descendants, end_strays
from harness.util.limits import GIB, ProcessLimits
from harness.util.process import Completed, Processes, capture, run
from harness.util.sandbox import Confinement
from tests.util.test_process import is_gone

linux = pytest.mark.skipif(sys.platform != "linux", reason="takes Linux")
PYTHON = sys.executable

DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open(sys.argv[1], "w").write(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
while not os.path.exists(sys.argv[1]) or not open(sys.argv[1]).read():
    time.sleep(0.01)
exec(sys.argv[2])
"""


def daemon(arguments: list[str]) -> int:
    """Start something that leaves the group and its parent, then do as told."""
    file, then = arguments
    subprocess.run([PYTHON, "-c", DAEMON, file, "pass"], check=True)
    exec(then)
    return 0


def leak() -> None:
    held = []
    while True:
        held.append(bytearray(b"x") * (16 << 20))


def leak_in_a_child() -> None:
    code = "x = bytearray(b'x') * (1 << 30); import time; time.sleep(600)"
    subprocess.run([PYTHON, "-c", code], check=False)


def kill_those_who_watch() -> None:
    os.kill(os.getppid(), signal.SIGKILL)


def print_without_end() -> None:
    for _ in range(300):
        os.write(1, b"y" * (1 << 16) + b"\n")


def write_much() -> None:
    with tempfile.TemporaryFile() as stream:
        stream.truncate(1 << 30)


MISDEEDS: dict[str, Callable[[], object]] = {
    "nothing": lambda: None,
    "leaks": leak,
    "leaks in a child": leak_in_a_child,
    "leaves": lambda: os._exit(0),
    "kills": kill_those_who_watch,
    "closes": lambda: os.closerange(0, 64),
    "NUL": lambda: os.write(1, b"\0" * 4096 + b"\n"),
    "prints": print_without_end,
    "writes": write_much,
    "dumps": os.abort,
}


def misbehaves(arguments: list[str]) -> int:
    """Do one of many things."""
    MISDEEDS[arguments[0]]()
    return 0


def call(tmp_path: Path, *arguments: str, confined: bool = False, **limits: int) -> Completed:
    own = tmp_path / "own"
    own.mkdir(exist_ok=True)
    return Processes().call(
        misbehaves,
        arguments,
        log=tmp_path / "log",
        timeout=60,
        limits=ProcessLimits(**limits),
        confinement=Confinement(writable=(str(own),)) if confined else None,
    )


@pytest.mark.parametrize(
    ("kind", "fate", "over"),
    [
        ("leaks", "SIGKILL", True),
        ("leaks in a child", "SIGKILL", True),
        ("leaves", "exit code 0", False),
        ("closes", "exit code 0", False),
        ("NUL", "exit code 0", False),
        ("dumps", "SIGABRT", False),
    ],
)
@linux
def test_how_it_ends_is_told(tmp_path: Path, kind: str, fate: str, over: bool) -> None:
    done = call(tmp_path, kind, memory_bytes=GIB // 2)
    assert (done.fate, done.over_memory) == (fate, over)
    assert not list(tmp_path.glob("core*"))


def test_what_is_printed_without_end_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = call(tmp_path, "prints")
    assert done.ok
    assert done.output.endswith("y\n")
    most = bounded_log.HEAD_BYTES + bounded_log.TAIL_BYTES + (1 << 17)
    assert (tmp_path / "log").stat().st_size < most < 300 << 16


@linux
def test_a_program_is_refused_memory(tmp_path: Path) -> None:
    code = "x = bytearray(1 << 30)"
    done = run([PYTHON, "-c", code], log=tmp_path / "log", timeout=60, memory_bytes=GIB // 2)
    assert "MemoryError" in done.output


def test_a_file_cannot_grow_beyond_its_limit(tmp_path: Path) -> None:
    done = call(tmp_path, "writes", file_bytes=1 << 20)
    assert done.returncode == EXIT_INTERNAL
    assert "File too large" in done.output


@linux
def test_it_cannot_end_those_who_watch(tmp_path: Path) -> None:
    done = call(tmp_path, "kills", confined=True)
    if "PermissionError" not in done.output:
        pytest.skip("no Landlock that knows signals")
    assert done.returncode == EXIT_INTERNAL


@pytest.mark.parametrize("then", ["pass", "time.sleep(600)", "os.kill(os.getpid(), 9)"])
@linux
def test_daemons_of_a_program_do_not_outlive_it(tmp_path: Path, then: str) -> None:
    pid = tmp_path / "pid"
    run([PYTHON, "-c", DAEMON, pid, then], log=tmp_path / "log", timeout=5)
    assert is_gone(int(pid.read_text()))


@pytest.mark.parametrize("then", ["pass", "time.sleep(600)", "os.kill(os.getpid(), 9)"])
@linux
def test_daemons_of_a_function_do_not_outlive_it(tmp_path: Path, then: str) -> None:
    pid = tmp_path / "pid"
    Processes().call(daemon, [pid, then], log=tmp_path / "log", timeout=5)
    assert is_gone(int(pid.read_text()))


HARNESS = """
import sys, threading
from pathlib import Path
from harness.util.process import Processes, run
from tests.util import test_misbehaviour as test
folder = Path(sys.argv[1])
def program():
    run([sys.executable, "-c", test.DAEMON, folder / "a", "time.sleep(600)"],
        log=folder / "log", timeout=600)
def function():
    Processes().call(test.daemon, [folder / "b", "time.sleep(600)"],
                     log=folder / "log", timeout=600)
for work in (program, function):
    threading.Thread(target=work).start()
"""


@linux
def test_nothing_outlives_a_harness_that_is_killed(tmp_path: Path) -> None:
    path = os.pathsep.join(filter(None, sys.path))
    with subprocess.Popen(
        [PYTHON, "-c", HARNESS, tmp_path], env={**os.environ, "PYTHONPATH": path}
    ) as harness:
        files = [tmp_path / name for name in "ab"]
        while not all(file.exists() and file.read_text() for file in files):
            time.sleep(0.05)
        everybody = descendants(harness.pid)
        assert len(everybody) >= 5
        harness.kill()
    for pid in (*everybody, *(int(file.read_text()) for file in files)):
        assert is_gone(pid)


@linux
def test_a_fork_server_that_is_killed_is_started_again(tmp_path: Path) -> None:
    processes = Processes()
    first = processes.call(misbehaves, ["nothing"], log=tmp_path / "log", timeout=60)
    servers = [
        pid
        for pid in descendants(os.getpid())
        if b"harness.util.forking" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    for server in servers:
        with contextlib.suppress(ProcessLookupError):  # one may have ended with another
            os.kill(server, signal.SIGKILL)
    second = processes.call(misbehaves, ["nothing"], log=tmp_path / "log", timeout=60)
    assert (first.fate, second.fate) == ("exit code 0", "exit code 0")


def test_capture_is_bounded() -> None:
    code = "import os\nwhile True: os.write(1, b'x' * 65536)"
    with pytest.raises(MachineError, match="printed more than 1000000 bytes"):
        capture([PYTHON, "-c", code], timeout=60, most_bytes=1_000_000)
    noisy = "import os\nfor _ in range(99): os.write(2, b'x' * 65536)\nprint('done')"
    assert capture([PYTHON, "-c", noisy], timeout=60).text == "done\n"


def test_capture_does_not_wait_for_who_holds_its_output() -> None:
    code = "import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(8)\nelse: print('done')"
    started = time.monotonic()
    assert capture([PYTHON, "-c", code], timeout=60).text == "done\n"
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("words", [["true", "a\0b"], ["true", "x" * (1 << 22)]])
def test_what_cannot_be_started_is_no_traceback(tmp_path: Path, words: list[str]) -> None:
    with pytest.raises(MachineError, match="cannot be started"):
        run(words, log=tmp_path / "log", timeout=60)


def tries(arguments: list[str]) -> int:
    """Try what is forbidden, and say what went."""
    own, outside = Path(arguments[0]), Path(arguments[1])

    def connect(kind: socket.SocketKind) -> None:
        with socket.socket(socket.AF_INET, kind) as client:
            client.settimeout(5)
            client.connect(("127.0.0.1", int(arguments[2])))
            client.send(b"hello")

    deeds: dict[str, Callable[[], object]] = {
        "write own": lambda: (own / "file").write_text("x"),
        "write": lambda: outside.write_text("x"),
        "create": lambda: (outside.parent / "new").write_text("x"),
        "remove": outside.unlink,
        "rename": lambda: outside.rename(own / "stolen"),
        "truncate": lambda: os.truncate(outside, 0),
        "read": outside.read_bytes,
        "/dev/null": lambda: Path("/dev/null").write_text("x"),
        "program": lambda: subprocess.run(["true"], check=True),
        "tcp": lambda: connect(socket.SOCK_STREAM),
        "udp": lambda: connect(socket.SOCK_DGRAM),
        "cores": lambda: resource.getrlimit(resource.RLIMIT_CORE)[0] or 1 / 0,
    }
    went = []
    for name, deed in deeds.items():
        with contextlib.suppress(OSError, ZeroDivisionError):
            deed()
            went.append(name)
    print(json.dumps(went))
    return 0


@linux
def test_what_is_confined_may_compute_and_little_else(tmp_path: Path) -> None:
    own, outside = tmp_path / "own", tmp_path / "outside"
    own.mkdir()
    outside.write_text("precious")
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
    ):
        port = server.getsockname()[1]
        datagrams.bind(("127.0.0.1", port))
        done = Processes().call(
            tries,
            [own, outside, str(port)],
            log=tmp_path / "log",
            timeout=60,
            confinement=Confinement(writable=(str(own),)),
        )
    lacks = capture(
        [PYTHON, "-m", "harness.util.sandbox"],
        timeout=60,
        env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert lacks.ok
    if lacks.text.strip():
        pytest.skip(lacks.text)
    assert json.loads(done.output) == ["write own", "read", "/dev/null", "program"]
    assert outside.read_text() == "precious"


def test_strays_are_ended_with_their_children() -> None:
    mark = {"HARNESS_TEST_STRAY": "here"}
    code = "import os, time; os.fork(); os.setsid(); time.sleep(600)"
    with subprocess.Popen([PYTHON, "-c", code], env={**os.environ, **mark}) as stray:
        while not (found := descendants(stray.pid)):
            time.sleep(0.01)
        end_strays("HARNESS_TEST_STRAY", "here")
        assert stray.wait() == -signal.SIGKILL
    assert all(is_gone(pid) for pid in found)
