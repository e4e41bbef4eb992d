"""Builds versions with the layers that cases need, and runs the cases in them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis.corpus.trials import Result
from harness.sources.options import most_exact, read_option_fields
from harness.util.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.analysis.corpus.trials import Trial
    from harness.build.resolver import BuildResolver
    from harness.cases.judgement import CaseVerdict
    from harness.cases.layer_case import LayerCase
    from harness.domain.spec import FlagSet, Revision, RunSpec
    from harness.execution.case_runner import CaseRunner


@dataclass(frozen=True, kw_only=True)
class CorpusRunner:
    """Runs trials, those that share version and flags in one build."""

    resolver: BuildResolver
    runner: CaseRunner
    say: Callable[[str], None]

    def run(self, trials: Sequence[Trial]) -> Iterator[Result]:
        """Yield what came of trials, build by build."""
        groups: dict[tuple[Revision, FlagSet], list[Trial]] = defaultdict(list)
        for trial in trials:
            groups[trial.place.revision, trial.flags].append(trial)
        for number, ((revision, flags), group) in enumerate(groups.items(), start=1):
            self.say(f"build {number} of {len(groups)}: {revision.label}-{flags.name}")
            try:
                verdicts = self._measured(revision, flags, group)
            except HarnessError as error:
                yield from (Result(trial=t, verdict=None, reason=str(error)) for t in group)
                continue
            for trial in group:
                verdict = verdicts[trial.advisory.layer_case.id, trial.run.name]
                yield Result(trial=trial, verdict=verdict)

    def _measured(
        self, revision: Revision, flags: FlagSet, group: Sequence[Trial]
    ) -> dict[tuple[str, str], CaseVerdict]:
        """Return verdicts by case and name of the run options.

        Raises:
            HarnessError: the version cannot be had, or not built and run here.
        """
        wanted: dict[LayerCase, dict[str, RunSpec]] = defaultdict(dict)
        for trial in group:
            wanted[trial.advisory.layer_case][trial.run.name] = trial.run
        tree = self.resolver.source(revision).path
        layers = frozenset[str]().union(*(case.param.layer_types() for case in wanted))
        build = self.resolver.build_with(revision, flags, layers)
        runner = replace(self.runner, exact=most_exact(read_option_fields(tree)))
        requests = [(case, list(runs.values())) for case, runs in wanted.items()]
        return {
            (record.case, name): verdict
            for record in runner.run(build, requests)
            for name, verdict in record.verdicts.items()
        }
