"""The table of what the corpus expects against what was found, for people."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from harness.analysis.corpus.trials import Role, TrialState
from harness.domain.formatting import count, number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from harness.advisories.advisory import Advisory
    from harness.analysis.corpus.trials import Result

_STYLES = {
    TrialState.AS_EXPECTED: "green",
    TrialState.DIFFERS: "bold red",
    TrialState.NOT_RUN: "dim",
}


def show_corpus(
    console: Console,
    results: Sequence[tuple[Advisory, Sequence[Result]]],
    left_out: Mapping[str, Sequence[str]],
) -> None:
    """Print a row for each advisory, a line for each thing that is not as it says, and a summary.

    Args:
        console: where to.
        results: what came of each advisory.
        left_out: ids of advisories with releases that they were not run in, by the reason.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("advisory", "expected", "bad", "good", "fix", "error", "found"):
        table.add_column(heading)
    for advisory, found in results:
        state = state_of(found)
        table.add_row(
            advisory.id,
            advisory.expect,
            *(_share(found, role) for role in Role),
            _errors(found),
            Text(state, style=_STYLES[state]),
        )
    console.print(table)
    for line in lines_of([each for _, found in results for each in found]):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    for reason, names in left_out.items():
        console.print(f"{reason}: {', '.join(names)}", highlight=False, soft_wrap=True)
    states = Counter(state_of(found) for _, found in results)
    parts = ", ".join(f"{states[state]} {state}" for state in TrialState if states[state])
    console.print(f"{count(len(results), 'known fault')}: {parts}", highlight=False)


def state_of(found: Sequence[Result]) -> TrialState:
    """Return what came of an advisory: one difference is enough, and one run, too."""
    states = {result.state for result in found}
    return next(
        (s for s in (TrialState.DIFFERS, TrialState.AS_EXPECTED) if s in states), TrialState.NOT_RUN
    )


def _share(found: Sequence[Result], role: Role) -> str:
    mine = [result for result in found if result.trial.role is role]
    right = sum(result.state is TrialState.AS_EXPECTED for result in mine)
    return f"{right} of {len(mine)}" if mine else ""


def _errors(found: Sequence[Result]) -> str:
    """Return the range of errors where it is bad."""
    errors = [r.verdict.error for r in found if r.verdict and r.trial.role is Role.BAD]
    return (
        " … ".join(dict.fromkeys(number(e) for e in (min(errors), max(errors)))) if errors else ""
    )


def lines_of(found: Sequence[Result]) -> list[str]:
    """Return a line for each trial that differs, was not run, or is odd."""
    lines = []
    for result in found:
        if result.state is TrialState.DIFFERS:
            wanted = result.trial.advisory.expect if result.trial.role is Role.BAD else "ok"
            lines.append(f"{result.trial.name}: {wanted} expected, found {result.found}")
        elif result.state is TrialState.NOT_RUN:
            lines.append(f"{result.trial.name}: not run: {result.reason}")
        elif result.remark:
            lines.append(f"{result.trial.name}: {result.remark}")
    return lines
