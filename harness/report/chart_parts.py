"""What all pictures are put together from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from harness.domain.formatting import short
from harness.domain.records import Verdict

if TYPE_CHECKING:
    from harness.report.dataset import Scope

FLOOR = 1e-9
"""Where a logarithmic axis draws an error of exactly 0."""

Spec = dict[str, Any]
Layer = alt.Chart | alt.LayerChart | alt.FacetChart

VERDICTS = (
    Verdict.OK,
    Verdict.DROP,
    Verdict.BROKEN,
    Verdict.UNSTABLE,
    Verdict.MODEL_DIFFERS,
)
COLOURS = ("#2f9e5b", "#d9860a", "#d6365b", "#c2388f", "#8e5bb5")
SHAPES = ("circle", "triangle-down", "cross", "diamond", "square")
SIGNS = ("●", "▼", "✚", "◆", "■")
LINES = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b79a20", "#b279a2", "#9d755d")
ERROR = "scale-relative error"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One picture."""

    id: str
    title: str
    lead: str
    """How to read it."""
    spec: Spec
    legend: tuple[tuple[str, str], ...] = ()
    """Labels with their colours; on the page, where it wraps as the reader's screen demands."""
    ramp: tuple[str, ...] = ()
    """Colours from far below the limit to far above it."""


def parameters(scope: Scope) -> list[alt.Parameter]:
    """Return the reader's choices with their first values."""
    return [
        alt.param(name="pick_run", value=scope.runs[0]),
        alt.param(name="pick_input", value=scope.inputs[0]),
        alt.param(name="show_versions", value=list(scope.versions)),
        alt.param(name="show_flags", value=list(scope.flags)),
    ]


PICKED = "datum.run === pick_run && datum.input === pick_input"


SHOWN = "indexof(show_versions, datum.version) >= 0 && indexof(show_flags, datum.flags) >= 0"


def limit(value: float) -> Layer:
    """Return a dashed line at a limit, with its value."""
    base = alt.Chart(alt.InlineData(values=[{"limit": value}]))
    rule = base.mark_rule(strokeDash=[6, 4], strokeWidth=1.5).encode(y="limit:Q")
    text = base.mark_text(text=f"limit {short(value)}", align="left", dx=4, dy=-7, fontSize=11)
    return alt.layer(rule, text.encode(y="limit:Q", x=alt.value(0)))


def verdict_shape() -> alt.Shape:
    """Return how verdicts are told apart by shape."""
    return alt.Shape(
        "verdict:N",
        scale=alt.Scale(domain=[str(v) for v in VERDICTS], range=list(SHAPES)),
        legend=None,
    )


def flag_colour(scope: Scope) -> alt.Color:
    """Return how flag sets are told apart by colour."""
    colours = [line(place) for place in range(len(scope.flags))]
    scale = alt.Scale(domain=list(scope.flags), range=colours)
    return alt.Color("flags:N", scale=scale, legend=None)


def flag_legend(scope: Scope) -> tuple[tuple[str, str], ...]:
    """Return the legend of `flag_colour`."""
    return tuple((f"● {flags}", line(place)) for place, flags in enumerate(scope.flags))


def verdict_legend() -> tuple[tuple[str, str], ...]:
    """Return the legend of verdicts."""
    names = zip(SIGNS, VERDICTS, COLOURS, strict=True)
    return tuple((f"{sign} {verdict}", colour) for sign, verdict, colour in names)


def line(place: int) -> str:
    """Return the colour of the flag set at a place."""
    return LINES[place % len(LINES)]


def log() -> alt.Scale:
    """Return a logarithmic scale."""
    return alt.Scale(type="log")


def log_axis() -> alt.Axis:
    """Draw a line at every power of ten."""
    return alt.Axis(format="~e", values=[10.0**power for power in range(-12, 13)])


def finished(chart: Layer, *, height: int) -> Spec:
    """Return the specification; colours of text and lines are left to the page's style sheet."""
    spec: Spec = (
        chart.properties(
            width="container",
            height=height,
            background="transparent",
        )
        .configure(aria=False, font="system-ui, sans-serif", view=alt.ViewConfig(stroke=None))
        # What is drawn is checked against the schema in tests: it takes half of the time.
        .to_dict(validate=False)
    )
    return spec
