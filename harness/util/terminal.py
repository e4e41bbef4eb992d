"""The terminal: names and what programs printed are text there, and never commands to it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Span, Text

from harness.util.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import ConsoleOptions, RenderableType
    from rich.segment import Segment


class PlainConsole(Console):
    """A console that shows all text as it is: no markup, no emoji codes, no control characters.

    Styles are given by `rich.text.Text`.
    """

    def __init__(self, **settings: Any) -> None:
        """Take the settings of `rich.console.Console`."""
        super().__init__(**settings, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **how: Any) -> Text:
        """Return a string as text."""
        return super().render_str(printable(text), **how)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield what is written for something, the parts of tables and Markdown included."""
        if isinstance(renderable, Text):
            renderable = _shown(renderable)
        return super().render(renderable, options)


def _shown(text: Text) -> Text:
    """Return the same text with its style; what styles a part of it is left out if it changes."""
    plain = printable(text.plain)
    if plain == text.plain:
        return text
    shown = text.blank_copy(plain)
    whole = (0, len(text.plain))
    styles = [span.style for span in text.spans if (span.start, span.end) == whole]
    shown.spans = [Span(0, len(plain), style) for style in styles]
    return shown


class PlainFormatter(logging.Formatter):
    """Formats log records, in which commands and names stand, as what is printed."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record's text."""
        return printable(super().format(record))
