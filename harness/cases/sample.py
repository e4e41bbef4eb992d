"""The numbers of a case: its weights and its inputs, the same ones on every machine."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.cases.distributions import draw
from harness.model.integer_blobs import gives_int8, integer_blobs, is_quantised
from harness.model.layouts import layout
from harness.model.param import write
from harness.model.weights import weights_bytes
from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.cases.layer_case import LayerCase, Shape
    from harness.model.layouts import Slot

    Array = NDArray[Any]

PARAM, BIN = "layer.param", "layer.bin"
INT8 = 127.0
_POSITIVE = frozenset({"variance", "scale_in", "scale_out"})
_PLAIN = frozenset({"bias_c", "data", "C"})
"""Flagged tensors that are no factors of a sum of products."""
OUTPUT_SCALE = 20.0
"""Steps of int8 per unit of an output: ±6, since weights are such that outputs are about 1."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A case with its numbers."""

    case: LayerCase
    tensors: Mapping[str, Array]
    """Contents of the `.bin` file, shaped as `harness.model.layouts.layout` says, as stored."""
    inputs: tuple[Array, ...]
    """One array per input blob, in ncnn's layout; float32, or int32."""

    def write(self, folder: Path) -> None:
        """Write the model as `layer.param` and `layer.bin`.

        Not atomically: waiting for the disk takes longer than running the model.
        """
        param = self.case.param
        (folder / PARAM).write_text(write(param), encoding="utf-8")
        (folder / BIN).write_bytes(weights_bytes(param, {self.case.layer.name: self.tensors}))

    @cached_property
    def feeds(self) -> Mapping[str, Array]:
        """The inputs by blob as ncnn takes them: integers as floats of the same bits."""
        integers = integer_blobs(self.case.param)
        return {
            blob: x.astype(np.int32).view(np.float32)
            if blob in integers or x.dtype == np.int32
            else x
            for blob, x in zip(self.case.layer.inputs, self.inputs, strict=True)
        }


MAX_WEIGHTS = 1 << 26
"""Of one layer; a mistyped parameter is no reason to fill the memory."""


def sample_of(case: LayerCase) -> Sample:
    """Make up the numbers of a case.

    Weights are such that a layer's output is about as large as its input: a sum of products has
    them divided by the square root of its length.

    Raises:
        ModelError: the parameters contradict each other, or want weights that cannot be made up.
    """
    seed = [case.seed, zlib.crc32(case.type.encode())]
    names = case.values if len(case.values) > 1 else case.values * len(case.shapes)
    if len(names) != len(case.shapes):
        raise ModelError(
            f"case {case}: {len(names)} distributions for {len(case.shapes)} inputs.",
            code=Code.STRANGE_CASE,
        )
    inputs = tuple(
        draw(name, np.random.RandomState([*seed, 1 + place]), shape)
        for place, (name, shape) in enumerate(zip(names, case.shapes, strict=True))
    )
    random = np.random.RandomState([*seed, 0])
    slots = layout(case.layer)
    count = sum(slot.size for slot in slots)
    if count > MAX_WEIGHTS:
        raise ModelError(
            f"case {case}: a {case.type} with these parameters has {count} weights, more than "
            f"{MAX_WEIGHTS}. Make it smaller.",
            code=Code.STRANGE_CASE,
        )
    tensors = {slot.name: _tensor(case, slot, random) for slot in slots}
    if is_quantised(case.layer):
        tensors = _quantised(case, tensors, inputs)
    if case.storage == "fp16":
        flagged = {slot.name for slot in slots if slot.flagged}
        tensors = {
            name: array.astype(np.float16)
            if name in flagged and array.dtype == np.float32
            else array
            for name, array in tensors.items()
        }
    return Sample(case=case, tensors=tensors, inputs=inputs)


def has_integer_blobs(case: LayerCase) -> bool:
    """Return whether a layer takes or gives a blob of int8 or int32 that no user sees.

    Ids of tokens are none of them: a program hands them in.
    """
    takes = any(name.startswith("int32-") for name in case.values)
    return takes or gives_int8(case.layer)


def _tensor(case: LayerCase, slot: Slot, random: np.random.RandomState) -> Array:
    if slot.name in _POSITIVE or (slot.name == "scale" and case.type in _WITH_STEPS):
        return draw("positive", random, slot.shape)
    array = draw(case.weights, random, slot.shape)
    if not slot.flagged or slot.name in _PLAIN or case.type == "Embed":
        return array
    return np.asarray(array / np.sqrt(_length(case.type, slot.shape)), np.float32)


_WITH_STEPS = frozenset({"Quantize", "Dequantize", "Normalize"})


def _length(kind: str, shape: Shape) -> int:
    """Return how many products of a weight are added up, at least about."""
    return shape[-1] if "onvolution" not in kind else max(1, prod(shape[1:]))


def _quantised(
    case: LayerCase, tensors: Mapping[str, Array], inputs: tuple[Array, ...]
) -> dict[str, Array]:
    """Return tensors with weights in int8, and scales that fit them and the inputs."""
    found = dict(tensors)
    for name, array in tensors.items():
        if not name.endswith("_scale"):
            continue
        if name == "input_scale":
            found[name] = np.full(array.shape, _steps(inputs[0]), np.float32)
        elif name == "output_scale":
            found[name] = np.full(array.shape, OUTPUT_SCALE, np.float32)
        elif weight := _weight_of(name.removesuffix("_scale"), tensors):
            rows = tensors[weight].reshape(array.size, -1)
            scales = np.array([_steps(row) for row in rows], np.float32)
            found[name] = scales.reshape(array.shape)
            steps = np.rint(rows * scales[:, None]).clip(-INT8, INT8)
            found[weight] = steps.astype(np.int8).reshape(tensors[weight].shape)
        else:
            raise ModelError(
                f"case {case}: weights in blocks cannot be made up here.", code=Code.STRANGE_CASE
            )
    return found


def _weight_of(name: str, tensors: Mapping[str, Array]) -> str:
    return next((each for each in (name, f"{name}_weight") if each in tensors), "")


def _steps(values: Array) -> float:
    """Return steps of int8 per unit, so that the largest value is the last step."""
    largest = float(np.abs(values).max(initial=0))
    return INT8 / largest if largest else 1.0
