"""What a search inside a change found, as data."""

from __future__ import annotations

from harness.domain.base import StoredValue


class InsideAnswer(StoredValue):
    """Which part of a change of source matters."""

    parts: tuple[str, ...] = ()
    """Names of the hunks: path and line in the older source; or of files, see `level`."""
    level: str = "hunks"
    """`hunks`; `files` where the hunks alone are not what the whole is; `change` for all of it."""
    diff: str = ""
    """What they are, as a unified diff."""
    of_hunks: int = 0
    """How many hunks the change has in what takes part in a build."""
    of_files: int = 0
    evidence: tuple[str, ...] = ()
    """One line for each mixture that was measured to state it, with numbers."""
    note: str = ""
    """Why nothing was found."""
    measurements: int = 0
    seconds: float = 0.0
