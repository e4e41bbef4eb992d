"""What is said of causes, wherever it is said: terminal, page and Markdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.attribution.symptoms import Level
from harness.domain.formatting import count, listed, number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.attribution.causes import Cause, Fix
    from harness.report.model import Part
    from harness.report.summary import Summary

FIXES = 4
"""Of one cause; a longer list hides the others."""
CAUSES = 8
"""Types of layers that the terminal tells of; the page has all."""
OTHERS = 4
"""Further causes of one of them."""
_LISTED = 3
"""Types that are named; of more the page's details have all."""


def cause_lines(part: Part) -> Iterator[str]:
    """Yield the causes of a part with their fixes, line by line, or one line that has none.

    Of several causes with the same thing at fault the first is told in full, and of the others, in
    other cells or layers of the type, what stops them.
    """
    together: dict[str, list[Cause]] = {}
    for cause in part.causes:
        together.setdefault(f"{cause.level} {cause.layer_type}", []).append(cause)
    for cause, *others in list(together.values())[:CAUSES]:
        yield f"• {cause_head(cause)} {cause_title(cause)}. {remedies(cause)}"
        lines = [f"{fix_words(fix)} ({fix_evidence(fix)})" for fix in cause.fixes]
        lines += [f"{easing_words(fix)} ({fix_evidence(fix)})" for fix in cause.easing]
        yield from (f"  - {line}" for line in lines[:FIXES])
        if len(lines) > FIXES:
            yield f"  - {len(lines) - FIXES} more, see the report"
        yield from (f"  {known.words}" for known in part.known(cause))
        for other in others[:OTHERS]:
            yield f"  • it {cause_title(other)}. {_briefly(other)}"
            yield from (f"    {known.words}" for known in part.known(other))
        if len(others) > OTHERS:
            yield f"  • {len(others) - OTHERS} more, see the report"
    if len(together) > CAUSES:
        yield f"• {len(together) - CAUSES} more, see the report"
    if not part.causes:
        yield f"• {no_causes(part.summary)}"


def _briefly(cause: Cause) -> str:
    """Return what stops a cause, in one line."""
    if not cause.is_proved:
        words = [fix_words(fix) for fix in cause.fixes[:1]] + ["…"] * (len(cause.fixes) > 1)
        return " ".join([remedies(cause), *words])
    fixes = [fix_words(fix) for fix in cause.fixes if fix.proved]
    pairs = count(sum(len(fix.pairs) for fix in cause.fixes), "pair")
    return f"This stops it, proved in {pairs}: {', or '.join(fixes)}"


def cause_head(cause: Cause) -> str:
    """Return what is at fault."""
    if cause.level is Level.RUN:
        return "The run"
    if cause.level is Level.OUTPUT:
        return "The output"
    more = len(cause.also) - _LISTED
    others = ", ".join(cause.also[:_LISTED]) + (f" and {more} more types" if more > 0 else "")
    return cause.layer_type + (f" (also {others})" if cause.also else "")


def cause_title(cause: Cause) -> str:
    """Return what it does, where, and in which versions."""
    cells = count(len(cause.cells), "cell")
    fault = "loses precision"
    if cause.level is Level.RUN:
        fault = f"ends with {' or '.join(cause.reasons)}"
    elif not math.isfinite(cause.worst):
        fault = "gives NaN or infinities"
    elif cause.level is Level.VALUES:
        fault = f"computes wrong values: {number(cause.worst)}"
    else:
        fault += f": {number(cause.worst)}"
    layers = f", {count(len(cause.layers), 'layer')}" if cause.layers else ""
    alone = ", though no layer is beyond its limit by itself"
    innocent = alone if cause.level is Level.OUTPUT else ""
    versions = version_words(cause)
    return f"{fault} in {cells}{layers}{innocent}{f', {versions}' if versions else ''}"


def version_words(cause: Cause) -> str:
    """Return in which versions a cause shows; nothing if that is all that were measured."""
    if not cause.clean:
        return ""
    if not cause.dated:
        bad = [version for span in cause.spans for version in span.versions]
        return f"in {listed(bad)}, not in {listed(cause.clean)}"
    words = []
    for span in cause.spans:
        first, last = span.versions[0], span.versions[-1]
        if span.before and span.after:
            place = f"in {first}" if first == last else f"from {first} to {last}"
            words.append(f"{place} (good in {span.before} and from {span.after})")
        elif span.before:
            words.append(f"since {first}, good in {span.before}")
        elif span.after:
            words.append(f"until {last}, good from {span.after}")
    return "; ".join(words)


def remedies(cause: Cause) -> str:
    """Return what introduces the fixes, or stands in for them."""
    if not cause.fixes:
        return "" if cause.clean else "No pair of cells shows what causes it."
    if not cause.is_proved:
        return "Which setting stops it was not separated; several changed at once:"
    return "Any one of these stops it:" if len(cause.fixes) > 1 else "This stops it:"


def fix_words(fix: Fix) -> str:
    """Return what to change."""
    link = " together with " if fix.proved else ", "
    parts = []
    for axis, when in (("build", "at build time"), ("run", "at run time")):
        names = sorted(s for s in fix.change if s.axis == axis)
        if names:
            values = link.join(f"{s.name}={s.after or 'absent'}" for s in names)
            parts.append(f"{values} {when}")
    converters = [s for s in fix.change if s.axis == "converter"]
    parts += [f"the model {_made(s.after)} instead of {_made(s.before)}" for s in converters]
    machines = [s for s in fix.change if s.axis == "machine"]
    parts += [f"another machine ({s.after} instead of {s.before})" for s in machines]
    return link.join(parts)


def easing_words(fix: Fix) -> str:
    """Return what to change for the fault to become much smaller."""
    return f"{fix_words(fix)} makes it smaller, but does not stop it"


def _made(converter: str) -> str:
    """Return how ncnn's files came to be."""
    return f"converted by {converter}" if converter else "with its own param and bin"


def fix_evidence(fix: Fix) -> str:
    """Return the numbers behind a fix, such as `7.4e-4 → 6.2e-7, …, proved in 12 pairs`."""
    pairs = len(fix.pairs)
    state = f"in {count(pairs, 'pair')}"
    if fix.proved:
        state = f"proved {state}"
    elif len(fix.unsettled) < pairs:
        state = f"proved in {pairs - len(fix.unsettled)} of {count(pairs, 'pair')}"
    untried = f", not tried in {count(fix.untried, 'cell')}" if fix.untried else ""
    numbers = (
        f"{number(fix.error_before)} → {number(fix.error_after)}, in the chain "
        f"{number(fix.chain_before)} → {number(fix.chain_after)}, "
    )
    return f"{numbers if math.isfinite(fix.error_before) else ''}{state}{untried}"


def no_causes(summary: Summary) -> str:
    """Return what is said where there are no causes."""
    if any(record.verdict.is_clean and record.output for record in summary.records):
        return "No layer loses precision in any measured cell."
    return "No cell could be measured, so that nothing can be said about causes."
