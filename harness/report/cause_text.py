"""What is said of causes, wherever it is said: terminal, page and Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.attribution import WRONG, Cause, Fix
from harness.domain.formatting import count, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.model import Part
    from harness.report.summary import Summary

FIXES = 5
"""Of one cause; a longer list hides the others."""
_LISTED = 3
"""Types and cells that are named; of more the page's details have all."""


def cause_lines(part: Part) -> Iterator[str]:
    """Yield the causes of a part with their fixes, line by line, or one line that has none."""
    for cause in part.causes:
        title = f"{cause.layer_type}{cause_title(cause, part.past(cause))}"
        yield f"• {title}. {remedies(cause)}"
        yield from (f"  - {fix_words(fix)} ({fix_evidence(fix)})" for fix in cause.fixes[:FIXES])
        if len(cause.fixes) > FIXES:
            yield f"  - {len(cause.fixes) - FIXES} more, see the report"
    if not part.causes:
        yield f"• {no_causes(part.summary)}"


def cause_title(cause: Cause, newest: str = "") -> str:
    """Return what is at fault, after the name of the layer type that speaks for all.

    Args:
        cause: one of a part's causes.
        newest: the newest version, if the cause shows only in older ones.
    """
    also = f" (also {', '.join(cause.also)})" if cause.also else ""
    fault = "computes wrong values" if cause.worst > WRONG else "loses precision"
    where = f"{count(len(cause.cells), 'cell')}, {count(len(cause.layers), 'layer')}"
    past = f", only before {newest}" if newest else ""
    return f"{also} {fault}: {number(cause.worst)} in {where}{past}"


def remedies(cause: Cause) -> str:
    """Return what introduces the fixes, or stands in for them."""
    if not cause.fixes:
        return "No pair of cells shows what causes it."
    return "Any one of these stops it:" if len(cause.fixes) > 1 else "This stops it:"


def fix_words(fix: Fix) -> str:
    """Return what to change."""
    link = " together with " if fix.together else ", "
    parts = []
    versions = [s for s in fix.change if s.axis == "version"]
    parts += [f"ncnn is {s.after} instead of {s.before}" for s in versions]
    for axis, when in (("build", "at build time"), ("run", "at run time")):
        names = sorted(s for s in fix.change if s.axis == axis)
        if names:
            values = link.join(f"{s.name}={s.after or 'absent'}" for s in names)
            parts.append(f"{values} {when}")
    converters = [s for s in fix.change if s.axis == "converter"]
    parts += [f"the model {_made(s.after)} instead of {_made(s.before)}" for s in converters]
    return (link if fix.together else " and ").join(parts)


def _made(converter: str) -> str:
    """Return how ncnn's files came to be."""
    return f"converted by {converter}" if converter else "with its own param and bin"


def fix_evidence(fix: Fix) -> str:
    """Return the numbers behind a fix, such as `7.4e-4 → 6.2e-7, …, 12 of 14 pairs`."""
    total = fix.supporting + fix.contradicting
    more = ", …" if len(fix.exceptions) > _LISTED else ""
    exceptions = ", ".join(fix.exceptions[:_LISTED])
    return (
        f"{number(fix.error_before)} → {number(fix.error_after)}, in the chain "
        f"{number(fix.chain_before)} → {number(fix.chain_after)}, "
        f"{fix.supporting} of {count(total, 'pair')}"
        f"{f'; not enough in {exceptions}{more}' if exceptions else ''}"
    )


def no_causes(summary: Summary) -> str:
    """Return what is said where there are no causes."""
    if any(record.verdict.is_clean and record.output for record in summary.records):
        return "No layer loses precision in any measured cell."
    return "No cell could be measured, so that nothing can be said about causes."
