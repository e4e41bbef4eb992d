"""Text of others in Markdown is text, wherever it stands."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment
from markdown_it import MarkdownIt

from harness.util.markdown import block, code, escapes_markdown, row, text
from harness.util.printable import printable
from tests.hostile_names import HOSTILE

READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
TAG = re.compile(r"<[^>]*>")


def tags(written: str) -> list[str]:
    return TAG.findall(READER.render(written))


def words(written: str) -> str:
    """Return what a reader sees of Markdown, without spaces."""
    return "".join(html.unescape(TAG.sub("", READER.render(written))).split())


def seen(name: str) -> str:
    return "".join(printable(name).split())


PLACES = ["{}", "- {}", "## {}", "**{}.**", "- {}: x", "x {} y", "> {}", "1. {}"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_line_has_the_structure_that_it_has_with_a_harmless_name(name: str, place: str) -> None:
    written = place.format(text(name))
    assert tags(written) == tags(place.format("harmless"))
    assert words(written) == words(place.format("harmless")).replace("harmless", seen(name))


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip))
def test_any_text_is_text(name: str) -> None:
    for place in ("{}", "- {}", "**x {}.**"):
        assert tags(place.format(text(name))) == tags(place.format("harmless"))
    assert words(f"x{text(name)}") == f"x{seen(name)}"


@pytest.mark.parametrize("name", HOSTILE)
def test_a_table_keeps_its_cells(name: str) -> None:
    table = (
        f"| a | b | c |\n| --- | --- | --- |\n| {row([name, 'x'])} | {code(name, cell=True)} |\n"
    )
    assert "<td>x</td>" in READER.render(table)
    assert tags(table) == tags(
        table.replace(row([name]), "y").replace(code(name, cell=True), "`y`")
    )


@pytest.mark.parametrize("name", HOSTILE)
def test_code_is_not_left(name: str) -> None:
    assert tags(f"- {code(name)} x") == tags("- `y` x")
    assert words(f"- {code(name)} x") == f"{seen(name)}x"
    assert tags(block(name, "diff")) == [
        "<pre>",
        '<code class="language-diff">',
        *tags("```\ny\n```")[2:],
    ]


def test_harmless_text_is_not_touched() -> None:
    line = "InnerProduct linear_4: error 2.2e-3 (limit 4e-5), -1.5 < 3 & 20250503-avx2/default"
    assert text(line) == line


def test_engines_treat_every_value_as_text_but_for_macros() -> None:
    engine = escapes_markdown(Environment(autoescape=False))
    source = (
        "{% macro m(x) %}**{{ x }}**{% endmacro %}{{ m(name) }} {{ name }} {{ [name, 1] | row }}"
    )
    assert engine.from_string(source).render(name="a*|<b>") == (
        "**a\\*\\|&lt;b>** a\\*\\|&lt;b> a\\*\\|&lt;b> | 1"
    )
