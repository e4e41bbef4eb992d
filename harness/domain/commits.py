"""The commits at fault that a bisection found, as far as the report shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, TypeAdapter

from harness.util.kept import kept_value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FILE = "commits.json"


class FaultyCommit(BaseModel):
    """A commit at which the error of a model jumps."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    commit: str
    """Full hash."""
    date: str
    """When it was committed, ISO 8601 (the day is enough)."""
    subject: str = ""
    """First line of its message."""
    effect: str = ""
    """What it changed, in words, with the error before and after."""

    @property
    def short(self) -> str:
        """The first nine digits of the hash."""
        return self.commit[:9]


def read_commits(directories: Iterable[Path]) -> tuple[FaultyCommit, ...]:
    """Read `commits.json`, a list of commits, from each directory that has one, oldest first.

    What is no such list is left out.
    """
    found: dict[str, FaultyCommit] = {}
    for directory in directories:
        commits = kept_value(directory / FILE, _COMMITS.validate_json) or ()
        found |= {item.commit: item for item in commits}
    return tuple(sorted(found.values(), key=lambda item: item.date))


_COMMITS = TypeAdapter(tuple[FaultyCommit, ...])
