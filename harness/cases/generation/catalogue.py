"""The sketch of each layer type, and which cases mean something."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from harness.cases.generation import (
    attention,
    convolving,
    elementwise,
    linear,
    moving,
    reducing,
    regions,
    sampling,
)
from harness.cases.generation.sketch import MAX_ELEMENTS
from harness.cases.sample import sample_of
from harness.definition import DEFINITIONS, NoDefinitionError, compute
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.cases.generation.sketch import Sketch
    from harness.cases.layer_case import LayerCase

SKETCHES: Mapping[str, Sketch] = {
    kind: sketch
    for family in (
        attention,
        convolving,
        elementwise,
        linear,
        moving,
        reducing,
        regions,
        sampling,
    )
    for kind, sketch in sorted(family.SKETCHES.items())
}
"""By layer type."""
LEFT_OUT: Mapping[str, str] = {
    "Input": "it is fed: there is nothing to compute",
    "Packing": "it says how a blob lies in memory, which nobody sees from outside",
    "Cast": "what it gives is read as float32 again, whatever it is",
    "SPP": "it writes behind its output in every version, which is made for two channels",
    "Proposal": "its boxes depend on the order of equal scores",
    "YoloDetectionOutput": "its boxes depend on the order of equal scores",
    "Yolov3DetectionOutput": "its boxes depend on the order of equal scores",
}
"""Layer types without a sketch, and why."""


def consistent(case: LayerCase) -> LayerCase | None:
    """Return the case with all that depends on other parts of it made to follow.

    Returns:
        The case, or None if it means nothing: its definition refuses it, its type has no sketch,
        or its inputs are too large.
    """
    sketch = SKETCHES.get(case.type)
    fitted = sketch and sketch.fit(case)
    return fitted if fitted and is_well_formed(fitted) else None


def is_well_formed(case: LayerCase) -> bool:
    """Return whether inputs are of a fair size, and the definition takes them, if there is one."""
    if any(prod(shape) > MAX_ELEMENTS for shape in case.shapes):
        return False
    try:
        sample = sample_of(case)
        if case.type in DEFINITIONS:
            outputs = compute(case.layer, sample.tensors, sample.inputs)
            return all(y.size <= MAX_OUTPUTS for y in outputs)
    except (ModelError, NoDefinitionError):
        return False
    return True


MAX_OUTPUTS = 2 * MAX_ELEMENTS
