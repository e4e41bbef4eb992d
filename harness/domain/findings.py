"""What a diagnosis or a bisection found, as far as the report tells it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from harness.domain.base import StoredValue
from harness.util.errors import UsageError
from harness.util.files import write_atomically

FILE = "story.json"


class Passage(StoredValue):
    """One part of a story: lines, a table, or text that keeps its line breaks."""

    heading: str
    lines: tuple[str, ...] = ()
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    code: str = ""


class Story(StoredValue):
    """A finding that is not about one cell of the table."""

    title: str
    sentence: str
    """The answer in one sentence, without a full stop."""
    passages: tuple[Passage, ...] = ()
    command: str = ""
    """The shell command that finds it again."""


def write_story(story: Story, directory: Path) -> None:
    """Put a story into a run directory, where reports look for it."""
    write_atomically(directory / FILE, story.model_dump_json(indent=1))


def read_stories(directories: Iterable[Path]) -> tuple[Story, ...]:
    """Read the story of each directory that has one.

    Raises:
        UsageError: a file is not a story.
    """
    stories = []
    for path in (directory / FILE for directory in directories):
        if not path.is_file():
            continue
        try:
            stories.append(Story.model_validate(json.loads(path.read_text(encoding="utf-8"))))
        except (ValueError, ValidationError) as error:
            raise UsageError(
                f"{path}: not what a diagnosis or bisection found. Remove it, or run that again."
            ) from error
    return tuple(stories)
