"""Words of the command line."""

from __future__ import annotations

from tests.hostile.case import MACHINE, TAKEN, USAGE, Hostile
from tests.hostile.making import (
    AUDIT,
    CONFIG,
    LIST,
    MATRIX_RUN,
    MODEL,
    at,
    directory,
    fifo,
    files,
    link,
    then,
    usual,
)

DIGITS = "9" * 5000
LONG = "n" * 100_000
RUN = at(c__toml=MODEL + CONFIG)
REPORTED = frozenset({0, 1, 4})


def _case(
    name: str, words: tuple[str, ...], *names: str, ends: frozenset[int] = USAGE, lines: int = 1
) -> Hostile:
    return Hostile(
        id=f"command-line/{name}",
        kind="command line",
        words=words,
        make=RUN,
        names=names,
        ends=ends,
        lines=lines,
    )


def _each(
    prefix: str,
    words: tuple[str, ...],
    option: str,
    values: dict[str, str],
    ends: frozenset[int] = USAGE,
) -> tuple[Hostile, ...]:
    """Return a case for each value of an option, which must be named."""
    return tuple(
        _case(f"{prefix}/{name}", (*words, f"{option}={value}"), option, ends=ends)
        for name, value in values.items()
    )


NUMBERS = {
    "zero": "0",
    "negative": "-1",
    "huge": str(2**63),
    "digits": DIGITS,
    "half": "0.5",
    "text": "many",
    "empty": "",
}
FLOATS = {
    "nan": "nan",
    "infinite": "inf",
    "overflow": "1e999",
    "negative": "-1",
    "text": "much",
    "empty": "",
}
SWEEP = ("sweep", "--list", "--layers", "ReLU", "--config", "c.toml")
REPRODUCER = ("reproducer", "--config", "c.toml", "--bad", "20250503", "--no-check")
CASE = (*REPRODUCER, "--case", "ReLU::3")
STORE = ("store", "--builds", "builds")

_NUMBERS = (
    *_each("jobs", MATRIX_RUN, "--jobs", NUMBERS),
    *_each("threads", AUDIT, "--threads", NUMBERS),
    *_each("shards", ("ci-matrix", "--config", "c.toml"), "--shards", NUMBERS),
    *_each(
        "shard",
        LIST,
        "--shard",
        {
            **NUMBERS,
            "none": "0/1",
            "beyond": "2/1",
            "digits": f"{DIGITS}/{DIGITS}",
            "three": "1/1/1",
        },
    ),
    *_each("cases", SWEEP, "--cases", {k: v for k, v in NUMBERS.items() if k != "huge"}),
    *_each("seed", SWEEP, "--seed", {"negative": "-1", "digits": DIGITS, "text": "x"}),
    *_each("budget", SWEEP, "--budget", {**FLOATS, "days": "1d", "overflow": "1e999h"}),
    *_each("limit", STORE, "--limit", FLOATS),
    *_each("prune-to", STORE, "--prune-to", FLOATS),
    *_each("error", CASE, "--limit", FLOATS),
    *_each("kib", CASE, "--max-kib", {**NUMBERS, "huge": "-9223372036854775808"}),
)

_WORDS = (
    _case("no-command", (), "COMMAND"),
    _case("unknown-command", ("matrxi",), "matrxi"),
    _case("command-escape", ("\x1b[31m",), "COMMAND|invalid choice|argument 1,"),
    _case("empty-command", ("",), "COMMAND|invalid choice|argument 1,"),
    _case("unknown-option", (*LIST, "--verbos1"), "--verbos1"),
    _case("option-escape", (*LIST, "--\x1b]0;pwned\x07"), "control character"),
    _case("json-without-list", (*MATRIX_RUN, "--json"), "--json"),
    _case("ten-thousand-words", (*LIST, *["--only=*"] * 10_000), ends=TAKEN),
)

_SELECTORS = tuple(
    _case(f"{option.strip('-')}/{name}", (*LIST, f"{option}={pattern}"), option)
    for option in ("--only", "--skip")
    for name, pattern in {
        "empty": "",
        "nothing": "nothing*",
        "bracket": "[",
        "range": "[z-a]",
        "escape": "\x1b[2J",
        "newline": "a\nb",
        "bidi": "\u202e*",
        "surrogate": "\udcff",
        "long": LONG,
        "stars": "*a" * 60 + "b",
        "brackets": "[" * 5000,
    }.items()
)

