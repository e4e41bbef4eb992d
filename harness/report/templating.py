"""The template engine, with what all templates of the report share."""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemBytecodeCache, PackageLoader, StrictUndefined

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
from harness.report.record_values import MEANINGS, SYMBOLS, chain_error, own_error


def environment() -> Environment:
    """Return the template engine with the report's filters."""
    made = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=lambda name: name is not None and ".html" in name,
        undefined=StrictUndefined,
        bytecode_cache=_bytecode_cache(),
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
        "cell_text": _cell_text,
    }
    made.globals |= {"SYMBOLS": SYMBOLS, "MEANINGS": MEANINGS, "Verdict": Verdict, "FIXES": FIXES}
    return made


def _bytecode_cache() -> FileSystemBytecodeCache | None:
    """Return a cache of compiled templates where Python keeps that of modules, if it may."""
    folder = Path(__file__).parent / "templates" / "__pycache__"
    if sys.dont_write_bytecode:
        return None
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return FileSystemBytecodeCache(str(folder)) if os.access(folder, os.W_OK) else None


def _decibels(value: float) -> str:
    return "∞" if math.isinf(value) else f"{value:.0f}"


def _cell_text(text: str) -> str:
    """Return text fit for one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
