"""Which code this is: workers with other code would give other numbers."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import harness
from harness.domain.spec import content_key
from harness.util.files import sha256_of

CODE = (".py", ".cpp", ".h", ".cmake", ".toml", ".lock")


@cache
def release() -> str:
    """Return the version of this harness with a digest of its code, such as `0.9.0 (3f…)`."""
    root = Path(harness.__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix in CODE)
    digest = content_key({path.relative_to(root).as_posix(): sha256_of(path) for path in files})
    return f"{harness.__version__} ({digest})"
