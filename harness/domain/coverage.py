"""How much of the sources of each layer type was run, and what was not: the record of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.domain.base import Integer, StoredValue
from harness.util.files import write_atomically
from harness.util.kept import kept_value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COVERAGE = "coverage.json"
"""Name of the file in a run directory."""


class Reached(StoredValue):
    """How many of how many."""

    reached: Integer = 0
    total: Integer = 0

    def __add__(self, other: Reached) -> Reached:
        """Return both together."""
        return Reached(reached=self.reached + other.reached, total=self.total + other.total)

    @property
    def share(self) -> float:
        """From 0 to 1; 1 where there is nothing to reach."""
        return self.reached / self.total if self.total else 1.0


class FileCoverage(StoredValue):
    """One source file, in all object files that it was compiled into."""

    file: str
    """Its path below `src/layer`, such as `x86/softmax_x86.cpp`."""
    lines: Reached
    branches: Reached
    """Each way out of a condition counts."""
    never_entered: tuple[str, ...] = ()
    """Functions that were compiled and not run, without what encloses them and their arguments."""
    unreached: tuple[tuple[Integer, Integer], ...] = ()
    """First and last line of each stretch of code that was not run."""


class LayerCoverage(StoredValue):
    """The sources of a layer type: its naive layer, and its kernels for this processor."""

    layer: str
    files: tuple[FileCoverage, ...]
    """Those with code in the build, naive first."""
    not_compiled: tuple[str, ...] = ()
    """Sources of the version that have no code in the build: most are for other processors."""

    @property
    def kernels(self) -> tuple[FileCoverage, ...]:
        """What runs: the files for this processor, or the naive layer where there are none."""
        return tuple(file for file in self.files if "/" in file.file) or self.files

    @property
    def lines(self) -> Reached:
        """Of what runs."""
        return sum((file.lines for file in self.kernels), Reached())

    @property
    def branches(self) -> Reached:
        """Of what runs."""
        return sum((file.branches for file in self.kernels), Reached())

    @property
    def never_entered(self) -> tuple[str, ...]:
        """Functions that were not run, of what runs otherwise."""
        return tuple(name for file in self.kernels for name in file.never_entered)


class BuildCoverage(StoredValue):
    """What the cases of a sweep reached in one build."""

    build: str
    """What a sweep calls it: most often its version."""
    flags: str
    """The flag set that was asked for; the build that counts differs in its compile flags."""
    compiler: str
    cases: Integer
    lost: Integer = 0
    """Runs of a case whose process died, so that nothing is known of what they reached."""
    layers: tuple[LayerCoverage, ...]


class SweepCoverage(StoredValue):
    """What the cases of a sweep reached."""

    builds: tuple[BuildCoverage, ...]


def write_coverage(folder: Path, builds: Iterable[BuildCoverage]) -> None:
    """Write what was reached into a run directory."""
    text = SweepCoverage(builds=tuple(builds)).model_dump_json(indent=1)
    write_atomically(folder / COVERAGE, text)


def read_coverage(folder: Path) -> tuple[BuildCoverage, ...]:
    """Return what was reached in each build; nothing if the run did not ask, or it is damaged."""
    found = kept_value(folder / COVERAGE, SweepCoverage.model_validate_json)
    return found.builds if found else ()
