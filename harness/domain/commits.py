"""The commits at fault that a bisection found, as far as the report shows them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, ValidationError

from harness.util.errors import UsageError

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

    Raises:
        UsageError: a file is not such a list.
    """
    found: dict[str, FaultyCommit] = {}
    for path in (directory / FILE for directory in directories):
        if not path.is_file():
            continue
        try:
            entries = json.loads(path.read_text(encoding="utf-8"))
            commits = [FaultyCommit.model_validate(entry) for entry in entries]
        except (ValueError, TypeError, ValidationError) as error:
            raise UsageError(
                f"{path}: not a list of commits with `commit` and `date`. Correct or remove it."
            ) from error
        found |= {item.commit: item for item in commits}
    return tuple(sorted(found.values(), key=lambda item: item.date))
