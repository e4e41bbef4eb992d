"""One fault, tried: the disturbed run, the one after it, and what must hold in both."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from faults import confinement, processes
from faults.baseline import run_of
from faults.fault import SAME
from faults.run import NeverHappenedError, untimed
from faults.table import (
    accusations,
    differences,
    measured_when,
    records_of,
    table_of,
    wrong_numbers,
)
from harness.util.errors import EXIT_INTERNAL

if TYPE_CHECKING:
    from pathlib import Path

    from faults.baseline import Baseline
    from faults.fault import Fault
    from faults.run import Ended
    from faults.stage import Stage
    from faults.table import Table

GRACE_SECONDS = 5.0
"""How long processes may take to end behind the harness."""
ATTEMPTS = 3
"""How often a fault is tried whose moment did not come, each time with another seed."""


@dataclass(kw_only=True)
class Outcome:
    """What happened."""

    fault: Fault
    happened: str = ""
    """In words that are the same every time."""
    said: str = ""
    """The line that the disturbed run told it by."""
    wrong: list[str] = field(default_factory=list)
    """What should not have been; empty if all is as expected."""
    skipped: str = ""
    """Why it was not tried on this machine."""
    output: str = ""
    """All that was printed, for whoever looks for the reason."""

    @property
    def holds(self) -> bool:
        """Whether nothing was wrong."""
        return not self.wrong


def attempt(fault: Fault, baseline: Baseline, *, seed: int) -> Outcome:
    """Try a fault and return what happened."""
    lacking = missing(fault)
    if lacking:
        return Outcome(fault=fault, skipped=lacking)
    outcome = Outcome(fault=fault)
    for number in range(ATTEMPTS):
        stage = baseline.stage(fault.config, seed=seed + number, only=fault.only)
        baseline.lay(stage, fault.start)
        try:
            outcome = _Trial(fault, baseline, stage).outcome()
        finally:
            baseline.index.reset()
            processes.end_all()
            confinement.unmount_below(stage.root)
        if not outcome.skipped:
            break
    if outcome.skipped:
        outcome.wrong.append(outcome.skipped)
        outcome.skipped = ""
    return outcome


def missing(fault: Fault) -> str:
    """Return what this machine lacks for a fault; empty if nothing."""
    if "mount" in fault.needs and not confinement.can_mount():
        return "needs the right to mount"
    if "nobody" in fault.needs and not confinement.can_be_nobody():
        return "needs the right to become another user"
    return ""


class _Trial:
    def __init__(self, fault: Fault, baseline: Baseline, stage: Stage) -> None:
        self.fault = fault
        self.stage = stage
        self.expected = self._compared(baseline.table(fault.config))
        self.code = baseline.code(fault.config)
        self.result = Outcome(fault=fault)

    def outcome(self) -> Outcome:
        try:
            struck = self.fault.strike(self.stage)
        except NeverHappenedError:
            self.result.skipped = "the moment to strike did not come"
            return self.result
        self._disturbed(struck)
        known = {} if self.fault.loses else measured_when(self.stage.results)
        self.stage.index.reset()
        self.fault.mend(self.stage)
        self._next(known)
        self.result.happened = self._words(struck)
        self.result.said = self._said(struck)
        return self.result

    def _disturbed(self, ended: Ended) -> None:
        """Look at what the disturbed run left."""
        codes = [self.code if code == SAME else code for code in self.fault.codes]
        if ended.code not in codes:
            wanted = " or ".join(map(str, codes))
            self._wrong(f"disturbed: {ended.fate}, not {wanted}", ended)
        self._common("disturbed", ended)
        if self.fault.says and not ended.line(self.fault.says):
            self._wrong(f"disturbed: nothing said that matches {self.fault.says!r}", ended)
        for path in sorted(self.stage.results.glob("*/cells.jsonl")):
            records = [r for r in records_of(path.parent) if not self._exempt(r.cell)]
            self._wrong_lines("disturbed", wrong_numbers(records, self.expected), ended)
            if not self.fault.accuses:
                self._wrong_lines("disturbed", accusations(records, self.expected), ended)
        if self.fault.tidies != "nothing":
            self._no_processes("disturbed", ended)
        if self.fault.tidies == "all":
            self._no_files("disturbed", ended)

    def _next(self, known: dict[str, set[str]]) -> None:
        """Run the same command again, undisturbed, and look at what comes of it."""
        ended = self.stage.run()
        if ended.code != self.code and not self.fault.spoils:
            self._wrong(f"next run: {ended.fate}, not exit code {self.code}", ended)
        self._common("next run", ended)
        run = run_of(ended)
        if run is None:
            self._wrong("next run: no results", ended)
        else:
            records = [record for record in records_of(run) if not self._exempt(record.cell)]
            found = table_of(records)
            self._wrong_lines("next run", differences(found, self.expected), ended)
            lost = [r.cell for r in records if r.finished not in known.get(r.cell, {r.finished})]
            self._wrong_lines("next run", [f"{cell}: measured again" for cell in lost], ended)
        self._no_processes("next run", ended)
        self._no_files("next run", ended)

    def _common(self, when: str, ended: Ended) -> None:
        if ended.has_traceback or ended.code == EXIT_INTERNAL:
            self._wrong(f"{when}: traceback ({_last_line(ended.output)})", ended)
        outside = self.stage.outside()
        if outside:
            self._wrong(f"{when}: written outside: {', '.join(outside)}", ended)

    def _no_processes(self, when: str, ended: Ended) -> None:
        left = processes.left_over(GRACE_SECONDS)
        if left:
            names = ", ".join(sorted({process.name for process in left}))
            self._wrong(f"{when}: left running: {names}", ended)
            processes.kill(left)

    def _no_files(self, when: str, ended: Ended) -> None:
        files = self.stage.leftovers()
        if files:
            self._wrong(f"{when}: left in the temporary directory: {', '.join(files)}", ended)

    def _wrong(self, words: str, ended: Ended) -> None:
        self.result.wrong.append(words)
        self.result.output += f"--- {words}\n{ended.output[-6000:]}\n"

    def _wrong_lines(self, when: str, lines: list[str], ended: Ended) -> None:
        for line in lines[:2]:
            self._wrong(f"{when}: {line}", ended)

    def _compared(self, table: Table) -> Table:
        return {cell: row for cell, row in table.items() if not self._exempt(cell)}

    def _exempt(self, cell: str) -> bool:
        return bool(self.fault.spoils) and fnmatchcase(cell, self.fault.spoils)

    def _words(self, ended: Ended) -> str:
        """Return what happened without anything that chance decides."""
        if self.result.wrong:
            return "; ".join(
                dict.fromkeys(steady(line, self.stage.root) for line in self.result.wrong)
            )
        codes = {self.code if code == SAME else code for code in self.fault.codes}
        fate = f"{ended.fate}; " if len(codes) == 1 else ""
        return f"{fate}the next run has the undisturbed table"

    def _said(self, ended: Ended) -> str:
        return steady(ended.line(self.fault.says), self.stage.root) if self.fault.says else ""


def _last_line(text: str) -> str:
    """Return the line that names an exception."""
    lines = re.findall(r"^\w[\w.]*(?:Error|Exception|Interrupt|Exit)\b.*$", text, re.MULTILINE)
    return lines[-1][:200] if lines else ""


def steady(text: str, root: Path) -> str:
    """Return a line without the times, numbers and names that differ from run to run."""
    text = untimed(text.replace(str(root), "STAGE"))
    text = re.sub(r"\b[0-9a-f]{12,64}\b", "…", text)
    text = re.sub(r"\b\d{8}-\d{6}\b", "…", text)
    text = re.sub(r"/tmp/ncnn-matrix-([a-z]+)-\w{8}(?=/)", r"/tmp/ncnn-matrix-\1-…", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:…", text)
    return re.sub(r"\b\d+(\.\d+)? (MiB|GiB|s\b)", r"… \2", text)
