"""The pictures, as Vega-Lite specifications that share one data set per part of the report.

Specifications name their data (`cells`, `curves`, `layers`), which the page hands to all of them,
and take what the reader has chosen as parameters whose names begin with `pick_` and `show_`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from harness.domain.formatting import short
from harness.domain.records import CellRecord, Verdict
from harness.report.dataset import Scope, date_of
from harness.report.rows import affordable, cell_row, curve_row, layer_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.commits import FaultyCommit
    from harness.domain.limits import Tolerance

FLOOR = 1e-9
"""Where a logarithmic axis draws an error of exactly 0."""
MAX_NUMBERS = 250_000
"""Layer errors in one report, about 8 bytes each: a limit to the size of the file."""

Spec = dict[str, Any]
Layer = alt.Chart | alt.LayerChart | alt.FacetChart

_VERDICTS = (Verdict.OK, Verdict.DROP, Verdict.BROKEN)
_COLOURS = ("#2f9e5b", "#d9860a", "#d6365b")
_SHAPES = ("circle", "triangle-down", "cross")
_SIGNS = ("●", "▼", "✚")
_LINES = ("#4c78a8", "#f58518", "#e45756", "#72b7b2", "#54a24b", "#b79a20", "#b279a2", "#9d755d")
_RAMP = ("#2166ac", "#f2f2f2", "#b2182b")
_DECADES = 3
"""How far from the limit the colours of the heat map reach."""
_ERROR = "scale-relative error"
_ALONG = "layer, along the network"


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


@dataclass(frozen=True, kw_only=True)
class Pictures:
    """The pictures of one part of the report."""

    pictures: tuple[Picture, ...]
    data: dict[str, list[dict[str, Any]]]
    """Rows by the name of the data set."""
    left_out: tuple[str, ...]
    """Cells whose layers are not drawn, to keep the file small."""


def draw(
    scope: Scope,
    tolerance: Tolerance,
    commits: Sequence[FaultyCommit] = (),
    recommended: Sequence[CellRecord] = (),
    *,
    numbers: int = MAX_NUMBERS,
) -> Pictures:
    """Return the pictures of a scope; those that would show nothing are left out.

    Args:
        scope: the cells of one model on one machine.
        tolerance: the limits to draw.
        commits: those at fault, to mark.
        recommended: cells to mark with a star.
        numbers: how many layer errors to draw at most.
    """
    names = layer_names(scope.records)
    drawn, left_out = affordable(scope.records, len(names), numbers)
    best = {record.cell for record in recommended}
    by_flags = sorted(scope.records, key=lambda record: scope.flags.index(record.flags))
    cells = [cell_row(record, best) for record in by_flags if record.output]
    curves = [curve_row(record, names) for record in drawn]
    pictures = []
    if curves:
        pictures += _networks(scope, tolerance, curves)
    if len({row["version"] for row in cells}) > 1:
        pictures.append(_history(scope, tolerance, commits))
    if any(row["ms"] is not None for row in cells):
        pictures.append(_price(scope, tolerance, bool(best)))
    layers = [{"layer": i, "name": n, "type": t} for i, (n, t) in enumerate(names)]
    return Pictures(
        pictures=tuple(pictures),
        data={"cells": cells, "curves": curves, "layers": layers},
        left_out=left_out,
    )


def _parameters(scope: Scope) -> list[alt.Parameter]:
    """Return the reader's choices with their first values."""
    return [
        alt.param(name="pick_run", value=scope.runs[0]),
        alt.param(name="pick_input", value=scope.inputs[0]),
        alt.param(name="show_versions", value=list(scope.versions)),
        alt.param(name="show_flags", value=list(scope.flags)),
    ]


_PICKED = "datum.run === pick_run && datum.input === pick_input"
_SHOWN = "indexof(show_versions, datum.version) >= 0 && indexof(show_flags, datum.flags) >= 0"


