"""What happens to files: a table of damage, for tests of what must get over it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

Damage = Callable[[Path], object]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
    path.write_bytes(content or b"x")


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n# more\n")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


OF_FILES: dict[str, Damage] = {
    "deleted": lambda path: path.unlink(),
    "emptied": lambda path: path.write_bytes(b""),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "longer": _longer,
    "one bit": _flip,
    "null": lambda path: path.write_bytes(b"null"),
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "not UTF-8": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "directory": _directory,
    "pipe": _pipe,
    "loop": _loop,
}


def _file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_bytes(b"null")


def _empty(path: Path) -> None:
    shutil.rmtree(path)
    path.mkdir()


def _dangling(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to("nowhere")


OF_DIRECTORIES: dict[str, Damage] = {
    "deleted": shutil.rmtree,
    "emptied": _empty,
    "file": _file,
    "dangling": _dangling,
}


def damages(entry: Path) -> Iterator[tuple[str, Path, Damage]]:
    """Yield all that may happen to an entry and its files: a name, the path, what does it."""
    folders = [
        entry,
        *(path for path in entry.rglob("*") if path.is_dir() and not path.is_symlink()),
    ]
    files = [path for path in entry.rglob("*") if path.is_file()] if entry.is_dir() else [entry]
    for path in files:
        yield from ((f"{path.name} {name}", path, damage) for name, damage in OF_FILES.items())
    for path in folders if entry.is_dir() else []:
        found = OF_DIRECTORIES.items()
        yield from ((f"{path.name} {name}", path, damage) for name, damage in found)
