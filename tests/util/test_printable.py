"""What cannot be seen is written out, and steers no terminal."""

from __future__ import annotations

import io
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.markdown import Markdown
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

from harness.util.printable import printable
from harness.util.terminal import PlainConsole, PlainFormatter
from tests.hostile_names import HOSTILE

STEERING = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("conv1 – 日本\n\t", "conv1 – 日本\n\t"),
        ("\x1b[31m", "\\x1b[31m"),
        ("a\r\nb\0", "a\\r\nb\\x00"),
        ("\u202egnp", "\\u202egnp"),
        ("\x85\u2028", "\\x85\\u2028"),
        ("\udce9", "\\udce9"),
        ("\U000e0041", "\\U000e0041"),
        ("👩‍👧", "👩‍👧"),
    ],
)
def test_it_is_written_as_python_does(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text())
def test_nothing_steers_and_all_can_be_encoded(text: str) -> None:
    shown = printable(text)
    assert not STEERING.search(shown)
    assert shown.encode().decode() == shown
    assert printable(shown) == shown


def console(width: int = 100) -> tuple[PlainConsole, io.StringIO]:
    stream = io.StringIO()
    return PlainConsole(file=stream, width=width, force_terminal=False), stream


@pytest.mark.parametrize("name", HOSTILE)
def test_a_terminal_shows_names_as_they_are(name: str) -> None:
    made, stream = console(10_000)
    table = Table(name, "x")
    table.add_row(name, Text(name, style="red"))
    for item in (name, Text(f"• {name}"), table, Markdown(name)):
        made.print(item, soft_wrap=True)
    with (
        made.status(Text(name)),
        Progress(TextColumn("{task.description}", markup=False), console=made) as bars,
    ):
        bars.add_task(name)
    said = stream.getvalue()
    assert not STEERING.search(said)
    for line in filter(None, (line.strip() for line in printable(name).split("\n"))):
        assert line.expandtabs(8).replace(" ", "") in said.replace(" ", "")


def test_colours_of_our_own_are_still_there() -> None:
    stream = io.StringIO()
    made = PlainConsole(file=stream, force_terminal=True, color_system="standard", width=80)
    made.print(Text("\x1b[5mred", style="red"))
    assert stream.getvalue() == "\x1b[31m\\x1b[5mred\x1b[0m\n"


def test_a_log_shows_names_as_they_are() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "running %s", ("\x1b[2J",), None)
    assert PlainFormatter("%(message)s").format(record) == "running \\x1b[2J"
