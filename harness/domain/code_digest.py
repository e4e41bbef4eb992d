"""A key of the harness's own code: what it decided is stale where it is written otherwise."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import harness
from harness.domain.spec import content_key
from harness.util.files import sha256_of


@cache
def code_digest(folders: tuple[str, ...], suffixes: tuple[str, ...] = (".py",)) -> str:
    """Return a key of the names and contents of all files in some folders of the harness.

    Args:
        folders: relative to the package, such as `analysis/conversion`; `.` for all of it.
        suffixes: of the files that count.
    """
    root = Path(harness.__file__).parent
    files = [
        p for name in folders for suffix in suffixes for p in (root / name).rglob(f"*{suffix}")
    ]
    return content_key({path.relative_to(root).as_posix(): sha256_of(path) for path in files})
