"""Names that somebody made up to do harm, in every form of a report."""

from __future__ import annotations

import csv as csv_files
import io
import re
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from harness.report.csv_tables import csv_cell, layers_csv
from harness.report.exports import csv, json_text, junit
from harness.report.markdown import finding_markdown, markdown
from harness.report.page import _library, html
from harness.report.sweep_exports import sweep_csv, sweep_json
from harness.report.sweep_page import sweep_html, sweep_markdown
from tests.hostile_names import HOSTILE
from tests.report import hostile

OURS = re.compile(r"</?(details|summary|b|sub|br)( open)?>")
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def raw_html(markdown_text: str) -> list[str]:
    """Return the tags that Markdown hands to the browser as they are, without those of ours."""
    found = []
    for token in READER.parse(markdown_text):
        for each in (token, *(token.children or ())):
            if each.type in ("html_block", "html_inline"):
                found += re.findall(r"<[^>]*>", OURS.sub("", each.content))
    return found


def links(markdown_text: str) -> list[str]:
    return [
        str(each.attrGet("href"))
        for token in READER.parse(markdown_text)
        for each in token.children or ()
        if each.type in ("link_open", "image")
    ]


@pytest.mark.parametrize("names", hostile.pages(), ids=lambda names: names[0][:20])
def test_every_form_of_a_matrix(names: tuple[str, ...]) -> None:
    report = hostile.report(names)
    text = markdown(report)
    assert raw_html(text) == []
    assert links(text) == []
    for form in (text, html(report).replace(_library(), "")):
        assert not UNSEEN.search(form)
    ElementTree.fromstring(junit(report))
    assert json_text(report).encode()
    for table in (csv(report), layers_csv(report.records)):
        rows = list(csv_files.reader(io.StringIO(table)))
        assert len({len(row) for row in rows}) == 1
        texts = [each for row in rows for each in row if not _is_number(each)]
        assert not [each for each in texts if each[:1] in tuple("=+-@\t\r") and len(each) > 1]


def test_every_form_of_a_sweep() -> None:
    report = hostile.sweep()
    text = sweep_markdown(report)
    assert raw_html(text) == []
    assert links(text) == []
    for form in (text, sweep_html(report)):
        assert not UNSEEN.search(form)
    assert sweep_json(report).encode()
    assert len({len(row) for row in csv_files.reader(io.StringIO(sweep_csv(report)))}) == 1


def test_a_finding_keeps_its_sections_and_rows() -> None:
    text = finding_markdown(hostile.told())
    tokens = READER.parse(text)
    kinds = [token.type for token in tokens]
    assert (kinds.count("heading_open"), kinds.count("fence")) == (4, 1)
    assert kinds.count("tr_open") == 1 + len(HOSTILE)
    assert kinds.count("list_item_open") == len(HOSTILE)
    assert raw_html(text) == links(text) == []


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("-rf", "'-rf"),
        ("-", "-"),
        ("conv1", "conv1"),
        ("a\x1bb", "a\\x1bb"),
        (-1.5, -1.5),
        (-0.0, -0.0),
        (None, None),
    ],
)
def test_spreadsheets_compute_nothing(value: object, cell: object) -> None:
    assert repr(csv_cell(value)) == repr(cell)
