"""What sanitizers said of an error, without what is the same in every report."""

from __future__ import annotations

import re

_BEGIN = "ERROR: AddressSanitizer: "
_FRAME = re.compile(r"\s+#\d+ 0x[0-9a-f]+ in (.+)")
_SOURCE = re.compile(r"\S*/source/(?=src/)")
_ORIGIN = re.compile(r"(previously )?(allocated|freed) by thread ")
_PLACE = re.compile(r" (src/\S+:\d+)$")
_CARRIERS = ("src/allocator.", "src/mat.")
"""Files through which all of ncnn's memory comes: who asked for it says more."""
_UNDEFINED = re.compile(r"^(\S+:\d+):\d+: (runtime error: .+)$", re.MULTILINE)
_KEPT = re.compile(rf"(READ|WRITE) of size |.* is located |{_ORIGIN.pattern}")
FRAMES = 6
"""Functions that are shown of a stack, the innermost first."""


def asan_report(output: str) -> tuple[str, ...]:
    """Return the lines of the first report in what a process printed: none if there is none.

    First the kind of error; then for the access and for where the memory came from a line each,
    and the innermost functions with file and line.
    """
    _, found, rest = output.partition(_BEGIN)
    if not found:
        return ()
    kind, *lines = rest.splitlines() or [""]
    kept = [f"AddressSanitizer: {kind.partition(' on ')[0]}"]
    shown = FRAMES
    for line in lines:
        frame = _FRAME.fullmatch(line)
        if line.startswith("SUMMARY:"):
            break
        if _KEPT.match(line):
            # Addresses differ from one run to the next.
            kept.append(re.sub(r" at 0x[0-9a-f]+|^0x[0-9a-f]+ | \[0x\S*", "", line))
            shown = 0
        elif frame and shown < FRAMES:
            kept.append(f"  {_SOURCE.sub('', frame[1])}")
            shown += 1
    return tuple(kept)


def asan_sentence(report: tuple[str, ...]) -> str:
    """Return the error in one line, with the innermost place in ncnn's source if one is known."""
    access = next((line.partition(" thread")[0] for line in report[1:] if " of size " in line), "")
    # Where the memory came from is somewhere else, and not at fault for that.
    memory = (at for at, line in enumerate(report) if " is located " in line or "by thread" in line)
    own = report[: next(memory, len(report))]
    place = next((line.split()[-1] for line in own if re.search(r" src/\S+:\d+$", line)), "")
    words = ", ".join(filter(None, (report[0], access)))
    return f"{words} at {place}" if place else words


def asan_memory(report: tuple[str, ...]) -> str:
    """Return where the memory of an error is and who asked for it, in one line; empty if unsaid."""
    where = next((x.partition("is located ")[2] for x in report if "is located " in x), "")
    parts = [where]
    for at, line in enumerate(report):
        if not _ORIGIN.match(line):
            continue
        places = []
        for frame in report[at + 1 :]:
            if not frame.startswith("  "):
                break
            places += _PLACE.findall(frame)
        asked = [place for place in places if not place.startswith(_CARRIERS)]
        if places:
            parts.append(f"{line.partition(' by thread')[0]} at {(asked or places)[0]}")
    return ", ".join(filter(None, parts))


def undefined_behaviour(output: str) -> str:
    """Return the first line of UndefinedBehaviorSanitizer, with its place; empty if none."""
    found = _UNDEFINED.search(output)
    return f"{_SOURCE.sub('', found[1])}: {found[2]}" if found else ""