def _networks(scope: Scope, tolerance: Tolerance, curves: Sequence[Spec]) -> list[Picture]:
    """Return the pictures along the network."""
    layers = len(curves[0]["chain"])
    broken = any(curve["bad"] for curve in curves)
    note = f"The dashed line is the limit of {short(tolerance.layer)}"
    note += "; a cross at the top marks NaN or infinity." if broken else "."
    pictures = [
        Picture(
            id="chain",
            title="Error along the network: the chain as it runs",
            lead=f"What has piled up at each layer, one line per build. {note}",
            spec=_network(scope, tolerance, "chain", layers, crosses=broken),
            legend=_flag_legend(scope),
        )
    ]
    if any(any(curve["alone"]) for curve in curves):
        pictures.append(
            Picture(
                id="alone",
                title="Error along the network: each layer by itself",
                lead="Each layer fed with the reference's values: what it loses on its own. "
                f"The dashed line is the limit of {short(tolerance.layer)}.",
                spec=_network(scope, tolerance, "alone", layers, crosses=False),
                legend=_flag_legend(scope),
            )
        )
    pictures.append(
        Picture(
            id="heat",
            title="Layers × builds",
            lead="Each layer's own error divided by the limit (the chain's where its own was not "
            "measured): blue is below the limit, red above, pale is near it.",
            spec=_heat(scope, tolerance, curves),
            ramp=_RAMP,
        )
    )
    return pictures


def _flattened(scope: Scope, error: str) -> alt.Chart:
    """Return a chart with one row per build and layer; `error` is an expression."""
    names = alt.LookupData(alt.NamedData("layers"), key="layer", fields=["name", "type"])
    chart: alt.Chart = (
        alt.Chart(alt.NamedData("curves"))
        .add_params(*_parameters(scope))
        .transform_filter(f"{_PICKED} && {_SHOWN}")
        .transform_calculate(layer="sequence(length(datum.chain))")
        .transform_flatten(["layer", "chain", "alone"])
        .transform_calculate(error=error)
        .transform_filter("isValid(datum.error)")
        .transform_lookup("layer", from_=names)
    )
    return chart.transform_calculate(drawn=f"max(datum.error, {FLOOR})")


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("type:N", title="type"),
        alt.Tooltip("build:N", title="build"),
        alt.Tooltip("chain:Q", title="error of the chain", format=".1e"),
        alt.Tooltip("alone:Q", title="its own error", format=".1e"),
    ]


def _network(scope: Scope, tolerance: Tolerance, field: str, layers: int, *, crosses: bool) -> Spec:
    base = _flattened(scope, f"datum.{field}")
    hover = alt.selection_point(
        name="hover", fields=["build"], on="pointerover", clear="pointerout", empty=False
    )
    last = max(1, layers - 1)
    x = alt.X("layer:Q", title=_ALONG, scale=alt.Scale(domain=[0, last], nice=False))
    y = alt.Y("drawn:Q", title=_ERROR, scale=_log(), axis=_log_axis())
    colour = _flag_colour(scope)
    lines = base.mark_line(strokeJoin="round").encode(
        x=x,
        y=y,
        color=colour,
        detail="build:N",
        strokeWidth=alt.condition(hover, alt.value(3), alt.value(1.2)),
    )
    points = (
        base.mark_point(filled=True, size=30)
        .encode(
            x=x,
            y=y,
            color=colour,
            opacity=alt.condition(hover, alt.value(1), alt.value(0.25)),
            tooltip=_tooltip(),
        )
        .add_params(hover)
    )
    drawn: list[Layer] = [lines, points, _limit(tolerance.layer)]
    if crosses:
        drawn.append(_broken())
    return _finished(alt.layer(*drawn), height=280)


def _broken() -> alt.Chart:
    """Return crosses at the top where values are no numbers."""
    marks: alt.Chart = (
        alt.Chart(alt.NamedData("curves"))
        .mark_point(shape="cross", filled=True, size=60, color=_COLOURS[2])
        .encode(x="layer:Q", y=alt.value(4), tooltip=alt.Tooltip("build:N", title="NaN or ∞ in"))
    )
    return marks.transform_filter(
        f"{_PICKED} && {_SHOWN} && length(datum.bad) > 0"
    ).transform_flatten(["bad"], as_=["layer"])


