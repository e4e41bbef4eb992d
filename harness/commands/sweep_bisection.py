"""From a change that a sweep found to the commit that made it: a bisection of its smallest case."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.analysis.bisection.result import BisectionResult
from harness.analysis.sweep.finding import CommitFound
from harness.analysis.sweep.suspects import FaultState
from harness.cases.layer_case import parse_case
from harness.cases.project import write_project
from harness.commands import bisect
from harness.util.errors import HarnessError
from harness.util.naming import file_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.analysis.sweep.finding import Explained, SweepFinding

ANSWER = "bisection.json"


@dataclass(frozen=True, kw_only=True)
class SweepBisection:
    """Bisects findings."""

    options: argparse.Namespace
    """Those of the sweep: its repository, store, flags."""
    folder: Path
    """Where answers go."""
    console: Console

    def completed(self, explained: Explained, *, standing: bool) -> Explained:
        """Return a finding with the commit of each change, or why there is none.

        Args:
            explained: the finding.
            standing: whether to look also for since when there is what no version is without.
        """
        finding = explained.finding
        commits = [self._commit(finding, *places) for places in transitions(finding)]
        if standing and not finding.good:
            commits.append(self._since(finding))
        return replace(explained, finding=finding.model_copy(update={"commits": tuple(commits)}))

    def _commit(self, finding: SweepFinding, older: int, newer: int) -> CommitFound:
        """Return the commit of a change between two builds."""
        becomes_bad = finding.states[newer] is FaultState.BAD
        before, after = (_version(finding.builds[place]) for place in (older, newer))
        found = CommitFound(before=before, after=after, becomes_bad=becomes_bad)
        ends = ["--good", before, "--bad", after]
        if not becomes_bad:
            ends = ["--find-fix", "--bad", before, "--good", after]
        return self._bisected(finding, found, ends)

    def _since(self, finding: SweepFinding) -> CommitFound:
        """Return the commit that made what the oldest build has already."""
        oldest = _version(finding.bad[0])
        found = CommitFound(before="", after=oldest, becomes_bad=True)
        return self._bisected(finding, found, ["--bad", oldest])

    def _bisected(
        self, finding: SweepFinding, found: CommitFound, ends: Sequence[str]
    ) -> CommitFound:
        config = write_project(
            parse_case(finding.case),
            self.folder / file_name(finding.id),
            versions=[version for version in (found.before, found.after) if version],
            flags=self.options.flags.partition(",")[0],
            run="default",
        )
        parser = argparse.ArgumentParser()
        bisect.add_arguments(parser)
        words = ["--config", str(config), *ends]
        words += ["--flags", self.options.flags, "--run", finding.run]
        words += ["--builds", str(self.options.builds), "--results", str(config.parent)]
        words += ["--jobs", str(self.options.jobs)]
        words += ["--repo", self.options.repo] if self.options.repo else []
        words += ["--scheduler", self.options.scheduler] if self.options.scheduler else []
        self.console.print(f"bisecting {finding.case} with {finding.run}", soft_wrap=True)
        try:
            bisect.execute(parser.parse_args(words))
        except HarnessError as error:
            return found.model_copy(update={"problem": str(error)})
        return _answer(found, config.parent)


def _version(label: str) -> str:
    """Return the version that a build is of, which may be there twice."""
    return label.partition("#")[0]


def _answer(found: CommitFound, folder: Path) -> CommitFound:
    """Return what the newest bisection in a folder found."""
    newest = max(folder.glob(f"*/{ANSWER}"), key=lambda path: path.stat().st_mtime)
    result = BisectionResult.model_validate_json(newest.read_text(encoding="utf-8"))
    commit = result.commit
    return found.model_copy(
        update={
            "commit": commit.sha if commit else result.release,
            "title": commit.title if commit else "",
            "certainty": result.certainty,
            "suspects": () if result.found else result.suspects,
        }
    )


def transitions(finding: SweepFinding) -> Iterator[tuple[int, int]]:
    """Yield places of neighbouring builds, as far as their states are known, that differ."""
    known = [place for place, state in enumerate(finding.states) if state is not FaultState.UNKNOWN]
    for older, newer in pairwise(known):
        if finding.states[older] is not finding.states[newer]:
            yield older, newer
