import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.util import process
from harness.util.errors import EXIT_INTERNAL, MachineError
from harness.util.family import end_strays
from harness.util.process import Processes, capture, run, signal_name

PYTHON = sys.executable

SPAWN_AND_WAIT = """
import pathlib, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(float(sys.argv[2]))
"""


def is_gone(pid: int) -> bool:
    """Wait for an orphan to be dead (a zombie counts); fails only if it lives for a minute."""
    for _ in range(600):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False


def test_stop_ends_what_other_threads_run_and_makes_no_result_of_it(tmp_path: Path) -> None:
    processes = Processes()
    sleeping = tmp_path / "sleeping"
    code = f"import pathlib, time; pathlib.Path({str(sleeping)!r}).touch(); time.sleep(600)"
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(processes.run, [PYTHON, "-c", code], log=tmp_path / "log", timeout=60)
        while not sleeping.exists():
            time.sleep(0.01)
        processes.stop()
        with pytest.raises(KeyboardInterrupt):
            done.result()
    # Others are not concerned.
    assert run([PYTHON, "-c", "pass"], log=tmp_path / "log", timeout=60).ok


def test_watcher_is_told_the_last_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "WATCH_SECONDS", 0.05)
    seen: list[str] = []
    go = tmp_path / "go"
    code = (
        "import pathlib, time; print('[1/2]', flush=True)\n"
        f"while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"
    )

    def watch(line: str) -> None:
        seen.append(line)
        if line == "[1/2]":
            go.touch()

    done = run([PYTHON, "-c", code], log=tmp_path / "log", timeout=60, watch=watch)
    assert done.ok
    assert seen[-1] == "[1/2]"


def test_run_keeps_log_and_returns_output(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "log"
    for text in ("one", "two"):
        done = run([PYTHON, "-c", f"print('{text}')"], log=log, timeout=60)
        assert done.ok
        assert done.output == f"{text}\n"
        assert done.fate == "exit code 0"
    written = log.read_text().splitlines()
    assert [line for line in written if not line.startswith("$ ")] == ["one", "two"]


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        ("raise SystemExit(3)", "exit code 3"),
        ("import os; os.kill(os.getpid(), 4)", "SIGILL"),
        ("import os; os.abort()", "SIGABRT"),
    ],
)
def test_fate(tmp_path: Path, code: str, fate: str) -> None:
    done = run([PYTHON, "-c", code], log=tmp_path / "log", timeout=60)
    assert not done.ok
    assert done.fate == fate


def test_tail_bytes_cut_the_output(tmp_path: Path) -> None:
    done = run([PYTHON, "-c", "print('x' * 99)"], log=tmp_path / "l", timeout=60, tail_bytes=10)
    assert done.output == "x" * 9 + "\n"


@pytest.mark.parametrize(("sleep", "timeout"), [("600", 2.0), ("0", 60.0)])
def test_run_leaves_no_children(tmp_path: Path, sleep: str, timeout: float) -> None:
    pid = tmp_path / "pid"
    script = tmp_path / "script.py"
    script.write_text(SPAWN_AND_WAIT)
    done = run([PYTHON, script, pid, sleep], log=tmp_path / "log", timeout=timeout)
    assert done.timed_out == (sleep == "600")
    assert not done.timed_out or "no result after" in done.fate
    if pid.exists():  # a machine so slow that the child never started is no failure
        assert is_gone(int(pid.read_text()))


def test_capture_is_binary_both_ways() -> None:
    data = bytes(range(256)) * 1000
    code = (
        "import sys; sys.stdout.buffer.write(sys.stdin.buffer.read()); print('e', file=sys.stderr)"
    )
    done = capture([PYTHON, "-c", code], timeout=60, stdin=data)
    assert done.ok
    assert done.stdout == data
    assert done.stderr == "e\n"


def test_capture_times_out() -> None:
    done = capture([PYTHON, "-c", "import time; time.sleep(600)"], timeout=0.2)
    assert done.timed_out
    assert not done.ok


