"""What a person sees while the tool works: progress, the table, the causes."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from harness.domain.records import Verdict
from harness.execution.progress import BuildAdvanced, BuildFinished, BuildStarted, MatrixEvent
from harness.report.cause_text import cause_lines
from harness.report.summary import COLUMNS, row
from harness.util.terminal import PlainConsole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from harness.report.model import Part

STYLES = {
    Verdict.OK: "green",
    Verdict.DROP: "yellow",
    Verdict.MODEL_DIFFERS: "magenta",
    Verdict.BROKEN: "bold red",
    Verdict.UNSTABLE: "bold magenta",
    Verdict.BUILD_FAILED: "red",
    Verdict.UNSUPPORTED: "dim",
    Verdict.SKIPPED: "dim",
}


PIPE_WIDTH = 160
TICK_SECONDS = 30.0
_LISTED = 3


def wide_console() -> Console:
    """Return a console on stdout; in a pipe or a log, tables are not squeezed to 80 columns."""
    return PlainConsole() if sys.stdout.isatty() else PlainConsole(width=PIPE_WIDTH)


class Ticker:
    """Says what long work is at, in a line of its own every now and then."""

    def __init__(
        self, console: Console, *, every: float = TICK_SECONDS, at_once: bool = True
    ) -> None:
        """Begin.

        Args:
            console: where to.
            every: how many seconds to say nothing new about the same thing.
            at_once: whether something new is told at once, or only if it takes that long.
        """
        self._console = console
        self._every = every
        self._at_once = at_once
        self._told: dict[str, float] = {}
        """When something was said last, by what it was about: several things may be under way."""

    def __call__(self, text: str) -> None:
        """Tell something new, and how far the same thing is only now and then."""
        subject, now = text.partition(":")[0], time.monotonic()
        told = self._told.get(subject)
        if told is not None and now - told < self._every:
            return
        if told is not None or self._at_once:
            self._console.print(Text(f"… {text}", style="dim"), highlight=False, soft_wrap=True)
        self._told[subject] = now

    def build_advanced(self, build: str, done: int, total: int) -> None:
        """Tell how far a build is."""
        self(f"building {build}: {done} of {total} steps")


@contextmanager
def saying(console: Console, text: str) -> Iterator[Callable[[str], None]]:
    """Say what is being done: in place on a terminal, elsewhere in lines.

    Args:
        console: where to.
        text: what is done first.
    """
    if not console.is_terminal:
        ticker = Ticker(console)
        ticker(text)
        yield ticker
        return
    with console.status(Text(text)) as status:
        yield lambda words: status.update(Text(words))


class MatrixProgress:
    """Shows events as they come; on a terminal with bars, elsewhere one line each."""

    def __init__(self, console: Console, *, builds: int, cells: int) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._builds = self._progress.add_task("builds", total=builds)
        self._cells = self._progress.add_task("cells", total=cells)
        self._left = builds
        self._ticker = Ticker(console, at_once=False)

    def __enter__(self) -> MatrixProgress:
        """Start the bars."""
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the bars."""
        self._progress.stop()

    def __call__(self, event: MatrixEvent) -> None:
        """Show one event."""
        if isinstance(event, BuildStarted):
            self._progress.update(self._builds, description=f"building {event.build}")
            # What is compiled for a proof, or once more where a worker died, was not expected.
            left = f" ({self._left} builds left)" if self._left > 0 else ""
            self._say(f"building  {event.build}{left}")
        elif isinstance(event, BuildAdvanced):
            words = f"building {event.build}, {event.done} of {event.total} steps"
            self._progress.update(self._builds, description=words)
            if not self._console.is_terminal:
                self._ticker.build_advanced(event.build, event.done, event.total)
        elif isinstance(event, BuildFinished):
            self._left -= 1
            self._progress.advance(self._builds)
            self._say(_finished(event))
        else:
            record = event.record
            self._progress.advance(self._cells)
            if record.verdict.is_finding and not record.verdict.has_numbers:
                self._say(f"{record.verdict}  {record.cell}: {record.reason}")

    def build_advanced(self, build: str, done: int, total: int) -> None:
        """Show how far a build is: in place on a terminal, elsewhere in lines if it takes long."""
        self(BuildAdvanced(build=build, done=done, total=total))

    def expect(self, builds: int) -> None:
        """Take another number of builds: models by several converters need builds of their own."""
        self._left = builds
        self._progress.update(self._builds, total=builds)

    def resumed(self, path: Path, cells: int) -> None:
        """Say that an interrupted run goes on."""
        self._progress.advance(self._cells, cells)
        self._say(f"resuming  {path}: {cells} cells are there already (--fresh starts anew)")

    def proving(self, cells: int) -> None:
        """Say that cells beside the table are measured."""
        if cells:
            self._progress.reset(self._cells, total=cells)
            self._say(f"proving   which settings matter, in {cells} cells beside the table")

    def unproved(self, builds: Sequence[str]) -> None:
        """Say which builds would prove more."""
        if builds:
            more = f", and {len(builds) - _LISTED} more" if len(builds) > _LISTED else ""
            what = "; ".join(builds[:_LISTED])
            self._say(f"to settle what was not separated, --prove compiles: {what}{more}")

    def _say(self, text: str) -> None:
        self._console.print(Text(text), highlight=False, soft_wrap=True)


def _finished(event: BuildFinished) -> str:
    if event.error:
        return f"failed    {event.build}: {event.error}"
    if event.left_out:
        return f"left out  {event.build}: {event.left_out}"
    why = f", with all layers: {event.untrimmed}" if event.untrimmed else ""
    if event.cached:
        return f"cached    {event.build}{why}"
    return f"built     {event.build} in {event.seconds:.0f} s{why}"


def show(console: Console, part: Part) -> None:
    """Print the final table of a part, the cells without numbers, and the causes."""
    summary = part.summary
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in COLUMNS:
        right = name in ("output max abs", "its error", "ms")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for record in summary.records:
        if record.verdict in (Verdict.UNSUPPORTED, Verdict.SKIPPED):
            continue  # all of them are below, in one line per reason
        texts: Sequence[str] = row(record)
        style = STYLES[record.verdict]
        table.add_row(*(Text(t, style=style if t == record.verdict else "") for t in texts))
    console.print(table)
    for heading, notes in summary.sections:
        if notes:
            _heading(console, heading)
            for note, ids in notes.items():
                _item(console, f"{note} ({len(ids)}: {ids[0]}{', …' if len(ids) > 1 else ''})")
    if summary.model_notes or part.is_without_onnx:
        _heading(console, "The model's files, whatever the build")
        for note in summary.model_notes:
            _item(console, note)
        _item(console, f"cells are compared with {part.measured_against}")
    _heading(console, "Causes")
    for line in cause_lines(part):
        console.print(Text(f"  {line}"), soft_wrap=True)
    _heading(console, summary.headline)


def _heading(console: Console, text: str) -> None:
    console.print(Text(f"\n{text}", style="bold"), soft_wrap=True)


def _item(console: Console, text: str) -> None:
    console.print(Text(f"  • {text}"), soft_wrap=True)