def _heat(scope: Scope, tolerance: Tolerance, curves: Sequence[Spec]) -> Spec:
    drawn = {curve["build"] for curve in curves}
    every = [f"{version}-{flags}" for version in scope.versions for flags in scope.flags]
    builds = [build for build in every if build in drawn]
    own = "isValid(datum.alone) ? datum.alone : datum.chain"
    layers = len(curves[0]["chain"])
    step = max(10, layers // 150 * 10)
    axis = alt.Axis(values=list(range(0, layers, step)), labelAngle=0, labelOverlap=True)
    scale = alt.Scale(domain=[-_DECADES, 0, _DECADES], range=list(_RAMP), clamp=True)
    chart = (
        _flattened(scope, own)
        .transform_calculate(excess=f"log(datum.drawn / {tolerance.layer}) / LN10")
        .mark_rect()
        .encode(
            x=alt.X("layer:O", title=_ALONG, axis=axis),
            y=alt.Y("build:N", title=None, sort=builds, axis=alt.Axis(labelLimit=140)),
            color=alt.Color("excess:Q", scale=scale, legend=None),
            tooltip=_tooltip(),
        )
    )
    return _finished(chart, height=60 + 13 * len(builds))


def _history(scope: Scope, tolerance: Tolerance, commits: Sequence[FaultyCommit]) -> Picture:
    dated = all(date_of(version) for version in scope.versions)
    x = (
        alt.X("date:T", title="date of the version", scale=alt.Scale(nice="month"))
        if dated
        else alt.X("version:O", title="version", sort=list(scope.versions))
    )
    lines = (
        alt.Chart(alt.NamedData("cells"))
        .add_params(*_parameters(scope))
        .transform_filter(f"{_PICKED} && {_SHOWN} && isValid(datum.out)")
        .transform_calculate(drawn=f"max(datum.out, {FLOOR})")
        .encode(
            x=x,
            y=alt.Y("drawn:Q", title=f"{_ERROR}, output", scale=_log(), axis=_log_axis()),
            color=_flag_colour(scope),
            tooltip=_cell_tooltip(),
        )
    )
    # Later flag sets are thinner, so that equal lines show inside each other.
    step = min(2.2, 10 / len(scope.flags))
    width = f"1.5 + {step} * ({len(scope.flags) - 1} - indexof({list(scope.flags)}, datum.flags))"
    lines = lines.transform_calculate(width=width, area="pow(datum.width + 5, 2)")
    layers: list[Layer] = [
        lines.mark_line(strokeJoin="round").encode(
            strokeWidth=alt.StrokeWidth("width:Q", scale=None)
        ),
        lines.mark_point(filled=True, opacity=1).encode(
            shape=_verdict_shape(), size=alt.Size("area:Q", scale=None)
        ),
        _limit(tolerance.output),
    ]
    if commits and dated:
        layers.append(_marks(commits))
    marked = "; vertical lines are the commits a bisection found at fault" if commits else ""
    return Picture(
        id="history",
        title="Error against version",
        lead="The model's output, one line per flag set; ● is ok, ▼ a drop, ✚ broken. The dashed "
        f"line is the limit of {short(tolerance.output)}{marked}.",
        spec=_finished(alt.layer(*layers), height=260),
        legend=_flag_legend(scope),
    )


def _marks(commits: Sequence[FaultyCommit]) -> Layer:
    rows = [
        {"when": c.date[:10], "commit": c.short, "subject": c.subject, "effect": c.effect}
        for c in commits
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x="when:T",
        tooltip=[
            alt.Tooltip("commit:N"),
            alt.Tooltip("when:T", title="date", format="%Y-%m-%d"),
            alt.Tooltip("subject:N"),
            alt.Tooltip("effect:N"),
        ],
    )
    rule = base.mark_rule(color=_COLOURS[2], strokeWidth=2)
    text = base.mark_text(angle=270, align="right", dx=-4, dy=-6, fontSize=11)
    return alt.layer(rule, text.encode(text="commit:N", y=alt.value(0)))


def _price(scope: Scope, tolerance: Tolerance, best: bool) -> Picture:
    cells = (
        alt.Chart(alt.NamedData("cells"))
        .add_params(
            *_parameters(scope)[2:],
            alt.param(name="show_verdicts", value=[str(v) for v in _VERDICTS]),
        )
        .transform_filter(
            f"{_SHOWN} && indexof(show_verdicts, datum.verdict) >= 0 && isValid(datum.out) "
            "&& isValid(datum.ms)"
        )
        .transform_calculate(drawn=f"max(datum.out, {FLOOR})")
        .encode(
            x=alt.X("ms:Q", title="latency, ms", scale=alt.Scale(zero=False, nice=True)),
            y=alt.Y("drawn:Q", title=f"{_ERROR}, output", scale=_log(), axis=_log_axis()),
            tooltip=_cell_tooltip(),
        )
    )
    points = cells.mark_point(filled=True, size=60, opacity=0.75).encode(
        color=alt.Color(
            "verdict:N",
            scale=alt.Scale(domain=[str(v) for v in _VERDICTS], range=list(_COLOURS)),
            legend=None,
        ),
        shape=_verdict_shape(),
    )
    layers: list[Layer] = [points, _limit(tolerance.output)]
    if best:
        star = cells.transform_filter("datum.best").mark_text(text="★", fontSize=22, dy=-1)
        layers.insert(1, star)
    return Picture(
        id="price",
        title="Error against latency",
        lead="Every cell: what precision costs. Left is faster, down is more precise; ★ is the "
        f"recommended configuration, the dashed line the limit of {short(tolerance.output)}.",
        spec=_finished(alt.layer(*layers), height=280),
        legend=_verdict_legend(),
    )


def _limit(value: float) -> Layer:
    base = alt.Chart(alt.InlineData(values=[{"limit": value}]))
    rule = base.mark_rule(strokeDash=[6, 4], strokeWidth=1.5).encode(y="limit:Q")
    text = base.mark_text(text=f"limit {short(value)}", align="left", dx=4, dy=-7, fontSize=11)
    return alt.layer(rule, text.encode(y="limit:Q", x=alt.value(0)))


def _cell_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("build:N", title="build"),
        alt.Tooltip("run:N", title="run options"),
        alt.Tooltip("input:N", title="input"),
        alt.Tooltip("verdict:N", title="verdict"),
        alt.Tooltip("out:Q", title="error of the output", format=".1e"),
        alt.Tooltip("worst:Q", title="worst layer", format=".1e"),
        alt.Tooltip("ms:Q", title="latency, ms", format=".1f"),
    ]


