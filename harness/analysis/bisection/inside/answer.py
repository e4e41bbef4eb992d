"""What a search inside a change, or between two builds, found, as data."""

from __future__ import annotations

from harness.domain.base import StoredValue


class InsideAnswer(StoredValue):
    """Which part of a change of source matters, or of what another compilation made of it."""

    parts: tuple[str, ...] = ()
    """Names of the hunks: path and line in the older source; of functions, as in the source; or of
    files, see `level`."""
    level: str = "hunks"
    """`hunks` or `functions`; `files` where these alone are not what the whole is; `change` for all
    of it."""
    company: tuple[str, ...] = ()
    """Functions that functions of the parts call, and that are compiled on the bad side only."""
    diff: str = ""
    """What hunks are, or how functions were changed, as a unified diff."""
    code: str = ""
    """What functions are, as the source has them."""
    of_hunks: int = 0
    """How many hunks the change has in what takes part in a build."""
    of_files: int = 0
    """How many files the change has, or how many are compiled to something else."""
    of_functions: int = 0
    """How many functions these files have that could be exchanged."""
    evidence: tuple[str, ...] = ()
    """One line for each mixture that was measured to state it, with numbers."""
    note: str = ""
    """Why nothing was found."""
    measurements: int = 0
    seconds: float = 0.0
