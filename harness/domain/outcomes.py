"""What happened to a measurement, and what that counts as."""

from __future__ import annotations

from enum import StrEnum


class Outcome(StrEnum):
    """What became of one measurement of one point."""

    GOOD = "good"
    BAD = "bad"
    SKIP = "skip"
    """The point cannot be tested: it says nothing about good or bad."""
    UNSTABLE = "unstable"
    """Measured, but the measurements contradict each other; treated like `SKIP`."""

    @property
    def decides(self) -> bool:
        """Whether this outcome narrows a search."""
        return self in (Outcome.GOOD, Outcome.BAD)


class Event(StrEnum):
    """What happened to a revision; all but `MEASURED` leave no number."""

    CONFIGURE_FAILED = "configure-failed"
    BUILD_FAILED = "build-failed"
    LOAD_FAILED = "load-failed"
    """The library or the model could not be loaded."""
    RUN_FAILED = "run-failed"
    """The run crashed or reported an error."""
    LACKS_LAYER = "lacks-layer"
    TIMEOUT = "timeout"
    NAN = "nan"
    """The output holds NaN or Inf that the reference has not."""
    MACHINE = "machine"
    """Something that this machine did or lacks, and no revision is to blame for."""
    MEASURED = "measured"