def _verdict_shape() -> alt.Shape:
    return alt.Shape(
        "verdict:N",
        scale=alt.Scale(domain=[str(v) for v in _VERDICTS], range=list(_SHAPES)),
        legend=None,
    )


def _flag_colour(scope: Scope) -> alt.Color:
    colours = [_line(place) for place in range(len(scope.flags))]
    scale = alt.Scale(domain=list(scope.flags), range=colours)
    return alt.Color("flags:N", scale=scale, legend=None)


def _flag_legend(scope: Scope) -> tuple[tuple[str, str], ...]:
    return tuple((f"● {flags}", _line(place)) for place, flags in enumerate(scope.flags))


def _verdict_legend() -> tuple[tuple[str, str], ...]:
    names = zip(_SIGNS, _VERDICTS, _COLOURS, strict=True)
    return tuple((f"{sign} {verdict}", colour) for sign, verdict, colour in names)


def _line(place: int) -> str:
    return _LINES[place % len(_LINES)]


def _log() -> alt.Scale:
    return alt.Scale(type="log")


def _log_axis() -> alt.Axis:
    """Draw a line at every power of ten."""
    return alt.Axis(format="~e", values=[10.0**power for power in range(-12, 13)])


def _finished(chart: Layer, *, height: int) -> Spec:
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
