"""What a person sees while a bisection works."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from harness.analysis.bisection.search_driver import Finished, Starting
from harness.domain.formatting import count
from harness.domain.outcomes import Outcome
from harness.report.console import Ticker

if TYPE_CHECKING:
    from rich.console import Console

    from harness.analysis.bisection.configurations import Difference
    from harness.analysis.delta_debugging import Progress

_STYLES = {
    Outcome.GOOD: "green",
    Outcome.BAD: "red",
    Outcome.SKIP: "yellow",
    Outcome.UNSTABLE: "yellow",
    None: "",
}


SHOWN = 4
"""Settings that are named; more are counted."""


class BisectionProgress:
    """Prints one line per event, so that a log of it can be read as well."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.build_advanced = Ticker(console, at_once=False).build_advanced

    def say(self, text: str) -> None:
        """Print one line."""
        self._print(Text(text, style="dim"))

    def __call__(self, event: Starting | Finished) -> None:
        """Show one event of a search."""
        if isinstance(event, Starting):
            left = count(event.left, "revision")
            steps = count(event.steps, "measurement")
            time = "" if event.seconds is None else f", about {duration(event.seconds)}"
            counts = f"{left} left, {steps} to go{time}"
            self._print(Text(f"{event.purpose:<8} {event.point.name}\n         {counts}"))
            if event.beside:
                names = ", ".join(point.name for point in event.beside)
                self._print(Text(f"         beside it: {names}", style="dim"))
            return
        verdict = f"{event.outcome}: " if event.outcome else ""
        text = Text("         ")
        text.append(verdict, style=_STYLES[event.outcome])
        text.append(f"{event.reason} ({duration(event.seconds)})")
        self._print(text)

    def compared(self, progress: Progress[Difference]) -> None:
        """Show what delta debugging tries next."""
        names = sorted(map(str, progress.subset))
        applied = ", ".join(names) if len(names) <= SHOWN else f"{len(names)} settings"
        suspects = count(progress.candidate, "setting")
        self._print(Text(f"compare  {suspects} under suspicion; applied: {applied or 'none'}"))

    def _print(self, text: Text) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)


def duration(seconds: float) -> str:
    """Return a time for people: `14 s`, `3 min 20 s`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"
