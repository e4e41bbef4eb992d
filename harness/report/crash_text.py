"""A breakdown in words, for the console and for the page."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from harness.domain.findings import Section

if TYPE_CHECKING:
    from harness.analysis.diagnosis.crash_findings import CrashFinding
    from harness.domain.records import Crash

BREAKDOWN = "Breakdown"


def crash_lines(crash: CrashFinding) -> list[str]:
    """Return how each input broke down, what the sanitizer says, and how to repeat it."""
    lines = [f"{each.input}: {each.how}" for each in crash.breakdowns]
    lines.append(crash.outcome)
    if crash.undefined:
        lines.append(
            "UndefinedBehaviorSanitizer said first, which ends nothing and need not be related: "
            f"{crash.undefined}"
        )
    return [*lines, *([f"Run it again: {crash.command}"] if crash.command else [])]


def crash_sections(crash: CrashFinding | None) -> tuple[Section, ...]:
    """Return what was running, and the sanitizer's report; nothing without a crash."""
    if crash is None:
        return ()
    traced = next((each for each in crash.breakdowns if each.crash), None)
    running = "\n".join(frame_lines(traced.crash)) if traced and traced.crash else ""
    return (
        Section(heading=BREAKDOWN, lines=tuple(crash_lines(crash))),
        Section(
            heading=f"What was running on {traced.input if traced else ''}, the innermost first",
            code=running,
        ),
        Section(heading=f"Report of {crash.build}", code="\n".join(crash.report)),
    )


def frame_lines(crash: Crash) -> list[str]:
    """Return the functions that are known, each with its library if it is not ncnn's.

    One that calls itself, as ncnn's pass through the layers does, is told once.
    """
    names = [
        f"{frame.function}{f' ({frame.module})' if frame.module else ''}"
        for frame in crash.frames
        if frame.function
    ]
    counted = [(name, len(list(group))) for name, group in groupby(names)]
    return [f"{name}, {times} times" if times > 1 else name for name, times in counted]
