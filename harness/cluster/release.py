"""Which code this is: workers with other code would give other numbers."""

from __future__ import annotations

import harness
from harness.domain.code_digest import code_digest

CODE = (".py", ".cpp", ".h", ".cmake", ".toml", ".lock")


def release() -> str:
    """Return the version of this harness with a digest of its code, such as `0.9.0 (3f…)`."""
    return f"{harness.__version__} ({code_digest(('.',), CODE)})"
