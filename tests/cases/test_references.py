"""The documentation names the reference of each layer type, and leaves none out."""

from __future__ import annotations

import re
from pathlib import Path

from harness.cases.generation import SKETCHES
from harness.cases.generation.catalogue import LEFT_OUT
from harness.definition import DEFINITIONS

PAGE = Path(__file__).parents[2] / "docs" / "sweep.md"


def named(heading: str) -> list[str]:
    """The layer types that stand under a heading of the page."""
    text = PAGE.read_text(encoding="utf-8").partition(f"### {heading}\n")[2]
    return re.findall(r"`([A-Z]\w*)`", text.partition("\n### ")[0])


def test_every_layer_type_is_named_once_with_its_reference() -> None:
    defined = [kind for kind in SKETCHES if kind in DEFINITIONS]
    assert sorted(named("A float64 definition")) == sorted(defined)
    others = set(SKETCHES) - set(DEFINITIONS)
    assert sorted(named("The exact run of the same build")) == sorted(others)
    assert sorted(named("Nothing: no cases are made up")) == sorted(LEFT_OUT)


def test_at_least_sixty_have_a_definition() -> None:
    assert len(named("A float64 definition")) >= 60
