"""The answer of a comparison of two configurations, as Markdown and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

from harness.analysis.bisection.configurations import ComparisonResult, Difference, evidence
from harness.analysis.delta_debugging import MinimalSet

if TYPE_CHECKING:
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.submodel import Subject


def comparison_markdown(
    compared: ComparisonResult, *, point: Point, subject: Subject
) -> tuple[str, str]:
    """Return (Markdown, JSON) of what turns the good configuration into the bad one."""
    criterion = compared.criterion
    lines = [f"## {comparison_headline(compared, point)}", ""]
    lines += [
        f"Measured: {subject.description}, {criterion.metric}, input `{subject.input.name}`; "
        + (
            f"good means at most {criterion.threshold:.2g}."
            if criterion.threshold
            else "good: runs."
        ),
        "",
        "Of these differences:",
        "",
        *(
            f"- {each.name}: {each.good or '(default)'} → {each.bad or '(default)'}"
            for each in compared.differences
        ),
        "",
        "Each needed setting left out by itself:",
        "",
        *(f"- {line}" for line in evidence(compared)),
    ]
    if len(compared.sets) > 1:
        lines += ["", "Other sets that turn it bad by themselves:", ""]
        lines += [f"- {{{_names(each.items)}}}" for each in compared.sets[1:]]
    lines += ["", "Smallest changes that make the bad configuration good:", ""]
    lines += [f"- {', '.join(i.fix for i in each.items)}" for each in compared.reverts]
    data = {
        "version": point.name,
        "subject": subject.description,
        "metric": str(criterion.metric),
        "threshold": criterion.threshold,
        "differences": [asdict(each) for each in compared.differences],
        "sets": [_described(each) for each in compared.sets],
        "reverts": [_described(each) for each in compared.reverts],
        "tests": [
            {"applied": sorted(map(str, applied)), "result": str(value)}
            for applied, value in compared.values.items()
        ],
    }
    return "\n".join(lines) + "\n", json.dumps(data, indent=1)


def comparison_headline(compared: ComparisonResult, point: Point) -> str:
    """Return the answer in one line."""
    first = compared.sets[0]
    names = _names(first.items)
    count = {1: "it alone turns", 2: "both are needed to turn"}.get(
        len(first.items), f"all {len(first.items)} are needed to turn"
    )
    return f"{point.revision.label}: {{{names}}}: {count} good to bad"


def _names(items: Iterable[Difference]) -> str:
    return ", ".join(map(str, items))


def _described(each: MinimalSet[Difference]) -> dict[str, object]:
    return {
        "items": [str(item) for item in each.items],
        "without": {
            str(item): str(result) for item, result in zip(each.items, each.without, strict=True)
        },
    }