_AXES = (
    *_each(
        "version",
        LIST,
        "--version",
        {
            "slash": "a/b",
            "up": "../../pwned",
            "empty": "",
            "space": " ",
            "escape": "\x1b[31m",
            "newline": "2025\n0503",
            "long": LONG,
            "surrogate": "\udcff",
        },
    ),
    *_each(
        "flags",
        LIST,
        "--flags",
        {
            "empty": "",
            "unknown": "avx3",
            "commas": ",,,",
            "no-set": "NCNN_INT8=OFF",
            "two": "avx2,sse2",
            "escape": "\x1b[31m",
            "no-key": "avx2,=OFF",
            "key-with-spaces": "avx2,A -P x=1",
            "key-newline": "avx2,A\nB=1",
            "value-newline": "avx2,NCNN_INT8=O\nN",
        },
    ),
    *_each(
        "run",
        LIST,
        "--run",
        {
            "unknown": "bf61",
            "digits": f"use_x={DIGITS}",
            "too-large": f"use_x={2**63}",
            "arabic": "use_x=١",
            "text": "use_x=yes",
            "empty-value": "use_x=",
            "no-key": "=1",
            "threads-zero": "num_threads=0",
            "threads-negative": "num_threads=-1",
            "threads-huge": f"num_threads={2**40}",
            "escape": "\x1b[31m=1",
            "when": "options set=never",
        },
    ),
    *_each(
        "converter",
        LIST,
        "--converter",
        {"up": "pnnx ../../x", "arabic": "pnnx 2025٠503", "empty-word": "pnnx ", "other": "tflite"},
    ),
    *_each(
        "shape",
        (*AUDIT,),
        "--shape",
        {
            "empty": "",
            "zero": "0x3",
            "negative": "-1x3",
            "seventy-axes": "x".join(["2"] * 70),
            "huge": "9223372036854775808x9223372036854775808",
            "digits": DIGITS,
            "arabic": "x=٣x٣",
            "half": "1.5x2",
            "unknown-blob": "nope=3x3",
            "mixed": "1,3x3",
            "overflow": "65536x65536x65536",
        },
    ),
    *_each(
        "audit-version",
        AUDIT,
        "--version",
        {
            "words": "main",
            "month": "20251301",
            "arabic": "２０２５０５０３",
            "empty": "",
            "long": LONG,
        },
    ),
    *_each(
        "layers",
        ("sweep", "--list", "--config", "c.toml"),
        "--layers",
        {
            "unknown": "Softmx",
            "empty": "",
            "bracket": "[",
            "escape": "\x1b[31m",
            "long": LONG,
        },
    ),
    *_each("name", CASE, "--commit", {"shell": "$(touch pwned)", "escape": "\x1b[31m"}),
)