def test_environment_is_set_and_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_GONE", "1")
    code = "import os; print(os.getenv('HARNESS_NEW'), os.getenv('HARNESS_GONE'))"
    env = {"HARNESS_NEW": "x", "HARNESS_GONE": None}
    assert capture([PYTHON, "-c", code], timeout=60, env=env).text == "x None\n"
    assert os.environ["HARNESS_GONE"] == "1"


def test_without_a_path_children_look_where_their_program_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PATH")
    assert f"PATH={os.defpath}\n" in capture(["env"], timeout=60).text
    assert f"PATH={os.defpath}\n" in run(["env"], log=tmp_path / "log", timeout=60).output


def test_missing_program_and_directory_are_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="no-such-program: program not found"):
        run(["no-such-program"], log=tmp_path / "log", timeout=1)
    with pytest.raises(MachineError, match="nowhere: no such directory"):
        capture([PYTHON], timeout=1, cwd=tmp_path / "nowhere")
    plain = tmp_path / "plain"
    plain.write_text("")
    with pytest.raises(MachineError, match="chmod"):
        capture([plain], timeout=1)


@pytest.mark.parametrize(("number", "name"), [(11, "SIGSEGV"), (9, "SIGKILL"), (200, "signal 200")])
def test_signal_name(number: int, name: str) -> None:
    assert signal_name(number) == name


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_strays_are_known_by_a_variable() -> None:
    environment = {**os.environ, "HARNESS_TEST": "here"}
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with (
        subprocess.Popen(command, env=environment) as stray,
        subprocess.Popen(command, env={**environment, "HARNESS_TEST": "elsewhere"}) as other,
    ):
        end_strays("HARNESS_TEST", "here")
        assert stray.wait() == -signal.SIGKILL
        assert other.poll() is None
        other.kill()


def prints_and_sleeps(arguments: list[str]) -> int:
    pid, seconds = arguments
    print(os.environ["COLOUR"], flush=True)
    child = subprocess.Popen(["sleep", "600"])
    Path(pid).write_text(str(child.pid))
    time.sleep(float(seconds))
    return 3


def says_where_it_is(arguments: list[str]) -> int:
    def say(number: int, frame: object) -> None:
        print("here", flush=True)
        if arguments[0] == "ends":
            os._exit(0)

    signal.signal(signal.SIGTERM, say)
    while True:
        time.sleep(600)


def dies(arguments: list[str]) -> int:
    os.kill(os.getpid(), int(arguments[0]))
    return 0


@pytest.mark.parametrize(
    ("seconds", "timeout", "fate"),
    [("0", 60.0, "exit code 3"), ("600", 3.0, "no result after 3 s")],
)
def test_call_is_a_process_of_its_own(
    tmp_path: Path, seconds: str, timeout: float, fate: str
) -> None:
    pid = tmp_path / "pid"
    done = Processes().call(
        prints_and_sleeps,
        [pid, seconds],
        log=tmp_path / "log",
        timeout=timeout,
        env={"COLOUR": "grün"},
    )
    assert (done.fate, done.output) == (fate, "grün\n")
    assert (tmp_path / "log").read_text().startswith("$ ")
    assert is_gone(int(pid.read_text()))


@pytest.mark.parametrize("then", ["ends", "goes on"])
def test_call_whose_time_is_up_may_say_where_it_is(tmp_path: Path, then: str) -> None:
    done = Processes().call(says_where_it_is, [then], log=tmp_path / "log", timeout=3)
    assert (done.timed_out, done.output) == (True, "here\n")


def test_call_survives_the_death_of_what_it_calls(tmp_path: Path) -> None:
    fates = [
        Processes().call(dies, [number], log=tmp_path / "log", timeout=60).fate
        for number in ("4", "11", "9")
    ]
    assert fates == ["SIGILL", "SIGSEGV", "SIGKILL"]


def test_call_shows_what_went_wrong(tmp_path: Path) -> None:
    done = Processes().call(dies, ["nonsense"], log=tmp_path / "log", timeout=60)
    assert done.fate == f"exit code {EXIT_INTERNAL}"
    assert "invalid literal for int()" in done.output
