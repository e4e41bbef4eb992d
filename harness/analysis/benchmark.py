"""How long each way to a finished cell takes, beside the naive one on the same machine."""

from __future__ import annotations

import csv
import io
import os
import shutil
import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build import cmake
from harness.build.builder import Builder
from harness.build.plan import BuildPlan, configure_command
from harness.domain.spec import BuildSpec, CellSpec, FlagSet, Revision
from harness.sources.git import git
from harness.util.build_store import Store
from harness.util.errors import BuildError, MachineError
from harness.util.process import run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.build.resolver import BuildResolver
    from harness.execution.cell_runner import CellRunner
    from harness.model.prepared_model import PreparedModel
    from harness.reference.prepared_input import PreparedInput

ONE_LAYER = frozenset({"InnerProduct"})
COMMITS = 3
SECONDS = 4 * 3600.0
"""Time limit of any one step."""


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One line of the benchmark."""

    what: str
    seconds: float
    """Wall time."""
    load: float
    """How many processes wanted a core in the last minute, these included."""
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """What is measured: one revision and flag set, and what it is compared with."""

    resolver: BuildResolver
    """Plans builds; sources come from its store."""
    scratch: Path
    """An empty directory; every cold build has a store of its own in it."""
    revision: Revision
    other: Revision
    flags: FlagSet
    other_flags: FlagSet
    model: PreparedModel
    jobs: int
    notify: Callable[[str], None] = lambda _: None
    """Told what is timed now, and how far a plain build is."""

    def naive(self, flags: FlagSet) -> Timing:
        """Time CMake and Ninja on the whole library, as somebody without this tool runs them.

        Raises:
            BuildError: it does not compile.
        """
        plan = self._plan(self.revision, flags, None)
        build = self.scratch / "naive"
        log = self.scratch / "naive.log"
        shutil.rmtree(build, ignore_errors=True)

        def watch(line: str) -> None:
            steps = cmake.progress(line)
            if steps:
                self.notify(f"naive, {flags.name}: {steps[0]} of {steps[1]} files")

        def both() -> None:
            steps: tuple[list[str | Path], ...] = (
                configure_command(plan, plan.tree.path, build),
                [cmake.NINJA, "-C", build, "-j", str(self.jobs), "ncnn"],
            )
            for command in steps:
                done = run(command, log=log, timeout=SECONDS, watch=watch)
                if not done.ok:
                    error = cmake.first_error(done.output)
                    raise BuildError(f"the naive build failed: {error} (log: {log})")

        return self._timed(f"naive, {flags.name}", both)

    def builds(self) -> Iterator[Timing]:
        """Time the ways to a build that this tool has, the cold ones first.

        Raises:
            BuildError: something does not compile.
        """
        one = self._plan(self.revision, self.flags, ONE_LAYER)
        yield self._build("cold, one layer", one, self._builder("one"))
        layers = self.model.graph.layer_types()
        trimmed = self._plan(self.revision, self.flags, layers)
        builder = self._builder("trimmed")
        yield self._build("cold, trimmed", trimmed, builder)
        yield self._build("cached", trimmed, builder)
        other = self._plan(self.other, self.flags, layers)
        yield self._build("other version", other, builder, note=self.other.label)
        flags = self._plan(self.revision, self.other_flags, layers)
        yield self._build("other flag set", flags, builder, note=self.other_flags.name)

    def commits(self, repo: str, newest: str) -> Timing:
        """Time the builds of some commits, each after its predecessor.

        Args:
            repo: git repository.
            newest: the last of them; the others are the first parents before it that touch `src`.

        Raises:
            SourceError: no such repository or revision.
            BuildError: one does not compile.
        """
        count = f"--max-count={COMMITS + 1}"
        listed = git(Path(repo), "rev-list", "--first-parent", count, newest, "--", "src")
        builder = self._builder("commits")
        seconds = []
        for sha in reversed(listed.decode().split()):
            revision = Revision(label=sha[:12], kind="git", name=sha, where=repo)
            plan = self._plan(revision, self.flags, self.model.graph.layer_types())
            seconds.append(self._build("next commit", plan, builder).seconds)
        middle = statistics.median(seconds[1:])
        each = ", ".join(f"{value:.1f}" for value in seconds[1:])
        return Timing(
            what="next commit",
            seconds=middle,
            load=os.getloadavg()[0],
            note=f"median of {each} s up to {newest}",
        )

    def cells(
        self, cells: Sequence[CellSpec], inputs: Sequence[PreparedInput], runner: CellRunner
    ) -> Timing:
        """Time one cell, all its measurements included, after `builds`."""
        plan = self._plan(self.revision, self.flags, self.model.graph.layer_types())
        resolver = replace(self.resolver, builder=self._builder("trimmed"))
        build = resolver.make(plan)
        own = [replace(cell, build=plan.spec) for cell in cells]
        timing = self._timed(
            "run", lambda: runner.run(own, build, self.model, inputs, recall=False)
        )
        note = f"per cell, of {len(own)} that share a process"
        return replace(timing, what="run one cell", seconds=timing.seconds / len(own), note=note)

    def matrix(self, config: Path) -> Iterator[Timing]:
        """Time a whole matrix in a new store, then once more.

        Raises:
            MachineError: it does not come to an end.
        """
        command: list[str | Path] = [sys.executable, "-m", "harness", "matrix", "--fresh"]
        command += ["--config", config, "--jobs", str(self.jobs)]
        command += ["--builds", self.scratch / "matrix", "--results", self.scratch / "results"]
        log = self.scratch / "matrix.log"

        def whole() -> None:
            done = run(command, log=log, timeout=SECONDS)
            if done.returncode not in (0, 1):
                raise MachineError(f"the matrix ended with {done.fate}. See {log}.")

        for what in ("cold, matrix", "warm, matrix"):
            yield self._timed(what, whole, note=config.name)

    def _build(self, what: str, plan: BuildPlan, builder: Builder, *, note: str = "") -> Timing:
        return self._timed(what, lambda: builder.build(plan), note=note)

    def _timed(self, what: str, action: Callable[[], object], *, note: str = "") -> Timing:
        self.notify(f"{what} {note}".strip())
        started = time.perf_counter()
        action()
        seconds = time.perf_counter() - started
        return Timing(what=what, seconds=seconds, load=os.getloadavg()[0], note=note)

    def _builder(self, name: str) -> Builder:
        return Builder(store=Store(root=self.scratch / name), jobs=self.jobs, timeout=SECONDS)

    def _plan(self, revision: Revision, flags: FlagSet, layers: frozenset[str] | None) -> BuildPlan:
        return self.resolver.plan(BuildSpec(revision=revision, flags=flags, layers=layers))


def ratios(timing: Timing, naive: Sequence[Timing]) -> list[float]:
    """Return how many times faster than each naive build something was."""
    return [base.seconds / timing.seconds for base in naive]


def table(timings: Sequence[Timing], naive: Sequence[Timing], machine: Mapping[str, object]) -> str:
    """Return all timings as CSV, the description of the machine in each line."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    heads = [f"times faster than {base.what}" for base in naive]
    writer.writerow(["what", "seconds", *heads, "load", "note", *machine])
    for timing in timings:
        writer.writerow(
            [
                timing.what,
                f"{timing.seconds:.3f}",
                *(f"{ratio:.1f}" for ratio in ratios(timing, naive)),
                f"{timing.load:.1f}",
                timing.note,
                *machine.values(),
            ]
        )
    return stream.getvalue()
