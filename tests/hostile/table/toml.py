"""Configuration files, as `matrix --list` reads them."""

from __future__ import annotations

from tests.hostile.case import FETCHED, TAKEN, USAGE, Hostile
from tests.hostile.making import (
    CONFIG,
    INPUTS,
    LIST,
    MATRIX,
    MATRIX_RUN,
    MODEL,
    at,
    config,
    directory,
    fifo,
    link,
    sparse,
)

DIGITS = "9" * 5000
C = r"c\.toml"


def _case(
    name: str,
    text: str | bytes,
    *names: str,
    ends: frozenset[int] = USAGE,
    words: tuple[str, ...] = LIST,
) -> Hostile:
    shown = repr(text.replace(CONFIG, "…") if isinstance(text, str) else text)
    return Hostile(
        id=f"toml/{name}",
        kind="TOML",
        words=words,
        make=at(c__toml=text),
        shown=shown[:200],
        names=names,
        ends=ends,
        lines=20,
    )


def _inputs(text: str) -> str:
    return f"{MODEL}[inputs.a]\n{text}\n{MATRIX}"


def _matrix(text: str) -> str:
    base = {"versions": '["20250503"]', "flags": '["avx2"]', "runs": '["default"]'}
    key, _, value = text.partition(" = ")
    lines = (f"{name} = {given}" for name, given in {**base, key: value}.items())
    return INPUTS + "[matrix]\n" + "\n".join(lines) + "\n"


def _more(text: str) -> str:
    return f"{CONFIG}\n{text}\n"


_TEXTS = (
    _case("empty", "", C, "matrix"),
    _case("only-a-bom", b"\xef\xbb\xbf", C, "matrix"),
    _case("bom", b"\xef\xbb\xbf" + CONFIG.encode(), ends=TAKEN),
    _case("utf-16", CONFIG.encode("utf-16"), C, "UTF-8"),
    _case("latin-1", CONFIG.encode() + b"# caf\xe9\n", C, "UTF-8", "line 8|position"),
    _case("nul", CONFIG + "title = '\0'", C),
    _case("crlf", CONFIG.replace("\n", "\r\n"), ends=TAKEN),
    _case("lone-cr", CONFIG.replace("\n", "\r"), C),
    _case("next-line", CONFIG.replace("\n", "\x85"), C),
    _case("surrogate-escape", _more('title = "\\ud800"'), C),
    _case("surrogate-bytes", CONFIG.encode() + b'title = "\xed\xa0\x80"', C, "UTF-8"),
    _case(
        "escape-in-a-key", _more('["\\u001b[31mred"]\nx = 1'), C, "unknown key|control character"
    ),
    _case("newline-in-a-key", _more('["a\\nerror: b"]\nx = 1'), C, "unknown key"),
    _case("bidi-in-a-key", _more('["\\u202egnp.exe"]\nx = 1'), C, "unknown key"),
    _case("unterminated", CONFIG + 'title = "a', C, "line 8"),
    _case("duplicate-key", CONFIG + 'runs = ["bf16"]', C),
    _case("duplicate-table", CONFIG + CONFIG, C),
    _case("table-over-a-key", CONFIG + "[matrix.runs]\na = 1", C),
    _case("deep-arrays", f"title = {'[' * 5000}{']' * 5000}\n" + CONFIG, C),
    _case("deep-tables", f"a = {'{a=' * 5000}1{'}' * 5000}\n" + CONFIG, C),
    _case("deep-dots", f"{'a.' * 10_000}b = 1\n" + CONFIG, C),
    _case("deep-header", f"{CONFIG}[{'a.' * 10_000}b]\n", C),
    _case("digits", f"title = {DIGITS}\n" + CONFIG, C),
    _case("long-key", f"{CONFIG}[{'k' * 100_000}]\n", C),
    _case("ten-thousand-unknown-keys", "".join(f"k{i} = 1\n" for i in range(10_000)) + CONFIG, C),
    _case("no-toml", "matrix: {versions: [20250503]}\n", C, "line 1"),
    _case("json", '{"matrix": {}}', C, "line 1"),
    _case("pickle", b"\x80\x04\x95\x1a\x00cposix\nsystem\n(S'touch pwned'\ntR.", C),
    _case("only-matrix", MATRIX, C, "inputs"),
    _case("matrix-is-a-list", INPUTS + "[[matrix]]\nversions = []", C, "matrix"),
    _case("matrix-is-a-number", "matrix = 1\n" + INPUTS, C, "matrix"),
    _case("inputs-is-a-list", "inputs = []\n" + MATRIX, C, "inputs"),
    _case("date", "title = 2024-01-01\n" + CONFIG, C, "title"),
    _case("impossible-date", "title = 2024-02-31\n" + CONFIG, C),
)

