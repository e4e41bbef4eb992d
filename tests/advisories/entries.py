"""Advisories made up for tests."""

from __future__ import annotations

from typing import Any

from harness.advisories.advisory import Advisory

SOFTMAX: dict[str, Any] = {
    "id": "softmax-tail",
    "title": "Softmax leaves the last elements uncomputed",
    "layer": "Softmax",
    "case": "Softmax:0=0:3x7",
    "run": "num_threads=2",
    "expect": "broken",
    "bad": ["20250428", "20250916"],
    "good": ["20241226", "20260113"],
    "introduced": "07267f261",
    "repaired": "c18cc6de6",
    "when": "threads > 1 and w % 2",
    "arch": ["x86"],
    "advice": "Use one thread.",
}


def entry(**changes: Any) -> dict[str, Any]:
    """Return a valid entry with changes; None leaves a key out."""
    return {k: v for k, v in (SOFTMAX | changes).items() if v is not None}


def advisory(**changes: Any) -> Advisory:
    """Return it as a value."""
    return Advisory.model_validate(entry(**changes))
