"""The pictures, as Vega-Lite specifications that share one data set per part of the report.

Specifications name their data (`cells`, `curves`, `layers`), which the page hands to all of them,
and take what the reader has chosen as parameters whose names begin with `pick_` and `show_`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from harness.domain.formatting import short
from harness.domain.versions import are_dated
from harness.report.chart_parts import (
    COLOURS,
    ERROR,
    FLOOR,
    PICKED,
    SHOWN,
    VERDICTS,
    Layer,
    Picture,
    finished,
    flag_colour,
    flag_legend,
    limit,
    log,
    log_axis,
    parameters,
    verdict_legend,
    verdict_shape,
)
from harness.report.network_charts import (
    network_pictures,
)
from harness.report.page_text import page_text
from harness.report.rows import affordable, cell_row, curve_row, layer_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.commits import FaultyCommit
    from harness.domain.records import CellRecord
    from harness.domain.verdict import Tolerance
    from harness.report.dataset import Scope

MAX_NUMBERS = 250_000
"""Layer errors in one report, about 8 bytes each: a limit to the size of the file."""


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
        pictures += network_pictures(scope, tolerance, curves)
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


def _history(scope: Scope, tolerance: Tolerance, commits: Sequence[FaultyCommit]) -> Picture:
    # Two versions are no history: their points stand side by side, at no distance in time.
    dated = len(scope.versions) > 2 and are_dated(scope.versions)
    x = (
        alt.X("date:T", title="date of the version", scale=alt.Scale(nice="month"))
        if dated
        else alt.X(
            "version:O", title="version", sort=list(scope.versions), axis=alt.Axis(labelAngle=0)
        )
    )
    lines = (
        alt.Chart(alt.NamedData("cells"))
        .add_params(*parameters(scope))
        .transform_filter(f"{PICKED} && {SHOWN} && isValid(datum.out)")
        .transform_calculate(drawn=f"max(datum.out, {FLOOR})")
        .encode(
            x=x,
            y=alt.Y("drawn:Q", title=f"{ERROR}, output", scale=log(), axis=log_axis()),
            color=flag_colour(scope),
            tooltip=_cell_tooltip(),
        )
    )
    several = len(scope.versions) > 2
    layers: list[Layer] = [
        *(_lines(lines, scope) if several else _points(lines, scope)),
        limit(tolerance.output),
    ]
    if commits and dated:
        layers.append(_marks(commits))
    marked = "; vertical lines are the commits a bisection found at fault" if commits else ""
    return Picture(
        id="history",
        title="Error against version",
        lead=f"The model's output, one {'line' if several else 'column'} per flag set; ● is ok, "
        f"▼ a drop, ✚ broken, ◆ unstable. The dashed line is the limit of "
        f"{short(tolerance.output)}{marked}.",
        spec=finished(alt.layer(*layers), height=260),
        legend=flag_legend(scope),
    )


def _lines(base: alt.Chart, scope: Scope) -> list[Layer]:
    """Return one line per flag set; later ones are thinner, so that equal lines show inside."""
    step = min(2.2, 10 / len(scope.flags))
    flags = json.dumps([page_text(name) for name in scope.flags])
    width = f"1.5 + {step} * ({len(scope.flags) - 1} - indexof({flags}, datum.flags))"
    lines = base.transform_calculate(width=width, area="pow(datum.width + 5, 2)")
    return [
        lines.mark_line(strokeJoin="round").encode(
            strokeWidth=alt.StrokeWidth("width:Q", scale=None)
        ),
        lines.mark_point(filled=True, opacity=1).encode(
            shape=verdict_shape(), size=alt.Size("area:Q", scale=None)
        ),
    ]


def _points(base: alt.Chart, scope: Scope) -> list[Layer]:
    """Return the points alone, side by side: lines between two versions are a fat bar."""
    beside = alt.XOffset("flags:N", sort=list(scope.flags))
    points: Layer = base.mark_point(filled=True, opacity=1, size=70).encode(
        shape=verdict_shape(), xOffset=beside
    )
    return [points]


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
    rule = base.mark_rule(color=COLOURS[2], strokeWidth=2)
    text = base.mark_text(angle=270, align="right", dx=-4, dy=-6, fontSize=11)
    return alt.layer(rule, text.encode(text="commit:N", y=alt.value(0)))


def _price(scope: Scope, tolerance: Tolerance, best: bool) -> Picture:
    cells = (
        alt.Chart(alt.NamedData("cells"))
        .add_params(
            *parameters(scope)[2:],
            alt.param(name="show_verdicts", value=[str(v) for v in VERDICTS]),
        )
        .transform_filter(
            f"{SHOWN} && indexof(show_verdicts, datum.verdict) >= 0 && isValid(datum.out) "
            "&& isValid(datum.ms)"
        )
        .transform_calculate(drawn=f"max(datum.out, {FLOOR})")
        .encode(
            x=alt.X("ms:Q", title="latency, ms", scale=alt.Scale(zero=False, nice=True)),
            y=alt.Y("drawn:Q", title=f"{ERROR}, output", scale=log(), axis=log_axis()),
            tooltip=_cell_tooltip(),
        )
    )
    points = cells.mark_point(filled=True, size=60, opacity=0.75).encode(
        color=alt.Color(
            "verdict:N",
            scale=alt.Scale(domain=[str(v) for v in VERDICTS], range=list(COLOURS)),
            legend=None,
        ),
        shape=verdict_shape(),
    )
    spread = cells.mark_rule(opacity=0.35).encode(x2="ms_to:Q")
    layers: list[Layer] = [spread, points, limit(tolerance.output)]
    if best:
        star = cells.transform_filter("datum.best").mark_text(text="★", fontSize=22, dy=-1)
        layers.insert(2, star)
    return Picture(
        id="price",
        title="Error against latency",
        lead="Every cell: what precision costs. Left is faster, down is more precise; a line "
        "reaches from the fastest pass to the slowest: where it is long, the machine was busy. "
        "★ is the recommended configuration, the dashed line the limit of "
        f"{short(tolerance.output)}.",
        spec=finished(alt.layer(*layers), height=280),
        legend=verdict_legend(),
    )


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