_INPUTS = tuple(
    _case(f"input/{name}", _inputs(text), *names, words=MATRIX_RUN)
    for name, text, *names in (
        ("negative-seed", "random = -1\nshape = [1, 3]", r"inputs\.a\.random"),
        ("huge-seed", f"random = {2**300}\nshape = [1, 3]", r"inputs\.a\.random"),
        ("digits-of-a-seed", f"random = {DIGITS}\nshape = [1, 3]"),
        ("seed-is-true", "random = true\nshape = [1, 3]", r"inputs\.a\.random"),
        ("seed-is-half", "random = 0.5\nshape = [1, 3]", r"inputs\.a\.random"),
        ("seed-is-nan", "random = nan\nshape = [1, 3]", r"inputs\.a\.random"),
        ("no-shape", "random = 1", "shape"),
        ("empty-shape", "random = 1\nshape = []", "shape"),
        ("zero-axis", "random = 1\nshape = [1, 0]", "shape"),
        ("negative-axis", "random = 1\nshape = [1, -3]", "shape"),
        ("half-axis", "random = 1\nshape = [1, 2.5]", "shape"),
        ("huge-axis", "random = 1\nshape = [1, 9223372036854775808]", "shape"),
        ("overflow", "random = 1\nshape = [4294967296, 4294967296, 4294967296]", "shape"),
        ("wraps-to-zero", "random = 1\nshape = [4294967296, 4294967296]", "shape"),
        ("4-gib", "random = 1\nshape = [1, 3, 20000, 20000]", "shape"),
        ("seventy-axes", f"random = 1\nshape = {[1] * 70}", "shape"),
        ("hundred-thousand-axes", f"random = 1\nshape = {[1] * 100_000}", "shape"),
        ("shape-is-text", 'random = 1\nshape = "1x3"', "shape"),
        ("two-kinds", 'random = 1\ntext = "a"\nshape = [1, 3]', "exactly one"),
        ("no-kind", "shape = [1, 3]", "exactly one"),
        ("shapes-of-text", 'text = "a"\nshapes = {x = [1]}', "shapes"),
        ("hostile-shapes", "random = 1\nshapes = {x = [1, 0]}", "shape"),
        ("many-shapes", "random = 1\nshapes = {x = [2147483647, 2147483647]}", "shape"),
        ("mean-is-nan", 'image = "i.png"\nshape = [1, 3, 4, 4]\nmean = [nan]', "mean"),
        ("scale-is-inf", 'image = "i.png"\nshape = [1, 3, 4, 4]\nscale = [inf]', "scale"),
        ("mean-overflows", 'image = "i.png"\nshape = [1, 3, 4, 4]\nmean = [1e999]', "mean"),
        ("four-means", 'image = "i.png"\nshape = [1, 3, 4, 4]\nmean = [1, 2, 3, 4]', "mean"),
        ("order", 'image = "i.png"\nshape = [1, 3, 4, 4]\norder = "CMYK"', "order"),
        ("nul-in-image", 'image = "a\\u0000b"\nshape = [1, 3, 4, 4]', r"inputs\.a\.image"),
        ("nul-in-npy", 'npy = "\\u0000"', r"inputs\.a\.npy"),
    )
)

