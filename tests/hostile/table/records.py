"""Run directories, as `report` reads them, and records that a matrix continues."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.hostile.case import TAKEN, USAGE, Hostile
from tests.hostile.making import CONFIG, directory, fifo, files, link, sparse, then
from tests.records import cell

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.hostile.making import Make

RUN = ("report", "results/r")
RECORD = json.loads(cell({"InnerProduct": 1e-3}).model_dump_json())
LINE = json.dumps(RECORD)


def run(cells: str | bytes = f"{LINE}\n", config: str | bytes = CONFIG) -> Make:
    """Return what writes a run directory."""
    return files(results_IN_r_IN_cells__jsonl=cells, results_IN_r_IN_config__toml=config)


def _changed(**changes: Any) -> str:
    return json.dumps({**RECORD, **changes})


def _case(
    kind: str,
    name: str,
    make: Make,
    *names: str,
    ends: frozenset[int] = USAGE,
    words: tuple[str, ...] = RUN,
    never: tuple[str, ...] = (),
) -> Hostile:
    return Hostile(
        id=f"{kind.replace(' ', '-')}/{name}",
        kind=kind,
        words=words,
        make=make,
        shown=name,
        names=names,
        ends=ends,
        never=never,
    )


# A line that is no record is left out, and said; the others are kept.
_BESIDE = tuple(
    _case("record", f"beside/{name}", run(LINE.encode() + b"\n" + line + b"\n"), ends=TAKEN)
    for name, line in (
        ("empty", b""),
        ("nul", b"\0" * 4096),
        ("latin-1", b'{"cell": "caf\xe9"}'),
        ("utf-16", LINE.encode("utf-16")),
        ("surrogates", b'{"cell": "\xed\xa0\x80"}'),
        ("escaped-surrogate", LINE.replace("test", "\\ud800").encode()),
        ("null", b"null"),
        ("list", b"[]"),
        ("number", b"1e999"),
        ("digits", b"9" * 5000),
        ("deep", b"[" * 100_000 + b"]" * 100_000),
        ("deep-objects", b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        ("schema-99", _changed(schema_version=99).encode()),
        ("schema-1", b'{"schema_version": 1, "layers": 7}'),
        ("schema-1-of-words", b'{"schema_version": 1, "layers": ["a"]}'),
        ("schema-1-deep", b'{"schema_version": 1, "x": ' + b"[" * 50_000),
        ("verdict", _changed(verdict="fine").encode()),
        ("threads-digits", LINE.replace('"threads": 1', f'"threads": {"9" * 5000}').encode()),
        ("torn", LINE.encode()[: len(LINE) // 2]),
        ("pickle", b"\x80\x04cposix\nsystem\n(S'touch pwned'\ntR."),
        ("two-in-a-line", LINE.encode() + LINE.encode()),
        ("long", b'{"cell": "' + b"a" * 10_000_000 + b'"}'),
    )
)
# Names and texts are data: whatever is in them is shown so that it does nothing.
NASTY = {
    "script": "<script>alert(1)</script>",
    "escape": "\x1b]0;pwned\x07\x1b[2J",
    "bidi": "\u202egnp.exe\u202c",
    "next-line": "a\x85b\u2028c",
    "nul": "a\0b",
    "path": "../../../pwned",
    "markup": "[red]x[/red] [link=file:///etc/passwd]y",
    "markdown": "![x](https://evil.example/x.png) | a | `b`",
    "formula": '=HYPERLINK("https://evil.example")',
    "quotes": "\"'><img src=x onerror=alert(1)>",
    "long": "n" * 100_000,
    "template": "{{ 7 * 7 }} {% raw %}",
    "xml": "]]></system-out><x/>\x0b\ufffe",
}


def _named(field: str, text: str) -> dict[str, Any]:
    if field == "reason":
        return {"reason": text}
    layer = {**RECORD["layers"][0], "name": text, "type": text, "blob": text}
    names = dict.fromkeys(("model", "input", "version", "flags", "run"), text)
    return {**names, "layers": [layer], "cell": f"{text}-{text}/{text}/{text}"}


_TEXTS = tuple(
    _case(
        "record",
        f"{field}/{name}",
        run(f"{_changed(**_named(field, text))}\n"),
        ends=TAKEN,
        words=(*RUN, "--junit", "results/j.xml"),
    )
    for field in ("reason", "names")
    for name, text in NASTY.items()
)
_NUMBERS = tuple(
    _case("record", f"number/{name}", run(f"{_changed(**change)}\n"), ends=TAKEN | USAGE)
    for name, change in (
        ("error-nan", {"output": {**RECORD["output"], "scale_relative": float("nan")}}),
        ("error-infinite", {"output": {**RECORD["output"], "scale_relative": float("inf")}}),
        ("error-negative", {"output": {**RECORD["output"], "scale_relative": -1.0}}),
        ("latency-infinite", {"latency_ms": float("inf")}),
        ("latency-negative", {"latency_ms": -1.0}),
        ("threads-negative", {"threads": -1}),
        ("threads-huge", {"threads": 2**63}),
        ("options-huge", {"options": {"x": 2**100}}),
        ("index-negative", {"layers": [{**RECORD["layers"][0], "index": -5}]}),
        ("finished-nonsense", {"finished": "yesterday"}),
    )
)
_ONLY = tuple(
    _case("record", f"only/{name}", run(data), r"results/r|cells\.jsonl")
    for name, data in (
        ("empty", b""),
        ("newlines", b"\n\n\n"),
        ("nul", bytes(100)),
        ("no-records", b"{}\n[]\nnull\n"),
        ("next-line-between", LINE.replace("\n", "").encode()[:-1] + b"\n"),
    )
)
_SIDE = tuple(
    _case(
        "run directory",
        f"{file}/{name}",
        then(run(), files(**{f"results_IN_r_IN_{file.replace('.', '__')}": data})),
        ends=TAKEN | USAGE,
    )
    for file in (
        "config.toml",
        "left-out.json",
        "finding.json",
        "commits.json",
        "run.json",
        "shard.json",
    )
    for name, data in (
        ("empty", b""),
        ("null", b"null"),
        ("nul", bytes(64)),
        ("latin-1", b'"caf\xe9"'),
        ("number", b"7"),
        ("list-of-numbers", b"[1, 2]"),
        ("deep", b"[" * 100_000),
        ("digits", b"9" * 5000),
        ("wrong-shape", b'{"a": [1, {"b": null}]}'),
        ("surrogate", b'{"title": "\\ud800", "sentence": "\\ud800", "a": "\\ud800"}'),
        ("escape", b'{"title": "\\u001b[2J", "sentence": "\\u001b[31m", "a": "\\u001b[31m"}'),
        (
            "script",
            b'{"title": "<script>", "sentence": "<img onerror=x>", "a": "<script>"}',
        ),
    )
)
_MAKERS: tuple[tuple[str, Callable[[str], Make]], ...] = (
    ("directory", directory),
    ("pipe", fifo),
    ("circle", lambda name: link(name, name.rpartition("/")[2])),
    ("zero", lambda name: link(name, "/dev/zero")),
    ("sparse", sparse),
)
_PLACES = tuple(
    _case(
        "run directory",
        f"place/{file}/{name}",
        then(run(), make(f"results/r/{file}")),
        ends=TAKEN | USAGE,
    )
    for file in ("cells.jsonl", "config.toml", "left-out.json", "finding.json", "shard.json")
    for name, make in _MAKERS
)
_SWEEPS = tuple(
    _case(
        "run directory",
        f"sweep/{name}",
        files(results_IN_r_IN_sweep__json=data, results_IN_r_IN_findings__jsonl=b"[]\nnull\n"),
        ends=USAGE,
    )
    for name, data in (
        ("empty", b""),
        ("null", b"null"),
        ("deep", b"[" * 100_000),
        ("wrong", b'{"labels": 7}'),
        ("nul", bytes(10)),
    )
)

_SHARDS = tuple(
    _case(
        "run directory",
        f"shard/{name}",
        then(run(), files(results_IN_r_IN_shard__json=json.dumps(state))),
        ends=TAKEN,
        words=(*RUN, "--junit", "results/j.xml"),
    )
    for name, state in {
        **{
            key: {"index": 1, "model": text, "builds": [["a"], [text]]}
            for key, text in NASTY.items()
        },
        "no-builds": {"index": 1, "model": "", "builds": [[], ["a"]]},
        "index-0": {"index": 0, "model": "", "builds": [["a"]]},
        "index-huge": {"index": 2**70, "model": "", "builds": [["a"]]},
        "many": {"index": 1, "model": "", "builds": [[str(n)] for n in range(10_000)]},
    }.items()
)
# What lies below a directory that is no run itself.
_BELOW = tuple(
    _case(
        "run directory", f"below/{name}", then(run(), make), ends=ends, words=("report", "results")
    )
    for name, make, ends in (
        ("circle", link("results/back", "."), TAKEN),
        ("root", link("results/root", "/"), TAKEN),
        ("pipe", fifo("results/pipe"), TAKEN),
        (
            "torn",
            files(results_IN_s_IN_cells__jsonl=b"{", results_IN_s_IN_config__toml=CONFIG),
            TAKEN,
        ),
        (
            "no-configuration",
            files(results_IN_s_IN_cells__jsonl=f"{LINE}\n", results_IN_s_IN_config__toml=b"["),
            TAKEN,
        ),
    )
)

CASES = (*_BESIDE, *_TEXTS, *_NUMBERS, *_ONLY, *_SIDE, *_PLACES, *_SWEEPS, *_SHARDS, *_BELOW)
