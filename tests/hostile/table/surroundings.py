"""Environment variables, pip's configuration, and standard streams."""

from __future__ import annotations

from tests.hostile.case import FETCHED, MACHINE, TAKEN, USAGE, Hostile
from tests.hostile.making import CONFIG, LIST, MATRIX_RUN, MODEL, at, directory, fifo, files, then
from tests.hostile.table.records import LINE, run

PIP = USAGE | MACHINE


def _variable(
    name: str,
    value: str,
    *names: str,
    short: str = "",
    words: tuple[str, ...] = LIST,
    ends: frozenset[int] = TAKEN,
    program: bool = True,
) -> Hostile:
    return Hostile(
        id=f"environment/{name.lower()}/{short or value or 'empty'}",
        kind="environment variable",
        words=words,
        make=at(c__toml=MODEL + CONFIG + '[runs."é中"]\nsummary = "é中"\n'),
        env={name: value},
        shown=f"{name}={value}"[:200],
        names=names,
        ends=ends,
        program=program,
        seconds=60.0,
    )


UNICODE = (*LIST, "--run=é中")
_LOCALES = tuple(
    _variable(name, value, words=UNICODE)
    for name, value in (
        ("PYTHONIOENCODING", "ascii"),
        ("PYTHONIOENCODING", "latin-1"),
        ("LC_ALL", "C"),
        ("LC_ALL", "nonsense"),
        ("PYTHONUTF8", "0"),
        ("TERM", "nonsense"),
        ("COLUMNS", "0"),
        ("COLUMNS", "-1"),
        ("COLUMNS", "many"),
        ("COLUMNS", "99999999999999999999"),
        ("HOME", ""),
        ("HOME", "/nonexistent"),
        ("TZ", "Nowhere/Nowhere"),
        ("PYTHONWARNINGS", "error"),
    )
)
_PLACES = tuple(
    # Nor is any other place writable where Python looks for one.
    _variable("TMPDIR", value, words=MATRIX_RUN, ends=FETCHED | USAGE, short=name)
    for name, value in (
        ("absent", "/nonexistent"),
        ("file", "{here}/c.toml"),
        ("null", "/dev/null"),
    )
)
_PIP = tuple(
    _variable(name, value, words=MATRIX_RUN, ends=PIP, program=False, short=value[:30])
    for name, value in (
        ("PIP_TIMEOUT", "nan"),
        ("PIP_TIMEOUT", "inf"),
        ("PIP_TIMEOUT", "-1"),
        ("PIP_TIMEOUT", "soon"),
        ("PIP_INDEX_URL", "ext::sh"),
        ("PIP_INDEX_URL", "file:///dev/zero"),
        ("PIP_INDEX_URL", "http://127.0.0.1:1/"),
        ("PIP_INDEX_URL", "http://[::1"),
        ("PIP_FIND_LINKS", "/dev/zero"),
        ("PIP_FIND_LINKS", "/proc/self/fd"),
        ("PIP_CERT", "/dev/zero"),
        ("PIP_PROXY", "nonsense"),
        ("PIP_CONFIG_FILE", "/dev/zero"),
        ("PIP_CONFIG_FILE", "/proc/self/mem"),
    )
)
_PIP_FILES = tuple(
    Hostile(
        id=f"environment/pip-conf/{name}",
        kind="environment variable",
        words=MATRIX_RUN,
        make=then(at(c__toml=MODEL + CONFIG), make),
        env={"PIP_CONFIG_FILE": "{here}/pip.conf", "PIP_NO_INDEX": "1"},
        shown=f"pip.conf: {name}",
        ends=PIP,
    )
    for name, make in (
        ("no-section", files(pip__conf="index-url = x\n")),
        ("twice", files(pip__conf="[global]\na = 1\n[global]\na = 2\n")),
        ("nul", files(pip__conf=b"\0" * 100)),
        ("latin-1", files(pip__conf=b"[global]\nindex-url = caf\xe9\n")),
        ("timeout", files(pip__conf="[global]\ntimeout = soon\n")),
        ("percent", files(pip__conf="[global]\nindex-url = %(x)s\n")),
        ("directory", directory("pip.conf")),
        ("pipe", fifo("pip.conf")),
    )
)
_COMPILERS = tuple(
    Hostile(
        id=f"environment/compiler/{name}",
        kind="environment variable",
        words=MATRIX_RUN,
        make=then(at(c__toml=MODEL + CONFIG), files(**{"programs_IN_c++": script})),
        shown=script,
        ends=MACHINE,
        # One that says nothing, or nonsense, is found out when it compiles.
        names=(r"c\+\+",) if name == "no-program" else (),
    )
    for name, script in (
        ("mute", "#!/bin/sh\n"),
        ("fails", "#!/bin/sh\nexit 1\n"),
        ("binary", "#!/bin/sh\nhead -c 100000 /dev/urandom\n"),
        ("endless-words", "#!/bin/sh\nyes | head -c 300000000\n"),
        ("ends-by-signal", "#!/bin/sh\nkill -9 $$\n"),
        ("no-program", "nonsense"),
    )
)
_SUMMARY = tuple(
    Hostile(
        id=f"environment/summary/{name}",
        kind="environment variable",
        words=("report", "results/r", "--github-summary"),
        make=run(f"{LINE}\n"),
        env={"GITHUB_STEP_SUMMARY": value},
        shown=f"GITHUB_STEP_SUMMARY={value}",
        ends=PIP,
        names=(named,),
        # It is where the user wants it: the mounts alone tell what else is tried.
        program=True,
    )
    for name, value, named in (
        ("directory", "{here}/results", "results"),
        ("full", "/dev/full", "/dev"),
        ("empty", "", "GITHUB_STEP_SUMMARY"),
    )
)
_STREAMS = tuple(
    Hostile(
        id=f"streams/{name}/{stdout}",
        kind="standard streams",
        words=words,
        make=then(at(c__toml=MODEL + CONFIG), run(f"{LINE}\n")),
        stdout=stdout,
        shown=f"stdout: {stdout}",
        # Nobody hears the answer: that is told, but for a reader that has had enough.
        ends=frozenset({0, 3, 128 + 13}) if stdout != "full" else frozenset({3}),
        program=True,
        seconds=60.0,
    )
    for name, words in (
        ("list", LIST),
        ("report", ("report", "results/r")),
        ("help", ("matrix", "--help")),
        ("version", ("--version",)),
    )
    for stdout in ("closed", "full", "pipe")
)

CASES = (*(*_LOCALES, *_PLACES, *_PIP, *_PIP_FILES, *_COMPILERS, *_SUMMARY, *_STREAMS),)
