"""What arguments of the command line may be: one table of types for all commands."""

from __future__ import annotations

import argparse
import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from harness.config.ranges import (
    MOST_GIB,
    MOST_PROCESSES,
    MOST_SECONDS,
    MOST_SEED,
    Real,
    Whole,
    known_name,
    known_repository,
)
from harness.config.shards import MOST_SHARDS, Shard
from harness.util.codes import Code
from harness.util.errors import UsageError
from harness.util.paths import known_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

LONGEST_WORD = 4096
"""Characters of one argument."""
LONGEST_SHOWN = 60
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


def checked_words(words: Sequence[str]) -> None:
    """Refuse arguments that cannot be told, kept or used as names, whatever they are for.

    Raises:
        UsageError: one is empty, not in UTF-8, has control characters, or is longer than any sane
            one.
    """
    for place, word in enumerate(words, start=1):
        if problem := _problem(word):
            raise UsageError(
                f"argument {place}, {_shown(word)}: {problem}", code=Code.UNUSABLE_WORD
            )


def _problem(word: str) -> str:
    if not word.strip() or re.fullmatch(r"--[a-z-]+=\s*", word):
        return "empty. Leave the option out for its default."
    if any("\ud800" <= character <= "\udfff" for character in word):
        return "not in UTF-8. Rename what it stands for, or write it in UTF-8."
    if found := _CONTROL.search(word):
        return f"has the control character {found[0]!r}. Leave it out."
    if len(word) > LONGEST_WORD:
        return f"{len(word)} characters, and arguments have {LONGEST_WORD} at most. Shorten it."
    return ""


def _shown(word: str) -> str:
    return ascii(word if len(word) <= LONGEST_SHOWN else f"{word[:LONGEST_SHOWN]}...")


def among(kind: type[StrEnum]) -> str:
    """Return how help shows what `choice` takes."""
    return f"{{{','.join(str(member.value) for member in kind)}}}"


def choice(kind: type[E]) -> Callable[[str], E]:
    """Return a type for one of the members of an enumeration, by its value."""

    def chosen(text: str) -> E:
        if text not in {str(member.value) for member in kind}:
            raise ValueError(f"choose one of {', '.join(str(member.value) for member in kind)}")
        return kind(text)

    return _typed(chosen)


def _typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Return the same function with errors as `argparse` tells them, which adds the option."""

    def checked(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{_shown(text)}: {error}") from error
        except OSError as error:
            raise argparse.ArgumentTypeError(f"{_shown(text)}: {error.strerror}") from error

    return checked


def _path(text: str) -> Path:
    return Path(known_path(text))


def _directory(text: str) -> Path:
    """Return the path of a directory that is there, or can be made."""
    path = _path(text)
    existing = next(p for p in (path, *path.absolute().parents) if p.exists() or p.is_symlink())
    if not existing.is_dir():
        what = "not a directory" if existing == path else f"{existing} is not a directory"
        raise ValueError(f"{what}. Name one, or a place for a new one")
    return path


def _new_file(text: str) -> Path:
    """Return the path of a file to be written: there is none yet, or a regular one."""
    if text == "-":
        raise ValueError("standard output is no file. Name one; --markdown prints what is in it")
    path = _path(text)
    if (path.exists() or path.is_symlink()) and not path.is_file():
        what = "a directory" if path.is_dir() else "no regular file"
        raise ValueError(f"{what}. Name a file")
    _directory(str(path.absolute().parent))
    return path


def _new_file_or_directory(text: str) -> Path:
    """Return the path of a file to be written, or of a directory that is there."""
    path = _path(text)
    return path if path.is_dir() else _new_file(text)


def _name(text: str) -> str:
    """Return a name; empty is the default of some, and refused where it is given."""
    return known_name(text) if text else text


def _commit(text: str) -> str:
    if text and not re.fullmatch(r"[0-9a-f]{7,40}", text, re.ASCII):
        raise ValueError("give a commit by 7 to 40 hexadecimal digits")
    return text


def _duration(text: str) -> float:
    """Return seconds."""
    found = re.fullmatch(r"(\d{1,9})([smh]?)", text, re.ASCII)
    if not found or float(found[1]) * _SECONDS[found[2]] > MOST_SECONDS:
        raise ValueError("give a time such as 90s, 10m or 1h, of 30 days at most")
    return float(found[1]) * _SECONDS[found[2]]


def _shard(text: str) -> Shard:
    found = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text, re.ASCII)
    shard = Shard(index=int(found[1]), count=int(found[2])) if found else None
    if not shard or not 1 <= shard.index <= shard.count <= MOST_SHARDS:
        raise ValueError(f"give a shard such as 2/4: from 1/n to n/n, n at most {MOST_SHARDS}")
    return shard


def _label(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text, re.ASCII):
        raise ValueError("give a runner's label such as ubuntu-latest: letters, digits, '.-_'")
    return text


path = _typed(_path)
"""A file or directory to read."""
directory = _typed(_directory)
"""A directory to write to."""
new_file = _typed(_new_file)
"""A file to write."""
new_file_or_directory = _typed(_new_file_or_directory)
"""A file to write, or the directory for it."""
text = str
"""Any other text: a set of flags or options, a glob, a shape, an id."""
name = _typed(_name)
"""A version, revision, input, layer, …."""
commit = _typed(_commit)
shard = _typed(_shard)
"""Such as 2/4."""
shards = _typed(Whole(1, MOST_SHARDS))
label = _typed(_label)
"""Of a machine that runs jobs."""
repository = _typed(known_repository)
"""A clone by its path, or a URL."""
processes = _typed(Whole(1, MOST_PROCESSES))
threads = _typed(Whole(1, MOST_PROCESSES))
cases = _typed(Whole(1, 1_000_000))
seed = _typed(Whole(0, MOST_SEED))
revisions = _typed(Whole(0, 100_000))
"""How many to sample."""
kib = _typed(Whole(1, 1 << 20))
gib = _typed(Real(0, MOST_GIB))
error = _typed(Real(1e-30, 1e30))
"""An error to allow, relative to something."""
threshold = _typed(Real(-1e30, 1e30))
"""Of any metric; decibels may be negative."""
duration = _typed(_duration)
"""Such as 90s, 10m or 1h; in seconds."""
