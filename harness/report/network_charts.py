"""Pictures along the network: errors of the chain, of each layer alone, and of all builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import altair as alt

from harness.domain.formatting import short
from harness.report.chart_parts import (
    COLOURS,
    ERROR,
    FLOOR,
    PICKED,
    SHOWN,
    Layer,
    Picture,
    Spec,
    finished,
    flag_colour,
    flag_legend,
    limit,
    log,
    log_axis,
    parameters,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.verdict import Tolerance
    from harness.report.dataset import Scope

_RAMP = ("#2166ac", "#f2f2f2", "#b2182b")


_DECADES = 3
"""How far from the limit the colours of the heat map reach."""


_ALONG = "layer, along the network"


def network_pictures(scope: Scope, tolerance: Tolerance, curves: Sequence[Spec]) -> list[Picture]:
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
            legend=flag_legend(scope),
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
                legend=flag_legend(scope),
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
        .add_params(*parameters(scope))
        .transform_filter(f"{PICKED} && {SHOWN}")
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
    y = alt.Y("drawn:Q", title=ERROR, scale=log(), axis=log_axis())
    colour = flag_colour(scope)
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
    drawn: list[Layer] = [lines, points, limit(tolerance.layer)]
    if crosses:
        drawn.append(_broken())
    return finished(alt.layer(*drawn), height=280)


def _broken() -> alt.Chart:
    """Return crosses at the top where values are no numbers."""
    marks: alt.Chart = (
        alt.Chart(alt.NamedData("curves"))
        .mark_point(shape="cross", filled=True, size=60, color=COLOURS[2])
        .encode(x="layer:Q", y=alt.value(4), tooltip=alt.Tooltip("build:N", title="NaN or ∞ in"))
    )
    return marks.transform_filter(
        f"{PICKED} && {SHOWN} && length(datum.bad) > 0"
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
    return finished(chart, height=60 + 13 * len(builds))