_NAMES = tuple(
    _case(f"name/{name}", text, C, *names)
    for name, text, *names in (
        ("version-slash", _matrix('versions = ["a/b"]'), r"matrix\.versions"),
        ("version-up", _matrix('versions = ["../../pwned"]'), r"matrix\.versions"),
        ("version-empty", _matrix('versions = [""]'), r"matrix\.versions"),
        ("version-nul", _matrix('versions = ["2025\\u0000"]'), r"matrix\.versions"),
        ("version-option", _matrix('versions = ["--upload-pack=x"]'), r"matrix\.versions"),
        ("version-number", _matrix("versions = [20250503]"), r"matrix\.versions"),
        ("version-nested", _matrix('versions = [["20250503"]]'), r"matrix\.versions"),
        ("no-versions", _matrix("versions = []"), r"matrix\.versions"),
        ("label-up", _more('[sources."../../pwned"]\nrevision = "x"\n'), "sources"),
        ("unknown-flags", _matrix('flags = ["avx3"]'), r"matrix\.flags", "avx3"),
        ("unknown-runs", _matrix('runs = ["bf61"]'), r"matrix\.runs", "bf61"),
        ("flags-escape", _matrix('flags = ["\\u001b[2J"]'), r"matrix\.flags"),
        ("flags-long", _matrix(f'flags = ["{"f" * 100_000}"]'), r"matrix\.flags"),
        ("one-at-a-time", _more("[runs.one-at-a-time]\n"), r"runs\.one-at-a-time"),
        ("files", _matrix('converters = ["pnnx ../../x"]'), "converters"),
        ("converter-digits", _matrix('converters = ["pnnx 20٢50530"]'), "converters"),
        ("model-name-empty", '[model]\nname = ""\n' + CONFIG, r"model\.name"),
    )
)

_INPUT_NAMES = tuple(
    _case(
        f"input-name/{name}",
        f"{MODEL}[inputs.{text}]\nrandom = 1\nshape = [1, 3]\n{MATRIX}",
        words=MATRIX_RUN,
        # Refused, or a label like any other, whose files have safe names.
        ends=USAGE | FETCHED,
    )
    for name, text in (
        ("up", '"../../x"'),
        ("absolute", '"/x"'),
        ("empty", '""'),
        ("slash", '"a/b"'),
        ("newline", '"a\\nb"'),
        ("escape", '"\\u001b[31mred"'),
        ("nul", '"\\u0000"'),
        ("bidi", '"\\u202egnp"'),
        ("next-line", '"a\\u0085b"'),
        ("long", f'"{"n" * 5000}"'),
        ("glob", '"*"'),
        ("markup", '"[bold]<script>"'),
    )
)

_MORE = tuple(
    _case(f"value/{name}", _more(text), C, *names)
    for name, text, *names in (
        ("memory-tiny", "[limits]\nmemory_gib = 1e-9", r"limits\.memory_gib"),
        ("memory-inf", "[limits]\nmemory_gib = inf", r"limits\.memory_gib"),
        ("memory-nan", "[limits]\nmemory_gib = nan", r"limits\.memory_gib"),
        ("memory-huge", "[limits]\nmemory_gib = 1e300", r"limits\.memory_gib"),
        ("run-inf", "[limits]\nrun_seconds = inf", r"limits\.run_seconds"),
        ("run-overflow", "[limits]\nrun_seconds = 1e999", r"limits\.run_seconds"),
        ("run-zero", "[limits]\nrun_seconds = 0", r"limits\.run_seconds"),
        ("run-minus-zero", "[limits]\nrun_seconds = -0.0", r"limits\.run_seconds"),
        ("run-huge", "[limits]\nrun_seconds = 1e300", r"limits\.run_seconds"),
        ("build-nan", "[limits]\nbuild_seconds = nan", r"limits\.build_seconds"),
        ("build-text", '[limits]\nbuild_seconds = "long"', r"limits\.build_seconds"),
        ("tolerance-nan", "[tolerance]\noutput = nan", r"tolerance\.output"),
        ("tolerance-inf", "[tolerance]\nlayer = inf", r"tolerance\.layer"),
        ("tolerance-negative", "[tolerance]\nlayer = -1", r"tolerance\.layer"),
        ("floors-inf", "[tolerance]\nfloors = inf", r"tolerance\.floors"),
        ("rules-nan", "[bisect.rules]\napart = nan", r"bisect\.rules"),
        ("rules-inf", "[bisect.rules]\nfloor = inf", r"bisect\.rules"),
        ("threads-zero", "[runs.t]\nthreads = 0", r"runs\.t\.threads"),
        ("threads-true", "[runs.t]\nthreads = true", r"runs\.t\.threads"),
        ("threads-huge", "[runs.t]\nthreads = 2147483648", r"runs\.t\.threads"),
        ("threads-digits", f"[runs.t]\nthreads = {DIGITS}"),
        ("option-huge", "[runs.t.options]\nx = 9223372036854775808", r"runs\.t\.options"),
        ("option-text", '[runs.t.options]\nx = "yes"', r"runs\.t\.options"),
        ("when", '[runs.t]\nwhen = "never"', r"runs\.t\.when"),
        ("flags-ring", '[flags.p]\nbase = "q"\n[flags.q]\nbase = "p"', "ring"),
        ("flags-own-base", '[flags.p]\nbase = "p"', "ring"),
        ("flags-no-base", '[flags.p]\nbase = "q"', "flags", "q"),
        ("flags-no-target", '[flags.p]\ntarget = "moon"', "moon"),
        ("flags-name-newline", '[flags.p.options]\n"A\\nB" = "1"', r"flags\.p"),
        ("flags-name-options", '[flags.p.options]\n"A -P x" = "1"', r"flags\.p"),
        ("flags-nul", '[flags.p]\ncxx_flags = "\\u0000"', r"flags\.p"),
        ("compiler-nul", '[flags.p]\ncompiler = "\\u0000"', r"flags\.p"),
        ("git-and-directory", '[source]\ngit = "a"\ndirectory = "b"', "source"),
        ("git-ext", """[source]\ngit = "ext::sh -c 'touch builds/pwned'" """, "source"),
        ("git-option", '[source]\ngit = "--upload-pack=touch"', "source"),
        ("git-nul", '[source]\ngit = "\\u0000"', "source"),
        ("directory-nul", '[source]\ndirectory = "\\u0000"', "source"),
        ("revision-option", '[sources.a]\nrevision = "--output=x"', "sources"),
        ("exclude-unknown", '[matrix.exclude]\nname = "x"', "matrix"),
        ("reference", '[model]\nreference = "python"', r"model\.reference"),
        ("param-alone", '[model]\nparam = "m.param"', "param and bin"),
        ("param-nul", '[model]\nparam = "\\u0000"\nbin = "b"\nreference = "ncnn"', r"model\.param"),
        ("names-number", '[model]\nonnx = "m.onnx"\nnames = {a = 1}', r"model\.names"),
        ("title-number", "[limits]\ntitle = 1", r"limits\.title"),
    )
)

