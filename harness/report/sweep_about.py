"""What a sweep was: all that its report needs besides the records of its cases and findings."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from harness.definition import DEFINITIONS
from harness.domain.base import StoredValue
from harness.domain.verdict import Tolerance
from harness.util.codes import Code
from harness.util.errors import UsageError
from harness.util.files import write_atomically
from harness.util.kept import kept_value

if TYPE_CHECKING:
    from pathlib import Path

FILE = "sweep.json"


class Reference(StrEnum):
    """What the cases of a layer type are compared with."""

    DEFINITION = "float64 definition"
    """ncnn's own definition of the layer, evaluated in float64."""
    EXACT_RUN = "exact run"
    """The same build with every optimisation off: there is no definition here."""


def reference_of(kind: str) -> Reference:
    """Return what cases of a layer type are compared with."""
    return Reference.DEFINITION if kind in DEFINITIONS else Reference.EXACT_RUN


class SweptBuild(StoredValue):
    """One build of a sweep."""

    label: str
    """Names it in the sweep."""
    version: str
    id: str
    source: str = ""
    source_digest: str = ""
    compiler: str = ""
    runs: dict[str, str] = {}
    """Names of the run options that cases are run with, and what each is as `--run` takes it."""
    left_out: dict[str, dict[str, int]] = {}
    """By layer type, why cases were not run in it, and how many."""


class SweepAbout(StoredValue):
    """What a sweep was."""

    schema_version: int = 1
    builds: tuple[SweptBuild, ...]
    """Oldest version first."""
    flags: str
    """Flag set of all builds."""
    seed: int
    """Of the cases."""
    cases: int
    """How many were made up for each build."""
    references: dict[str, Reference]
    """By layer type."""
    arguments: tuple[str, ...] = ()
    """What the command was told besides versions and cases."""
    tolerance: Tolerance
    machine: dict[str, str] = {}
    harness: str = ""
    """Version of this tool."""
    finished: str = ""
    """When, ISO 8601."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the builds, oldest version first."""
        return tuple(build.label for build in self.builds)

    @property
    def versions(self) -> tuple[str, ...]:
        """The builds' versions, in their order."""
        return tuple(build.version for build in self.builds)

    def run_name(self, words: str) -> str:
        """Return the name of run options that `--run` takes as `words`; these if none has it."""
        names = (n for build in self.builds for n, text in build.runs.items() if text == words)
        return next(names, words)


def write_about(about: SweepAbout, folder: Path) -> None:
    """Put it into a run directory, which by that is one of a sweep."""
    write_atomically(folder / FILE, about.model_dump_json(indent=1))


def is_sweep(folder: Path) -> bool:
    """Return whether a run directory is one of a finished sweep."""
    return (folder / FILE).is_file()


def read_about(folder: Path) -> SweepAbout:
    """Read it.

    Raises:
        UsageError: the directory is not one of a finished sweep, or the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        raise UsageError(
            f"{folder}: no {FILE} in it, so this is no finished sweep. Give the directory of one.",
            code=Code.NO_RESULTS,
        )
    about = kept_value(path, SweepAbout.model_validate_json)
    if about is None:
        raise UsageError(
            f"{path}: not what a sweep writes. Restore it, or run the sweep again.",
            code=Code.STRANGE_RESULTS,
        )
    return about
