"""What a sweep compiles and runs, here or on the workers of a cluster."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.sweep.bench import LocalBench, compiled
from harness.analysis.sweep.preparation import prepare_subjects
from harness.analysis.sweep.runs import exact_run
from harness.config.cells import revision_of, run_of
from harness.config.flags import resolve_flag_set
from harness.domain.spec import BuildSpec, RunSpec
from harness.execution.case_runner import CaseRunner
from harness.model.param import ACTIVATIONS
from harness.sources import obtain_all

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from harness.analysis.sweep.bench import CaseBench
    from harness.analysis.sweep.laboratory import SweepSubject
    from harness.build.builder import Build
    from harness.cluster.team import Team
    from harness.config.tables import Config
    from harness.domain.spec import FlagSet, Revision
    from harness.execution.local_machine import LocalMachine
    from harness.util.build_store import Store


@dataclass(frozen=True, kw_only=True)
class SweepSource:
    """What is compiled for a sweep, and with what options it is run."""

    revisions: Sequence[Revision]
    flags: FlagSet
    layers: frozenset[str] | None
    """None for all."""
    run: RunSpec
    """With the options that all runs have."""

    @classmethod
    def of(
        cls, options: argparse.Namespace, config: Config, layers: Sequence[str] | None
    ) -> SweepSource:
        """Return what a command line asks for.

        Args:
            options: the command line.
            config: its versions, its flag set and its run options hold.
            layers: layer types; None for all.

        Raises:
            UsageError: there is no such version.
        """
        folder = options.config.resolve().parent
        return cls(
            revisions=[revision_of(version, config, folder) for version in config.matrix.versions],
            flags=resolve_flag_set(config.matrix.flags[0], config.flags, config.targets),
            # Whatever a layer may have fused as well.
            layers=None if layers is None else frozenset([*layers, *ACTIVATIONS.values()]),
            run=run_of(config.matrix.runs[0], config) if options.run else RunSpec(name="default"),
        )

    @property
    def specs(self) -> list[BuildSpec]:
        """The builds, with the layers that are wanted."""
        return [
            BuildSpec(revision=revision, flags=self.flags, layers=self.layers)
            for revision in self.revisions
        ]

    def subjects(self, store: Store) -> list[SweepSubject]:
        """Fetch the versions, and find out what is run in each.

        Raises:
            SourceError: one cannot be had.
            MachineError: no network, no space.
        """
        trees = obtain_all(self.revisions, store=store.sources, logs=store.logs)
        sources = [(revision, trees[revision].path) for revision in self.revisions]
        return prepare_subjects(sources, self.flags, base=self.run.options)

    def compiled(self, machine: LocalMachine, flags: FlagSet) -> list[Build]:
        """Compile all versions on this machine.

        Raises:
            HarnessError: one cannot be had or built.
        """
        machine.resolver.fetch(self.revisions)
        return compiled(machine.resolver, self.revisions, flags, self.layers)

    def on_machine(
        self, machine: LocalMachine, config: Config, subjects: Sequence[SweepSubject], jobs: int
    ) -> LocalBench:
        """Compile all versions on this machine, where their cases will be run.

        Raises:
            HarnessError: one cannot be had or built.
        """
        runner = CaseRunner(
            binding=machine.binding.result,
            tolerance=config.tolerance,
            exact=exact_run(subjects[0].runs),
            memory_bytes=config.limits.memory_bytes,
            workers=jobs,
        )
        return LocalBench(runner=runner, builds=self.compiled(machine, self.flags))

    def on_team(self, team: Team, subjects: Sequence[SweepSubject], cases: int) -> CaseBench:
        """Have all versions compiled on workers, where their cases will be run.

        Args:
            team: the workers.
            subjects: the versions.
            cases: how many each version is to run, about.

        Raises:
            HarnessError: one cannot be had or built, or no worker is left.
        """
        bench = importlib.import_module("harness.cluster.bench")
        made: CaseBench = bench.ClusterBench(
            team, self.specs, exact=exact_run(subjects[0].runs), cases=cases
        )
        return made
