"""Markdown as GitHub reads it, in which text of others is text: the one place where it is escaped.

A template engine that `escapes_markdown` treats each value that a template writes as text. What is
Markdown on purpose is a `Markup`: what the filters below return, and what macros do.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.util.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Environment

_BREAKS = re.compile(r"^\s{2,}|\s*\n\s*|\t+")
"""What becomes a space; four at the beginning of a line would make code of it."""
_INLINE = re.compile(
    r"\\(?=[!-/:-@\[-`{-~]|$)"  # escapes what follows
    r"|[`*\[|~$]"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within words it means nothing
    r"|<(?=\S)"
    r"|&(?=#?\w+;)"
)
_ENTITIES = {"<": "&lt;", "&": "&amp;"}
_BLOCK = re.compile(
    r"(?P<number>\s*\d{1,9})?(?P<sign>(?(number)[.)]|\s*(?:#{1,6}|[-+>=]))(?:\s|$))"
)
"""What begins a heading, a list or a quotation at the beginning of a line."""
_QUOTE = re.compile(r"\s*[>=]")
NO_BREAK = "\u00a0"
_OPENING = re.compile(r"^`+ ?")
_TICKS = re.compile(r"`+")


def text(value: object) -> Markup:
    """Return a value as text within a line; what is Markdown already stays as it is."""
    if isinstance(value, Markup):
        return value
    line = _BREAKS.sub(" ", printable(str(value)))
    escaped = _INLINE.sub(lambda m: _ENTITIES.get(m.group(), f"\\{m.group()}"), line)
    found = _BLOCK.match(escaped) or _QUOTE.match(escaped)
    if found:
        at = found.end("number") if found.groupdict().get("number") else 0
        at += len(escaped[at:]) - len(escaped[at:].lstrip())
        escaped = f"{escaped[:at]}\\{escaped[at:]}"
    return Markup(escaped)


def code(value: object, *, cell: bool = False) -> Markup:
    """Return a value as code within a line, or in a cell of a table; nothing if it is empty."""
    line = _BREAKS.sub(" ", printable(str(value))).strip()
    if not line:
        return Markup()
    ticks = "`" * (1 + max((len(run) for run in _TICKS.findall(line)), default=0))
    pad = " " if "`" in line else ""
    line = line.replace("|", "\\|") if cell else line
    return Markup(f"{ticks}{pad}{line}{pad}{ticks}")


def source(value: object) -> Markup:
    """Return a line of source as code in a cell of a table, with the blanks at its beginning."""
    line = str(value).expandtabs(4).rstrip()
    bare = line.lstrip(" ")
    if not bare:
        return Markup()
    # Any other blank there is left out by who shows it.
    blanks = NO_BREAK * (len(line) - len(bare))
    return Markup(_OPENING.sub(lambda ticks: f"{ticks[0]}{blanks}", code(bare, cell=True), count=1))


def block(value: object, language: str = "") -> Markup:
    """Return lines as a block of code; the fence is longer than any in it."""
    lines = printable(str(value)).rstrip("\n")
    ticks = "`" * max(3, 1 + max((len(run) for run in _TICKS.findall(lines)), default=0))
    return Markup(f"{ticks}{language}\n{lines}\n{ticks}")


def row(values: Iterable[object]) -> Markup:
    """Return the cells of a table's row, between the first bar and the last."""
    return Markup(" | ").join(text(value) for value in values)


def escapes_markdown(engine: Environment) -> Environment:
    """Return the engine, made to write every value as text, with filters for what is more."""
    engine.autoescape = True
    engine.finalize = text
    engine.filters |= {"code": code, "source": source, "block": block, "row": row}
    return engine
