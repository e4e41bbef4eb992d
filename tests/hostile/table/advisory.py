"""Files of the corpus of known faults, as `audit` reads them."""

from __future__ import annotations

from typing import Any

from tests.advisories.entries import entry
from tests.hostile.case import USAGE, Hostile
from tests.hostile.making import AUDIT, at, corpus, directory, fifo, link, sparse, then
from tests.hostile.table.param import REPORTED

A = r"a\.toml"
PARAM = "7767517\n2 2\nInput x 0 1 x 0=7 1=3\nSoftmax r 1 1 x y 0=0\n"


def _case(name: str, text: str | bytes, *names: str, ends: frozenset[int] = USAGE) -> Hostile:
    return Hostile(
        id=f"advisory/{name}",
        kind="corpus advisory",
        words=(*AUDIT, "--threads=2"),
        make=at(m__param=PARAM, known_IN_a__toml=text),
        shown=repr(text)[:200],
        names=(A, *names) if ends == USAGE else (),
        ends=ends,
        lines=20,
    )


def _entry(name: str, *names: str, ends: frozenset[int] = USAGE, **changes: Any) -> Hostile:
    return _case(name, corpus(entry(**changes)), *names, ends=ends)


_FILES = (
    _case("empty", "", ends=REPORTED),
    _case("nul", "\0", A),
    _case("latin-1", corpus(entry()).encode() + b"# caf\xe9", "UTF-8"),
    _case("deep", "a = " + "[" * 5000 + "]" * 5000),
    _case("digits", "a = " + "9" * 5000),
    _case("not-a-list", "advisory = 1"),
    _case("list-of-numbers", "advisory = [1, 2]"),
    _case("table", "[advisory]\nid = 'x'"),
    _case("other-key", "x = 1\n" + corpus(entry()), "x"),
    _case("twice", corpus(entry(), entry()), "softmax-tail"),
    _case("id-is-a-list", "[[advisory]]\nid = ['a']\n", "id"),
    _case("id-missing", "[[advisory]]\ntitle = 'a'\n", "number 1"),
)
_FIELDS = (
    _entry("id-up", "id", id="../../pwned"),
    _entry("id-newline", "id", id="a\n"),
    _entry("id-escape", "id", id="\x1b[31m"),
    _entry("title-empty", "title", title=""),
    _entry("title-escape", ends=USAGE | REPORTED, title="\x1b[31mred\x1b[2J"),
    _entry("advice-markup", ends=REPORTED, advice="[bold]<script>alert(1)</script>"),
    _entry("advice-bidi", ends=USAGE | REPORTED, advice="\u202egnp.exe"),
    _entry("month", "bad", bad=["20251399"]),
    _entry("arabic", "bad", bad=["20٢50101"]),
    _entry("not-in-order", "bad", bad=["20250916", "20250428"]),
    _entry("both", "bad", good=["20250428"]),
    _entry("no-good", "good", good=[]),
    _entry("commit", "introduced", introduced="$(touch pwned)"),
    _entry("commit-newline", "introduced", introduced="07267f261\n"),
    _entry("other-case", "case", case="ReLU::3"),
    _entry("case-digits", "case", case="Softmax:0=" + "9" * 5000 + ":3"),
    _entry("expect", "expect", expect="fine"),
    _entry("error-nan", "error", error=float("nan")),
    _entry("error-infinite", "error", error=float("inf")),
    _entry("error-negative", "error", error=-1.0),
    _entry("arch", "arch", arch=["z80"]),
    _entry("no-arch", "arch", arch=[]),
    _entry("source", "source", source="javascript:alert(1)"),
    _entry("unknown", "nonsense", nonsense=1),
)
_CONDITIONS = tuple(
    _entry(f"when/{name}", when=when)
    for name, when in {
        "import": "__import__('os').system('touch pwned')",
        "attribute": "threads.__class__.__mro__",
        "lambda": "(lambda: 1)()",
        "comprehension": "[x for x in (1,) * 10]",
        "call": "open('/etc/passwd')",
        "unknown-name": "thread > 1",
        "syntax": "threads >",
        "assignment": "threads := 1",
        "statement": "threads; w",
        "nul": "threads\0 > 1",
        "newline": "threads\n > 1",
        "deep-brackets": "(" * 1000 + "w" + ")" * 1000,
        "deep-not": "not " * 5000 + "w",
        "deep-minus": "-" * 50_000 + "w",
        "many-ands": " and ".join(["w"] * 20_000),
        "long-sum": "+".join(["w"] * 20_000),
        "digits": "w > " + "9" * 5000,
        "fstring": "f'{w}'",
        "starred": "len(*w)",
        "keyword": "max(w, key=abs)",
    }.items()
)
_VALUES = tuple(
    # Only with values it is seen what becomes of it: told, or refused by name.
    Hostile(
        id=f"advisory/value/{name}",
        kind="corpus advisory",
        words=(*AUDIT, "--threads=2", "--shape=x=3x7"),
        make=at(m__param=PARAM, known_IN_a__toml=corpus(entry(when=when))),
        shown=when[:200],
        # What cannot be evaluated with the layer's values leaves the answer open, see `audit`.
        ends=USAGE | frozenset({4}),
        names=("softmax-tail", "when|cannot be evaluated"),
    )
    for name, when in {
        "power": "9 ** 9 ** 9 > 1",
        "power-of-w": "(w ** 4000000) > 1",
        "shift": "1 << 4000000000 > 0",
        "product-of-text": "len('a' * 100000000000) > 0",
        "product-of-lists": "len([1] * 100000000000) > 0",
        "chain-of-products": "len('aaaaaaaaaa' * 9999 * 9999 * 9999) > 0",
        "by-zero": "w / 0 > 1",
        "modulo-zero": "w % 0 > 1",
        "compares-text": "w > 'a'",
        "not-a-number": "w % 'a'",
        "index": "[1, 2][w] > 0",
        "format": "'%999999999d' % w > ''",
        "factorial": "min() > 0",
        "complex": "(-1) ** 0.5 > 1",
        "overflow": "2.0 ** 5000 > 1",
        "length-of-a-number": "len(w) > 1",
    }.items()
)
_LET = (
    _entry("let-ring", "when", let={"a": "b", "b": "a"}, when="a"),
    _entry("let-itself", "when", let={"a": "a"}, when="a"),
    _entry("let-a-name", "when", let={"w": "1"}, when="w"),
    _entry("let-syntax", "when", let={"a": "("}, when="a"),
    _entry(
        "let-doubles",
        let={f"a{i}": f"a{i - 1} + a{i - 1}" if i else "w" for i in range(40)},
        when="a39 > 1",
        ends=USAGE | REPORTED,
    ),
    _entry("defaults-missing", "defaults", when="p0 == 1"),
    _entry("defaults-ring", when="p0 == 1", defaults={"p0": "p1", "p1": "p0"}),
    _entry("defaults-nan", when="p0 == 1", defaults={"p0": float("nan")}, ends=USAGE | REPORTED),
)
_PLACES = tuple(
    Hostile(
        id=f"advisory/place/{name}",
        kind="corpus advisory",
        words=AUDIT,
        make=then(at(), make),
        names=(A,),
    )
    for name, make in (
        ("directory", directory("known/a.toml")),
        ("pipe", fifo("known/a.toml")),
        ("zero", link("known/a.toml", "/dev/zero")),
        ("circle", link("known/a.toml", "a.toml")),
        ("sparse", sparse("known/a.toml")),
    )
)

CASES = (*_FILES, *_FIELDS, *_CONDITIONS, *_VALUES, *_LET, *_PLACES)
