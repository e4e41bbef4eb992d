"""The template engine, with what all templates of the report share."""

from __future__ import annotations

import math

from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.analysis.attribution import own_error
from harness.domain.formatting import milliseconds, number, short
from harness.domain.records import Verdict
from harness.report.formatting import MEANINGS, SYMBOLS, chain_error


def environment() -> Environment:
    """Return the template engine with the report's filters."""
    made = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "short": short,
        "milliseconds": milliseconds,
        "own_error": own_error,
        "chain_error": chain_error,
        "decibels": _decibels,
        "cell_text": _cell_text,
    }
    made.globals |= {"SYMBOLS": SYMBOLS, "MEANINGS": MEANINGS, "Verdict": Verdict}
    return made


def _decibels(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.0f}"


def _cell_text(text: str) -> str:
    """Return text fit for one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
