"""`doctor`: what is missing or odd on this machine, what it costs, and what mends it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from harness.commands.arguments import (
    COMMON_EXITS,
    add_builds,
    add_config,
    add_results,
)
from harness.config.loading import load_config
from harness.doctor import Finding, State, examine
from harness.doctor.probing import probe
from harness.report.console import wide_console
from harness.util.errors import EXIT_ENVIRONMENT, EXIT_FINDINGS, EXIT_OK

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from rich.console import Console

HELP = "say what is missing or odd on this machine, what it costs, and what mends it"
DESCRIPTION = """\
Looks at compilers, tools, emulators and Vulkan, processors, memory and limits, disks and the build
store, the package index, clock, locale and the kernel's means to confine a process, lock files and
pip's configuration. Nothing is changed. Each line has a state: `ok`; `missing`, which costs what
the line says; `odd`, which may spoil a run; or `not checked`.
"""
EXAMPLES = """\
examples:
  python -m harness doctor
  python -m harness doctor --offline          do not ask the package index
  python -m harness doctor --config mine.toml --builds /scratch/builds
  python -m harness doctor --json             for machines
"""
EXITS = {
    EXIT_OK: "what is needed is here, and nothing is odd; something optional may be missing",
    EXIT_FINDINGS: "something is odd",
    **COMMON_EXITS,
    EXIT_ENVIRONMENT: "something is missing without which nothing can be built or measured",
}
_STYLES = {
    State.OK: "green",
    State.MISSING: "yellow",
    State.ODD: "bold magenta",
    State.UNKNOWN: "dim",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    add_config(parser, "configuration file: what its flag sets and targets need is looked for")
    parser.add_argument("--offline", action="store_true", help="do not ask the package index")
    parser.add_argument("--json", action="store_true", help="for machines")
    add_builds(parser)
    add_results(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        ConfigError: the configuration or its lock file is not valid.
    """
    machine = probe(
        load_config(options.config),
        path=options.config,
        builds=options.builds,
        results=options.results,
        offline=options.offline,
    )
    findings = examine(machine)
    if options.json:
        entries = [{**asdict(each), "stops": each.stops} for each in findings]
        print(json.dumps({"findings": entries}, indent=1))
    else:
        _show(wide_console(), findings)
    return exit_code(findings)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return how the command ends."""
    if any(each.stops for each in findings):
        return EXIT_ENVIRONMENT
    odd = any(each.state is State.ODD for each in findings)
    return EXIT_FINDINGS if odd else EXIT_OK


def _show(console: Console, findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for _ in range(3):
        table.add_column(overflow="fold")
    for each in findings:
        table.add_row(
            Text(each.state.value, style="bold red" if each.stops else _STYLES[each.state]),
            Text(each.what),
            Text("\n".join(_lines(each))),
        )
    console.print(table)
    counts = {state: sum(each.state is state for each in findings) for state in State}
    words = ", ".join(f"{count} {state.value}" for state, count in counts.items() if count)
    stop = next((each for each in findings if each.stops), None)
    console.print(f"{words}{f'; nothing works without: {stop.what}' if stop else ''}")


def _lines(finding: Finding) -> list[str]:
    lines = [finding.found] if finding.found else []
    lines += [f"costs: {finding.cost}"] if finding.cost else []
    return lines + ([f"mend:  {finding.remedy}"] if finding.remedy else [])
