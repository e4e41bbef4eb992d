"""The smallest set of changes that achieves as much as all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.delta_debugging import DeltaDebugger, MinimalSet, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

USELESS = "all of these together change nothing"


def search(
    items: Sequence[str], test: Callable[[frozenset[str]], Result]
) -> MinimalSet[str] | None:
    """Return a minimal set of items that fixes, or None if all of them are no better than none.

    Args:
        items: the changes.
        test: gives `Result.FAIL` for a set of changes that fixes: the search is for what turns
            the result, and here that is the fix.
    """
    if test(frozenset()) is Result.FAIL:
        return None
    return DeltaDebugger(items, test).minimal_failing()


def described(found: MinimalSet[str]) -> str:
    """Say what is known about a minimal set."""
    needed = sum(result is Result.PASS for result in found.without)
    return f"smallest set by delta debugging: {needed} of {len(found.items)} proved to be needed"