_PLACES = tuple(
    Hostile(
        id=f"toml/place/{name}",
        kind="TOML",
        words=("matrix", "--list", "--config", path),
        make=make,
        names=(pattern,),
    )
    for name, path, make, pattern in (
        ("directory", "c.toml", directory("c.toml"), C),
        ("pipe", "c.toml", fifo("c.toml"), C),
        ("link-in-a-circle", "c.toml", link("c.toml", "c.toml"), C),
        ("link-to-nowhere", "c.toml", link("c.toml", "nowhere"), C),
        ("link-to-zero", "c.toml", link("c.toml", "/dev/zero"), C),
        ("absent", "no.toml", config(""), r"no\.toml"),
        ("null", "/dev/null", config(""), "/dev/null"),
        ("zero", "/dev/zero", config(""), "/dev/zero"),
        ("full", "/dev/full", config(""), "/dev/full"),
        ("random", "/dev/urandom", config(""), "/dev/urandom"),
        ("memory", "/proc/self/mem", config(""), "/proc/self/mem"),
        ("empty-name", "", config(""), "."),
        ("long-name", "n" * 300, config(""), "nnn"),
        ("long-path", "/".join(["n" * 200] * 30), config(""), "nnn"),
        ("escape-in-the-name", "\x1b[31m.toml", config(""), "toml"),
        ("newline-in-the-name", "a\nb.toml", config(""), "toml"),
        ("sparse-terabyte", "c.toml", sparse("c.toml"), C),
    )
)


_TAKEN = tuple(
    _case(f"taken/{name}", _more(text), ends=TAKEN)
    for name, text in (
        ("combining", '[runs.t]\nsummary = "e\u0301\u0301\u0301"'),
        ("bidi-summary", '[runs.t]\nsummary = "\u202egnp"'),
        ("zero-sized-emoji", '[runs.t]\nsummary = "\U0001f468\u200d\U0001f469"'),
        ("many-sets", "".join(f"[runs.r{i}]\nsummary = 'x'\n" for i in range(2000))),
        ("lots-of-comment", "#" * 2_000_000),
        ("integers", "[runs.t.options]\na = 0x7fff\nb = 1_000\nc = -0"),
    )
)

CASES = (*_TEXTS, *_INPUTS, *_NAMES, *_INPUT_NAMES, *_MORE, *_PLACES, *_TAKEN)
