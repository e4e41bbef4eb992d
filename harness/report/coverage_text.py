"""What is said of what the cases of a sweep reached: rows for any table, and the terminal's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from harness.domain.formatting import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from harness.domain.coverage import BuildCoverage, LayerCoverage, Reached

NAMES = 4
"""Functions that a row names."""
NOTE = (
    "Lines and branches of the kernels of this processor (of the naive layer where there are "
    "none). What the preprocessor leaves out for these flags does not count."
)


@dataclass(frozen=True, kw_only=True)
class CoverageRow:
    """What a table says of a layer type."""

    layer: str
    lines: str
    branches: str
    never_entered: str
    """Functions that no case entered, the first few by name."""
    not_compiled: str
    """How many sources have no code in the build, by their folder."""

    @property
    def cells(self) -> tuple[str, ...]:
        """In the order of `HEADINGS`."""
        return self.layer, self.lines, self.branches, self.never_entered, self.not_compiled


HEADINGS = ("layer", "lines reached", "branches reached", "never entered", "not in this build")


def coverage_rows(build: BuildCoverage) -> list[CoverageRow]:
    """Return a row for each layer type, the least reached first."""
    layers = sorted(build.layers, key=lambda each: (each.branches.share, each.lines.share))
    return [_row(layer) for layer in layers]


def _row(layer: LayerCoverage) -> CoverageRow:
    return CoverageRow(
        layer=layer.layer,
        lines=_reached(layer.lines),
        branches=_reached(layer.branches),
        never_entered=_some(layer.never_entered),
        not_compiled=_by_folder(layer.not_compiled),
    )


def _reached(part: Reached) -> str:
    # Never 100 % of what is not all of it.
    return f"{int(part.share * 100)} % of {part.total}" if part.total else "none"


def _some(names: Sequence[str]) -> str:
    """Return the first few functions, instances of a template as one."""
    of_template: dict[str, list[str]] = {}
    for name in names:
        of_template.setdefault(name.partition("<")[0], []).append(name)
    words = [
        instances[0] if len(instances) == 1 else f"{base} ({len(instances)} instances)"
        for base, instances in of_template.items()
    ]
    more = len(words) - NAMES
    return ", ".join(words[:NAMES]) + (f" and {more} more" if more > 0 else "")


def _by_folder(paths: Iterable[str]) -> str:
    folders = Counter(path.partition("/")[0] if "/" in path else "naive" for path in paths)
    return ", ".join(f"{number} {folder}" for folder, number in sorted(folders.items()))


def coverage_head(build: BuildCoverage) -> str:
    """Return what is said above the table of a build."""
    lost = (
        f"; {count(build.lost, 'run')} that crashed or hung {'is' if build.lost == 1 else 'are'} "
        "not counted"
        if build.lost
        else ""
    )
    return (
        f"What {count(build.cases, 'case')} reached in {build.build}, {build.flags} "
        f"({build.compiler}){lost}"
    )


def show_coverage(console: Console, builds: Iterable[BuildCoverage]) -> None:
    """Print what was reached in each build."""
    for build in builds:
        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in HEADINGS:
            table.add_column(heading, overflow="fold")
        for row in coverage_rows(build):
            table.add_row(*map(Text, row.cells))
        console.print()
        console.print(Text(coverage_head(build), style="bold"), soft_wrap=True)
        console.print(table)
        console.print(Text(NOTE, style="dim"), soft_wrap=True)
