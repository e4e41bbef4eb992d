"""The HTML page: templates and style from files, one script with all libraries, no network."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

from markupsafe import Markup

from harness.report.charts import MAX_NUMBERS, Pictures, draw
from harness.report.details import Details, details
from harness.report.grid import Table, tables
from harness.report.page_text import page_text
from harness.report.provenance import Provenance, provenance
from harness.report.templating import html_environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.report.model import Part, Report

LIBRARIES = {"vega": "6.4.0", "vega-lite": "6.4.1", "vega-embed": "7.3.0"}
"""What draws the pictures in the browser, with versions: files below `javascript/`."""


@dataclass(frozen=True, kw_only=True)
class PartView:
    """One part of the report with everything that the page draws of it."""

    id: str
    part: Part
    tables: tuple[Table, ...]
    details: tuple[Details, ...]
    pictures: Pictures
    provenance: Provenance


def html(report: Report) -> str:
    """Return the whole page."""
    sections = [_section(place, part, report) for place, part in enumerate(report.parts)]
    drawn = {
        section.id: {
            "data": section.pictures.data,
            "specs": {picture.id: picture.spec for picture in section.pictures.pictures},
        }
        for section in sections
    }
    axes = {
        "version": _distinct(v for part in report.parts for v in part.scope.versions),
        "flags": _distinct(f for part in report.parts for f in part.scope.flags),
        "run": _distinct(r for part in report.parts for r in part.scope.runs),
        "input": _distinct(i for part in report.parts for i in part.scope.inputs),
    }
    text: str = (
        html_environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            sections=sections,
            axes=axes,
            charts=Markup(_embedded(drawn)),
            style=Markup(template_file("style.css")),
            glue=Markup(template_file("glue.js")),
            library=Markup(_library()),
        )
    )
    return text


def _section(place: int, part: Part, report: Report) -> PartView:
    best = part.recommended
    found = tables(part.scope, prefix=f"cell-{place}", recommended=best)
    return PartView(
        id=f"part-{place}",
        part=part,
        tables=found,
        details=tuple(details(tile, report) for table in found for tile in table.tiles),
        pictures=draw(
            part.scope,
            report.tolerance,
            report.commits,
            best,
            numbers=MAX_NUMBERS // len(report.parts),
        ),
        provenance=provenance(part.scope.records),
    )


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _embedded(value: object) -> str:
    """Return JSON that no HTML parser takes for a tag, its texts as the page has them."""
    return _json(_seen(value)).replace("<", "\\u003c")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _seen(value: object) -> object:
    """Return a value whose texts are those of the page, which filters compare them with."""
    if isinstance(value, str):
        return page_text(value)
    if isinstance(value, dict):
        return {key: _seen(item) for key, item in value.items()}
    return [_seen(item) for item in value] if isinstance(value, list | tuple) else value


def template_file(name: str) -> str:
    """Return a file that stands beside the templates."""
    return resources.files("harness.report").joinpath("templates", name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """Return Vega, Vega-Lite and Vega-Embed in one script, each needing those before it."""
    folder = resources.files("harness.report").joinpath("javascript")
    files = [folder.joinpath(f"{name}.min.js") for name in LIBRARIES]
    script = "\n".join(file.read_text(encoding="utf-8") for file in files)
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")
