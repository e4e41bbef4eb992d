"""The order of version labels."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

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
