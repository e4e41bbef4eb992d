"""What is wrong with the way in which a hostile input ended: what holds for all, and its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.util.errors import EXIT_FINDINGS, EXIT_OK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.hostile.case import Hostile
    from tests.hostile.sandbox import Happened

LONGEST = 4000
"""Characters of a line that reports an error: names from outside are shortened."""
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""What moves a cursor, changes colours or turns text around; C0 but tab and line feed, C1, and
what Unicode has of the kind."""
_PROGRAMS = re.compile(
    r"(.+-)?(git|uname|c\+\+|cc|gcc|g\+\+|clang|clang\+\+|cmake|ninja|ld|mold|lld|sccache|addr2line|nm|"
    r"readelf|objdump|ldd|file|lscpu|getconf|unshare|vulkaninfo|glslang\w*|qemu-\w+|pnnx|"
    r"python[\d.]*)(-[\d.]+)?"
)
"""What the harness may start."""


def faults(case: Hostile, happened: Happened) -> Iterator[str]:
    """Yield what is wrong."""
    yield from _end(case, happened)
    yield from _words(case, happened)
    yield from _effects(case, happened)


def _end(case: Hostile, happened: Happened) -> Iterator[str]:
    if happened.timed_out:
        yield f"still runs after {case.seconds:.0f} s"
    elif happened.code not in case.ends:
        yield f"exit code {happened.code}, not {sorted(case.ends)}"
    if happened.mebibytes > case.mebibytes:
        yield f"took {happened.mebibytes} MiB, more than {case.mebibytes}"


def _words(case: Hostile, happened: Happened) -> Iterator[str]:
    for sign in ("Traceback (most recent call last)", "Exception ignored", "Fatal Python error"):
        if sign in happened.printed:
            yield f"printed: {sign}"
    for pattern in case.names:
        if not re.search(pattern, happened.printed):
            yield f"does not say {pattern!r}"
    for pattern in case.never:
        if re.search(pattern, happened.printed):
            yield f"says {pattern!r}"
    if control := _CONTROLS.search(happened.printed):
        yield f"printed the control character {control.group()!r}"
    lines = happened.errors
    is_error = happened.code not in (EXIT_OK, EXIT_FINDINGS)
    if is_error and case.names and not 1 <= len(lines) <= case.lines:
        yield f"{len(lines)} lines report an error, not 1 to {case.lines}"
    if any(len(line) > LONGEST for line in lines):
        yield f"an error of {max(map(len, lines))} characters"


def _effects(case: Hostile, happened: Happened) -> Iterator[str]:
    for event in happened.events:
        kind, _, what = event.partition(" ")
        if kind == "start" and _PROGRAMS.fullmatch(what):
            continue
        yield f"tried to {event}"
    if "Read-only file system" in happened.printed:
        yield "tried to write where it must not"
    if happened.left:
        yield f"left processes: {', '.join(happened.left)}"
    if happened.litter:
        yield f"left in the temporary directory: {', '.join(happened.litter)}"