_OUTSIDE = (
    _case(
        "reproducer-name-up", (*CASE, "--out=results/o", "--name=../../pwned"), ends=USAGE | TAKEN
    ),
    _case("reproducer-name-long", (*CASE, "--out=results/o", f"--name={LONG}"), ends=USAGE | TAKEN),
    _case("reproducer-name-up-by-default", (*CASE, "--name=../../../pwned"), ends=USAGE | TAKEN),
    _case(
        "reproducer-name-c++",
        (*CASE, "--out=results/o", '--name=*/ "; system("x")'),
        ends=USAGE | TAKEN,
    ),
    _case("report-of-root", ("report", "/"), "/"),
    _case("report-of-null", ("report", "/dev/null"), "/dev/null"),
    _case("report-of-nothing", ("report",), "results", "nox -s matrix"),
    _case("report-of-escape", ("report", "\x1b[31m"), "control character"),
    _case("compare-nothing", ("report", "--compare", "nowhere"), "results|nowhere"),
    _case("store-that-is-none", ("store", "--builds", "home", "--prune-to=0"), "home"),
    _case("store-that-is-a-file", ("store", "--builds", "c.toml"), r"c\.toml"),
    _case("store-absent", ("store", "--builds", "nowhere"), "nowhere"),
    _case("store-null", ("store", "--builds", "/dev/null"), "/dev/null"),
    _case("store-of-the-system", ("store", "--builds", "/usr", "--prune-to=0"), "/usr"),
    _case(
        "builds-is-a-file", (*MATRIX_RUN, "--builds", "c.toml"), r"c\.toml", ends=USAGE | MACHINE
    ),
    _case(
        "builds-is-null", (*MATRIX_RUN, "--builds", "/dev/null"), "/dev/null", ends=USAGE | MACHINE
    ),
    _case("builds-is-long", (*MATRIX_RUN, "--builds", "b" * 300), "bbb", ends=USAGE | MACHINE),
    _case("results-is-a-file", (*MATRIX_RUN, "--results", "c.toml"), ends=USAGE | MACHINE),
    _case("results-is-full", (*MATRIX_RUN, "--results", "/dev/full"), ends=USAGE | MACHINE),
    _case("corpus-is-a-file", (*AUDIT[:6], "c.toml", *AUDIT[7:]), r"c\.toml"),
    _case("corpus-is-absent", (*AUDIT[:6], "nowhere", *AUDIT[7:]), "nowhere"),
    _case(
        "bin-without-param", ("audit", "--version=20250503", "--bin=x", "--config=c.toml"), "--bin"
    ),
    _case("repo-of-nobody", (*MATRIX_RUN, "--repo", "~nobody-at-all/x"), ends=USAGE | MACHINE),
    _case("repo-ext", (*MATRIX_RUN, "--repo", "ext::sh -c 'touch builds/x'"), ends=USAGE | MACHINE),
    _case("repo-fd", (*MATRIX_RUN, "--repo", "fd::0"), ends=USAGE | MACHINE),
    _case("repo-option", (*MATRIX_RUN, "--repo=--upload-pack=touch"), ends=USAGE | MACHINE),
    _case(
        "repo-ssh-option", (*MATRIX_RUN, "--repo=ssh://-oProxyCommand=x/y"), ends=USAGE | MACHINE
    ),
    _case("repo-null", (*MATRIX_RUN, "--repo=/dev/null"), "/dev/null", ends=USAGE | MACHINE),
    _case("repo-escape", (*MATRIX_RUN, "--repo=\x1b[31m"), ends=USAGE | MACHINE),
    _case("repo-closed-port", (*MATRIX_RUN, "--repo=http://127.0.0.1:1/x"), "127", ends=MACHINE),
    _case("bisect-without-a-range", ("bisect", "--config", "c.toml"), ends=MACHINE),
    _case(
        "bisect-step-no-clone",
        ("bisect-step", "--config", "c.toml", "--threshold=1"),
        "not a git repository",
        ends=frozenset({128 + 2, 128 + 3}),
    ),
    _case(
        "bisect-step-nan",
        ("bisect-step", "--config", "c.toml", "--threshold=nan"),
        "--threshold",
        ends=frozenset({2, 128 + 2}),
    ),
    _case("diagnose-nothing", ("diagnose", "--config", "c.toml"), ends=MACHINE),
    _case("version-is-fine", (*LIST, "--version=20250503"), ends=TAKEN),
    _case("skip-all", (*MATRIX_RUN, "--skip=*"), "--skip"),
)

_ONNX = tuple(
    Hostile(
        id=f"command-line/onnx/{name}",
        kind="command line",
        words=(*LIST, f"--onnx={path}"),
        make=then(usual, make),
        names=(pattern,),
    )
    for name, path, make, pattern in (
        ("directory", ".", files(), r"place|hostile|: "),
        ("absent", "nowhere.onnx", files(), "nowhere.onnx"),
        ("null", "/dev/null", files(), "/dev/null"),
        ("zero", "/dev/zero", files(), "/dev/zero"),
        ("full", "/dev/full", files(), "/dev/full"),
        ("pipe", "p.onnx", fifo("p.onnx"), r"p\.onnx"),
        ("circle", "l.onnx", link("l.onnx", "l.onnx"), r"l\.onnx"),
        ("folder", "d.onnx", directory("d.onnx"), r"d\.onnx"),
        ("nobody", "~nobody-at-all/m.onnx", files(), "nobody-at-all"),
        ("long", "n" * 5000, files(), "nnn"),
        ("escape", "\x1b[31m.onnx", files(), "onnx"),
        ("surrogate", "\udcff.onnx", files(), "onnx"),
    )
)

_OUT = tuple(
    Hostile(
        id=f"command-line/out/{name}",
        kind="command line",
        words=("report", "results/r", *words),
        make=files(),
        ends=ends,
    )
    for name, words, ends in (
        ("no-run", ("--out", "results"), USAGE),
        ("junit-no-run", ("--junit", "results"), USAGE),
    )
)

CASES = (*_NUMBERS, *_WORDS, *_SELECTORS, *_AXES, *_OUTSIDE, *_ONNX, *_OUT)
