"""From a change that a sweep found to the commit that made it: a bisection of its smallest case."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.analysis.bisection.result import BisectionResult
from harness.analysis.sweep.finding import CommitFound
from harness.analysis.sweep.suspects import State
from harness.cases.layer_case import parse_case
from harness.cases.project import write_project
from harness.commands import bisect
from harness.util.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rich.console import Console

    from harness.analysis.sweep.finding import SweepFinding

ANSWER = "bisection.json"


@dataclass(frozen=True, kw_only=True)
class SweepBisection:
    """Bisects findings."""

    options: argparse.Namespace
    """Those of the sweep: its repository, store, flags."""
    folder: Path
    """Where answers go."""
    console: Console

    def commits(self, finding: SweepFinding) -> tuple[CommitFound, ...]:
        """Return the commit of each change of a finding, or why there is none."""
        return tuple(self._commit(finding, older, newer) for older, newer in transitions(finding))

    def _commit(self, finding: SweepFinding, older: int, newer: int) -> CommitFound:
        becomes_bad = finding.states[newer] is State.BAD
        versions = [finding.builds[place].partition("#")[0] for place in (older, newer)]
        config = write_project(
            parse_case(finding.case),
            self.folder / finding.id,
            versions=versions,
            flags=self.options.flags.partition(",")[0],
            run="default",
        )
        good, bad = versions if becomes_bad else reversed(versions)
        parser = argparse.ArgumentParser()
        bisect.add_arguments(parser)
        words = ["--config", str(config), "--good", good, "--bad", bad]
        words += ["--flags", finding.flags, "--run", finding.run]
        words += ["--builds", str(self.options.builds), "--results", str(config.parent)]
        words += ["--jobs", str(self.options.jobs)]
        words += ["--repo", self.options.repo] if self.options.repo else []
        words += [] if becomes_bad else ["--find-fix"]
        found = CommitFound(before=versions[0], after=versions[1], becomes_bad=becomes_bad)
        try:
            bisect.execute(parser.parse_args(words))
        except HarnessError as error:
            return found.model_copy(update={"problem": str(error)})
        return _answer(found, config.parent)


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
    known = [place for place, state in enumerate(finding.states) if state is not State.UNKNOWN]
    for older, newer in pairwise(known):
        if finding.states[older] is not finding.states[newer]:
            yield older, newer
