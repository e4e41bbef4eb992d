"""The process from its start to its end: signals and standard streams."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

import harness
from harness.util.errors import EXIT_INTERRUPTED
from harness.util.interruption import INTERRUPTED

LIST = [sys.executable, "-m", "harness", "matrix", "--list"]
CONFIG = '[matrix]\nversions = ["1"]\nflags = ["avx2"]\nruns = ["default"]\n'


def config(tmp_path: Path, inputs: int) -> str:
    path = tmp_path / "c.toml"
    tables = (f"[inputs.'é{at}']\nrandom = 1\nshape = [3]\n" for at in range(inputs))
    path.write_text(CONFIG + "".join(tables), encoding="utf-8")
    return f"--config={path}"


@pytest.mark.parametrize(
    ("shell", "inputs", "code", "told"),
    [
        ("{} | head -1 >&2; exit ${{PIPESTATUS[0]}}", 20_000, 141, "1-avx2/default/é0\n"),
        ("{} >&-", 1, 0, ""),
        (
            "mkdir gone && cd gone && rmdir ../gone && {}",
            1,
            3,
            "error[E01]: the current directory is",
        ),
        ("{} >&- 2>&- <&-", 1, 0, ""),
        ("{} >/dev/full", 1, 3, "error[E03]: standard output: cannot be written (No space left"),
        ("{} --nosuch 2>/dev/full", 1, 2, ""),
        ("PYTHONIOENCODING=ascii {} >&2", 1, 0, "1-avx2/default/\\xe90\n"),
        ("LC_ALL=C {} >&2", 1, 0, "1-avx2/default/"),
        ("PYTHONIOENCODING=ascii {} --only ü", 1, 2, "error[U04]: --only '\\xfc' matches none"),
    ],
)
def test_standard_streams(shell: str, inputs: int, code: int, told: str, tmp_path: Path) -> None:
    command = shell.format(" ".join([*LIST, config(tmp_path, inputs)]))
    env = {**os.environ, "PYTHONPATH": str(Path(harness.__file__).parents[1])}
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, check=False, cwd=tmp_path, env=env
    )
    assert done.returncode == code
    assert done.stderr.decode().startswith(told)
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr


EARLY = """\
import os, signal, sys
import harness.util.interruption as interruption
{}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{}":
            os.kill(os.getpid(), signal.{})
sys.meta_path.insert(0, Finder())
sys.argv[1:] = ["matrix", "--list", sys.argv[1]]
from harness.__main__ import main
sys.exit(main())
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("module", ["argparse", "rich.console", "numpy"])
def test_interrupted_while_it_starts(number: str, module: str, tmp_path: Path) -> None:
    script = EARLY.format("", module, number)
    done = subprocess.run(
        [sys.executable, "-c", script, config(tmp_path, 1)], capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"interrupted\n")


def test_codes_agree() -> None:
    assert INTERRUPTED == EXIT_INTERRUPTED


def test_what_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    ignored = "signal.signal(signal.SIGHUP, signal.SIG_IGN)"
    script = EARLY.format(ignored, "numpy", "SIGHUP")
    done = subprocess.run(
        [sys.executable, "-c", script, config(tmp_path, 1)], capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")


AT_WORK = """\
import os, signal, subprocess, sys, time
import harness.util.interruption as interruption
interruption.PATIENCE_SECONDS = {patience}
interruption.raise_when_asked()
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(child.pid, flush=True)
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    os.kill(os.getpid(), signal.SIGTERM)
    child.kill()
    print("tidied")
    sys.exit(7)
"""


@pytest.mark.parametrize(
    ("patience", "code", "said"),
    [(3600, 7, "tidied"), (0, 130, "interrupted twice")],
)
def test_asked_twice(patience: float, code: int, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_WORK.format(patience=patience)],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert _ended(int(done.stdout.split()[0]))


def test_little_processor_time_is_told(tmp_path: Path) -> None:
    script = (
        "import harness.commands.matrix as m, sys\n"
        "def work(options):\n"
        "    while True: pass\n"
        "m.execute = work\n"
        f"sys.argv[1:] = ['matrix', {config(tmp_path, 1)!r}]\n"
        "from harness.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        ["bash", "-c", f"ulimit -t 5; exec {sys.executable} -c {shlex.quote(script)}"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert (done.returncode, done.stderr[:11]) == (3, "error[E12]:")
    assert "ulimit -t" in done.stderr


def _ended(number: int) -> bool:
    """Wait until a process has ended, as one does soon that was killed."""
    for _ in range(1000):
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


def test_a_mistake_of_the_harness_is_one_line(tmp_path: Path) -> None:
    script = (
        "import sys, harness.commands.matrix as m\n"
        "m.selected = lambda *_: {}[1]\n"
        f"sys.argv[1:] = ['matrix', '--results={tmp_path}']\n"
        "from harness.__main__ import main\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, check=False, text=True
    )
    (saved,) = tmp_path.iterdir()
    assert done.returncode == 70
    assert done.stderr.startswith(
        "internal error[X01]: KeyError: 1. This is a mistake in the harness"
    )
    assert str(saved) in done.stderr
    assert "KeyError" in saved.read_text()
