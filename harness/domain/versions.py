"""The order of version labels, and which of them are alike."""

from __future__ import annotations

import re
from datetime import date
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DATE = re.compile(r"(20[0-9]{2})([0-9]{2})([0-9]{2})(?![0-9])")


def ordered_versions(labels: Iterable[str]) -> tuple[str, ...]:
    """Return distinct labels, oldest first: by date where all have one, else as they come."""
    distinct = tuple(dict.fromkeys(labels))
    return tuple(sorted(distinct, key=date_of)) if are_dated(distinct) else distinct


def are_dated(labels: Iterable[str]) -> bool:
    """Return whether each label has a date within, so that their order is known."""
    return all(date_of(label) for label in labels)


def date_of(label: str) -> str:
    """Return the date within a version label, ISO 8601; empty if there is none.

    Digits that are no date, such as 20251399, are none.
    """
    match = _DATE.search(label)
    if not match:
        return ""
    try:
        return date(*map(int, match.groups())).isoformat()
    except ValueError:
        return ""


def nearest(version: str, known: Sequence[str], count: int = 3) -> list[str]:
    """Return the versions most like `version`; if it ends in a date, those nearest in time.

    Each is named once: a tag and a branch may be called the same.
    """
    known = list(dict.fromkeys(known))
    wanted = _day(version)
    if wanted is not None:
        dated = [(abs(day - wanted), name) for name in known if (day := _day(name)) is not None]
        if dated:
            return [name for _, name in sorted(dated)[:count]]
    return get_close_matches(version, known, count, cutoff=0.3) or known[:count]


def _day(version: str) -> int | None:
    """Return the number of the day that a version such as `1.0.20250503` names."""
    try:
        return date.fromisoformat(version.rpartition(".")[2]).toordinal()
    except ValueError:
        return None
