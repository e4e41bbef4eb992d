from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import altair as alt
import pytest
from altair.utils.schemapi import validate_jsonschema

from harness.domain.commits import FaultyCommit
from harness.domain.records import Crash, CrashFrame, Verdict
from harness.domain.verdict import Tolerance
from harness.report.charts import draw
from harness.report.dataset import scopes
from harness.report.model import assemble
from harness.report.page import LIBRARIES, html
from tests.report.synthetic import FLAGS, RUNS, VERSIONS, cell, matrix

GUILTY = FaultyCommit(
    commit="440bfdd2c" * 4, date="2022-06-23", subject="x86 f16c", effect="2.2e-3"
)


class _Elements(HTMLParser):
    """Collects start tags, and the text outside of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.words.append(data)


@pytest.fixture(scope="module")
def text() -> str:
    report = assemble(
        matrix(),
        title="PP-OCRv3 <&> 识别",
        tolerance=Tolerance(),
        commits=[GUILTY],
        config="c.toml",
    )
    return html(report)


@pytest.fixture(scope="module")
def page(text: str) -> _Elements:
    return _Elements(text)


def test_page_is_small(text: str) -> None:
    assert len(text.encode()) < 6_000_000


def test_page_loads_nothing(page: _Elements) -> None:
    loads = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action")
    ]
    assert set(loads) <= {"data:,"} | {v for v in loads if v and v.startswith("#")}
    policy = next(a["content"] for t, a in page.tags if t == "meta" and a.get("http-equiv"))
    assert policy
    assert policy.startswith("default-src 'none'")


def test_styles_load_nothing(text: str) -> None:
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style


def test_every_configuration_has_a_tile_with_a_window(page: _Elements) -> None:
    windows = {a["id"] for t, a in page.tags if t == "dialog"}
    targets = {a["popovertarget"] for t, a in page.tags if a.get("class") == "tile"}
    assert len(windows) == len(VERSIONS) * len(FLAGS) * len(RUNS)
    assert targets == windows


def test_tiles_say_their_verdict_without_colour(page: _Elements) -> None:
    tiles = {a["aria-label"] for t, a in page.tags if a.get("class") == "tile"}
    assert "20250503 avx2 default: drop 3.6e-4" in tiles
    assert "20250503 avx2 default short: drop 2.8e-4" in tiles
    assert "20261020 avx512 fp16-off: ok 5.9e-7, recommended" in tiles
    assert "20220729 avx512 default: build-failed no build" in tiles


@pytest.mark.parametrize(
    "words",
    [
        "PP-OCRv3 <&> 识别",
        "纯臻营养护发素",
        "线性层_",
        "innerproduct_x86.cpp",
        "Segmentation fault <b>&",
        "this CPU lacks avx512_bf16",
        "NCNN_AVX512=ON: unknown to this version",
        "no ONNX value of this name or shape",
        "excluded while the build is repaired",
        "zen4 (AMD Test CPU)",
        "fedcba9876543210",
        "440bfdd2c",
    ],
)
def test_page_says(page: _Elements, words: str) -> None:
    assert words in " ".join(page.words)


def test_page_has_the_command_for_one_cell(page: _Elements) -> None:
    commands = {a["data-copy"] for _, a in page.tags if "data-copy" in a}
    assert "nox -s matrix -- --config c.toml --only 20250503-avx2/default" in commands


def test_no_text_of_a_record_ends_a_script() -> None:
    record = cell("20250503", "sse2", "default", "short", layers=3)
    evil = "</script><b onload=x>"
    layers = tuple(layer.model_copy(update={"name": evil}) for layer in record.layers)
    record = record.model_copy(update={"layers": layers, "reason": evil, "stderr": evil})
    found = _Elements(html(assemble([record], title=evil, tolerance=Tolerance())))
    assert not [a for t, a in found.tags if "onload" in a]
    assert sum(t == "script" for t, _ in found.tags) == 3


def test_page_without_a_single_measured_cell() -> None:
    records = [cell("20220729", "avx512", run, "short") for run in RUNS]
    words = " ".join(_Elements(html(assemble(records, title="", tolerance=Tolerance()))).words)
    assert "20220729: nothing could be measured." in words
    assert "nothing can be recommended" in words
    assert "there is nothing to draw" in words


def test_functions_of_a_crash_are_told() -> None:
    frames = (
        CrashFrame(function="abort", module="libc.so.6"),
        CrashFrame(function=""),
        CrashFrame(function="ncnn::gemm"),
    )
    record = cell(VERSIONS[0], FLAGS[0], RUNS[0], "short").model_copy(
        update={
            "verdict": Verdict.BROKEN,
            "stderr": "the heap is gone",
            "crash": Crash(signal="SIGABRT", frames=frames),
        }
    )
    told = html(assemble([record], title="t", tolerance=Tolerance()))
    assert (
        "the heap is gone\nrunning, the innermost first:\n  abort (libc.so.6)\n  ncnn::gemm" in told
    )


def test_two_machines_have_a_section_each() -> None:
    records = [*matrix(layers=1), *matrix(layers=1, machine="Neoverse-N1")]
    found = _Elements(html(assemble(records, title="", tolerance=Tolerance())))
    ids = [a["id"] for _, a in found.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert "ppocrv3-rec on Neoverse-N1, Linux" in " ".join(found.words)


def test_comparison_is_shown() -> None:
    new = [cell("20250503", "avx2", "default", "short", layers=7)]
    old = [
        cell("20250503", "avx2", "fp16-off", "short", layers=7).model_copy(
            update={"cell": new[0].cell, "verdict": Verdict.OK}
        )
    ]
    report = assemble(new, title="", tolerance=Tolerance(), previous=old)
    words = " ".join(_Elements(html(report)).words)
    assert "1 worse" in words
    assert "✓ ok 4.5e-7 → ▼ drop 2.8e-4 (611× larger)" in words


def test_pictures_draw_every_measured_cell_and_layer() -> None:
    (scope,) = scopes(matrix(layers=40))
    found = draw(scope, Tolerance(), [GUILTY])
    measured = [record for record in scope.records if record.output]
    assert [picture.id for picture in found.pictures] == [
        "chain",
        "alone",
        "heat",
        "history",
        "price",
    ]
    assert len(found.data["cells"]) == len(found.data["curves"]) == len(measured)
    assert {len(curve["chain"]) for curve in found.data["curves"]} == {40}
    assert found.data["layers"][4]["name"] == "线性层_4 → blob_4"
    assert "440bfdd2c" in json.dumps(found.pictures[3].spec)
    assert found.left_out == ()


def test_pictures_are_what_their_library_takes() -> None:
    (scope,) = scopes(matrix(layers=4))
    for picture in draw(scope, Tolerance(), [GUILTY]).pictures:
        validate_jsonschema(picture.spec, alt.load_schema())
    schema, bundled = alt.SCHEMA_VERSION.removeprefix("v"), LIBRARIES["vega-lite"]
    assert schema.split(".")[0] == bundled.split(".")[0]


def test_pictures_of_too_many_cells_keep_the_findings() -> None:
    (scope,) = scopes(matrix(layers=5))
    found = draw(scope, Tolerance(), numbers=2 * 5 * 110)
    drops = [r.cell for r in scope.records if r.verdict.is_finding and r.layers]
    assert len(found.data["curves"]) == 110
    assert len(found.data["cells"]) - 110 == len(found.left_out)
    assert not set(drops) & set(found.left_out)


def test_numbers_that_json_does_not_know_are_left_out() -> None:
    record = cell("20250503", "avx2", "bf16", "short")
    assert record.output is not None
    infinite = record.output.model_copy(update={"scale_relative": float("inf"), "nan": 4})
    record = record.model_copy(update={"output": infinite})
    text = html(assemble([record], title="", tolerance=Tolerance()))
    embedded = re.search(r'id="charts">(.*?)</script>', text)
    assert embedded
    (part,) = json.loads(embedded[1]).values()
    assert part["data"]["cells"][0]["out"] is None
    assert part["data"]["curves"][0]["bad"]
