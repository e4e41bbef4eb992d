"""Compilers that hang, crash, lie, chatter, or leave children behind."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from faults.fault import SAME, Fault, Start, nothing

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.run import Ended
    from faults.stage import Stage

_REAL = """\
import hashlib, os, signal, subprocess, sys, time
REAL = "{real}"
args = sys.argv[1:]
compiles = "-c" in args
asks = "--version" in args
def real():
    os.execv(REAL, [REAL, *args])
"""
COMPILERS = ("c++", "g++", "cc", "gcc", "clang++", "clang")


def _compiler(code: str, *words: str, patience: float = 200.0) -> Callable[[Stage], Ended]:
    """Return what puts programs in front of all compilers, which run this code first."""

    def strike(stage: Stage) -> Ended:
        folder = stage.scratch("bin")
        for name in COMPILERS:
            real = shutil.which(name)
            if real:
                text = _REAL.format(real=real) + code + "\nreal()\n"
                stage.program(name, text.replace("HERE", repr(str(folder))))
        path = f"{folder}:{stage.environment()['PATH']}"
        return stage.run(*words, env={"PATH": path}, patience=patience)

    return strike


def _limit(seconds: float) -> Callable[[Stage], None]:
    def set_limit(stage: Stage) -> None:
        path = stage.model / stage.config
        text = path.read_text(encoding="utf-8")
        path.write_text(
            text.replace("build_seconds = 200", f"build_seconds = {seconds}"), encoding="utf-8"
        )

    return set_limit


def _with_limit(seconds: float, strike: Callable[[Stage], Ended]) -> Callable[[Stage], Ended]:
    def limited(stage: Stage) -> Ended:
        _limit(seconds)(stage)
        return strike(stage)

    return limited


def _unlimited(stage: Stage) -> None:
    path = stage.model / stage.config
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("build_seconds = 12", "build_seconds = 200"), encoding="utf-8")


def _none(stage: Stage) -> Ended:
    """Run where no compiler is on PATH."""
    folder = stage.scratch("empty")
    return stage.run(env={"PATH": str(folder)})


def _fault(
    name: str,
    how: str,
    expected: str,
    strike: Callable[[Stage], Ended],
    *,
    codes: tuple[int, ...] = (SAME, 1, 3),
    says: str = "",
    start: Start = "fetched",
    mend: Callable[[Stage], None] = nothing,
) -> Fault:
    return Fault(
        id=f"compiler-{name}",
        kind="compiler",
        where="the compiler",
        how=how,
        expected=expected,
        strike=strike,
        codes=codes,
        says=says,
        start=start,
        accuses=True,
        mend=mend,
        # The next run has another compiler, and what that compiles is measured anew.
        loses=True,
    )


BLAMED = (
    "the build is called failed with the compiler's words, and is made again by another compiler"
)
FAULTS = (
    _fault(
        "hangs-when-asked",
        "it hangs on `--version`",
        "it ends with one line that names the compiler",
        _compiler("if asks: time.sleep(3600)"),
        codes=(3,),
        says="version|answer|hang",
    ),
    _fault(
        "says-nothing",
        "it prints nothing on `--version` and ends with 0",
        "it ends with one line that names the compiler",
        _compiler("if asks: sys.exit(0)"),
        codes=(3,),
        says="version|answer|compiler",
    ),
    _fault(
        "fails-when-asked",
        "it fails on `--version`",
        "it ends with one line that names the compiler",
        _compiler("if asks: sys.exit('no licence')"),
        codes=(3,),
        says="version|compiler|licence",
    ),
    _fault(
        "hangs",
        "it hangs while it compiles; a step may take 12 seconds",
        "the build is ended when its time is up; nothing is left running",
        _with_limit(12, _compiler("if compiles: time.sleep(3600)")),
        codes=(1, 3),
        mend=_unlimited,
    ),
    _fault(
        "ignores-signals",
        "it hangs, ignores every signal that can be, and has children in sessions of their own",
        "the build is ended when its time is up; nothing is left running",
        _with_limit(
            12,
            _compiler(
                "if compiles:\n"
                "    for n in (1, 2, 13, 15): signal.signal(n, signal.SIG_IGN)\n"
                "    if os.fork() == 0: os.setsid()\n"
                "    while True: time.sleep(1)"
            ),
        ),
        codes=(1, 3),
        mend=_unlimited,
    ),
    _fault(
        "crashes-at-random",
        "it ends by SIGSEGV on a quarter of all files",
        BLAMED,
        _compiler(
            "if compiles and hashlib.sha256(args[-1].encode()).digest()[0] < 64:\n"
            "    os.kill(os.getpid(), 11)"
        ),
        codes=(1, 3),
    ),
    _fault(
        "crashes-once",
        "it ends by SIGSEGV on its first file only",
        "the build is made without shortcuts, or called failed and made again",
        _compiler(
            "if compiles:\n"
            "    try: os.close(os.open(HERE + '/once', os.O_CREAT | os.O_EXCL))\n"
            "    except FileExistsError: real()\n"
            "    os.kill(os.getpid(), 11)"
        ),
    ),
    _fault(
        "prints-gigabytes",
        "it prints 2 GiB on its first file",
        "the log is bounded, and so is memory; the build is fine, or called failed",
        _compiler(
            "if compiles:\n"
            "    try: os.close(os.open(HERE + '/once', os.O_CREAT | os.O_EXCL))\n"
            "    except FileExistsError: real()\n"
            "    for _ in range(2048): os.write(2, b'warning: x\\n' * 95325)"
        ),
    ),
    _fault(
        "prints-bytes",
        "it prints zeros, escape sequences and bytes that are no UTF-8 on every file",
        "the build is fine",
        _compiler("if compiles: os.write(2, b'\\0\\xff\\x1b[2J\\x1b]0;x\\x07' * 1000 + b'\\n')"),
    ),
    _fault(
        "writes-nothing",
        "it ends with 0 and writes no object file",
        BLAMED,
        _compiler("if compiles: sys.exit(0)"),
        codes=(1, 3),
    ),
    _fault(
        "writes-garbage",
        "it ends with 0 and writes object files that are none",
        BLAMED,
        _compiler(
            "if compiles and '-o' in args:\n"
            "    open(args[args.index('-o') + 1], 'wb').write(b'garbage' * 999)\n"
            "    sys.exit(0)"
        ),
        codes=(1, 3),
    ),
    _fault(
        "deaf-to-errors",
        "it fails on every file without a word",
        BLAMED,
        _compiler("if compiles: sys.exit(1)"),
        codes=(1, 3),
    ),
    _fault(
        "leaves-children",
        "each leaves a child behind that runs on in a session of its own",
        "the build is fine, and the children are ended with it",
        _compiler(
            "if compiles and os.fork() == 0:\n"
            "    os.setsid()\n"
            "    for n in (0, 1, 2): os.close(n)\n"
            "    time.sleep(3600)"
        ),
    ),
    _fault(
        "eats-memory",
        "it takes memory without end",
        "it is stopped by a limit; the machine goes on",
        _with_limit(
            12,
            _compiler(
                "if compiles:\n"
                "    held = []\n"
                "    while len(held) < 6000:\n"
                "        held.append(b'x' * (1 << 20)); time.sleep(0.001)"
            ),
        ),
        codes=(1, 3),
        mend=_unlimited,
    ),
    _fault(
        "fills-disk",
        "it writes a file without end",
        "it is stopped by a limit",
        _with_limit(
            12,
            _compiler(
                "if compiles and '-o' in args:\n"
                "    with open(args[args.index('-o') + 1] + '.junk', 'wb') as f:\n"
                "        for _ in range(20000): f.write(b'x' * (1 << 20)); time.sleep(0.002)"
            ),
        ),
        codes=(1, 3),
        mend=_unlimited,
    ),
    _fault(
        "missing",
        "there is none on PATH",
        "it ends with one line that says how to install it",
        _none,
        codes=(3,),
        says="install",
    ),
)
