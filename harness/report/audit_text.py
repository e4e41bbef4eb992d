"""What an audit says, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.domain.formatting import count, number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.advisories.audit import MetAdvisory, MetLayer

LAYERS = 6
"""Layers of one fault that are named; JSON has all."""
_HINTS = {
    "the number of threads": "--threads",
    "the shape of input": "--shape",
    "the build flags": "--flags",
    "how its weights are stored": "--bin",
}
"""What tells the audit what it does not know."""


def audit_lines(found: Sequence[MetAdvisory]) -> Iterator[str]:
    """Yield the faults with the layers that meet them, and a last line that counts them."""
    for met in found:
        certain = [layer for layer in met.layers if not layer.missing]
        perhaps = [layer for layer in met.layers if layer.missing]
        yield f"{'' if met.certain else 'perhaps '}{met.id}: {met.title}"
        yield f"  {_history(met)}"
        yield f"  {met.advice}"
        if certain:
            yield f"  {met.layer} {_named(certain)}"
        if perhaps:
            also = "perhaps also " if certain else ""
            yield f"  {also}{met.layer} {_named(perhaps)}"
            missing = dict.fromkeys(_hinted(m) for layer in perhaps for m in layer.missing)
            yield f"  not known: {'; '.join(missing)}"
        yield ""
    yield _total(found)


def _history(met: MetAdvisory) -> str:
    error = f", error {number(met.error)}" if met.error else ""
    commits = " to ".join(filter(None, (met.introduced, met.repaired)))
    return f"{met.versions}{f' (commit {commits})' if commits else ''}; {met.expect}{error}"


def _named(layers: Sequence[MetLayer]) -> str:
    shown = [f"{layer.name} ({', '.join(layer.shapes)})" for layer in layers[:LAYERS]]
    more = len(layers) - LAYERS
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _hinted(missing: str) -> str:
    option = next((o for words, o in _HINTS.items() if missing.startswith(words)), "")
    return f"{missing} ({option})" if option else missing


def _total(found: Sequence[MetAdvisory]) -> str:
    certain = [met for met in found if met.certain]
    perhaps = len(found) - len(certain)
    layers = {layer.name for met in certain for layer in met.layers if not layer.missing}
    words = f"{count(len(certain), 'known fault')} in {count(len(layers), 'layer')}"
    if not certain:
        words = "no known fault" + (" for certain" if perhaps else "")
    return f"{words}; {perhaps} more perhaps" if perhaps else words
