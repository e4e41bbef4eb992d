"""The template engine, with what all templates of the report share."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from harness.domain.formatting import latency, milliseconds, number, option_text, short
from harness.domain.records import Verdict
from harness.report.cause_text import (
    FIXES,
    cause_head,
    cause_title,
    easing_words,
    fix_evidence,
    fix_words,
    no_causes,
    remedies,
)
from harness.report.page_text import page_text
from harness.report.record_values import MEANINGS, SYMBOLS, chain_error, own_error
from harness.util.markdown import escapes_markdown


def markdown_environment() -> Environment:
    """Return the template engine of Markdown, where every value is text."""
    return escapes_markdown(_environment("markdown"))


def html_environment() -> Environment:
    """Return the template engine of pages, where every value is text that can be seen."""
    made = _environment("html")
    made.autoescape = True
    made.finalize = _seen
    made.filters["breakable"] = _breakable
    return made


def _seen(value: object) -> object:
    """Return a value as it is written; verdicts and the like are no plain strings."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return page_text(value)


def _breakable(name: str) -> Markup:
    """Return a name that may go on in the next line behind each hyphen."""
    return escape(page_text(name)).replace("-", Markup("-<wbr>"))


def _environment(form: str) -> Environment:
    """Return the template engine with the report's filters."""
    made = Environment(
        loader=PackageLoader("harness.report"),
        undefined=StrictUndefined,
        bytecode_cache=_bytecode_cache(form),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "number": number,
        "option_text": option_text,
        "short": short,
        "milliseconds": milliseconds,
        "latency": lambda record: latency(record.latency_ms, record.slowest_ms),
        "own_error": own_error,
        "chain_error": chain_error,
        "decibels": _decibels,
        "cause_head": cause_head,
        "cause_title": cause_title,
        "easing_words": easing_words,
        "remedies": remedies,
        "fix_words": fix_words,
        "fix_evidence": fix_evidence,
        "no_causes": no_causes,
    }
    made.globals |= {"SYMBOLS": SYMBOLS, "MEANINGS": MEANINGS, "Verdict": Verdict, "FIXES": FIXES}
    return made


def _bytecode_cache(form: str) -> FileSystemBytecodeCache | None:
    """Return a cache of compiled templates where Python keeps that of modules, if it may."""
    folder = Path(__file__).parent / "templates" / "__pycache__"
    if sys.dont_write_bytecode:
        return None
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    # What is compiled depends on how the engine treats values, too.
    return FileSystemBytecodeCache(str(folder), f"{form}_%s.cache")


def _decibels(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.0f}"
