"""Whether a model's outputs are numbers, and where they cease to be: NaN hides what is compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import numpy_helper

from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.model.onnx_graph import OnnxGraph
    from harness.model.param import Param

    Array = NDArray[Any]


def check_values(
    graph: OnnxGraph, values: Mapping[str, Array], every: Callable[[], Mapping[str, Array]]
) -> None:
    """Make sure that the outputs of an ONNX graph are finite.

    Values inside may be infinite, as masks of attention are, or even NaN: what an output is made of
    is what counts.

    Args:
        graph: the model.
        values: those that were computed.
        every: computes all values, to tell where it begins.

    Raises:
        ModelError: an output has NaN or infinities.
    """
    output = _spoilt(values, graph.outputs)
    if output is None:
        return
    wrong = _test(values[output])
    found = next((n for n, array in every().items() if wrong(array)), output)
    maker = next((node for node in graph.proto.graph.node if found in node.output), None)
    raise _refusal(graph.path, output, values[output], _origin(found, maker, graph, wrong))


def check_blobs(param: Param, path: Path, blobs: Mapping[str, Array]) -> None:
    """Make sure that the outputs of an ncnn model are finite, by ncnn's definitions.

    Raises:
        ModelError: an output has NaN or infinities.
    """
    output = _spoilt(blobs, param.ends)
    if output is None:
        return
    wrong = _test(blobs[output])
    first = next(
        f"blob '{blob}', by {layer.type} {layer.name}"
        for layer in param.layers
        for blob in layer.outputs
        if blob in blobs and wrong(blobs[blob])
    )
    raise _refusal(path, output, blobs[output], first)


def _spoilt(values: Mapping[str, Array], outputs: Collection[str]) -> str | None:
    """Return the first output that is not finite."""
    return next((n for n in outputs if n in values and _count(values[n], np.isfinite)), None)


def _count(array: Array, fine: Callable[[Array], Any]) -> int:
    return int(array.size - np.count_nonzero(fine(array))) if array.dtype.kind == "f" else 0


def _test(output: Array) -> Callable[[Array], bool]:
    """Return what asks whether an array is wrong as an output is: NaN, or infinite."""
    if np.isnan(output).any():
        return lambda array: array.dtype.kind == "f" and bool(np.isnan(array).any())
    return lambda array: array.dtype.kind == "f" and bool(np.isinf(array).any())


def _origin(
    value: str,
    maker: onnx.NodeProto | None,
    graph: OnnxGraph,
    wrong: Callable[[Array], bool],
) -> str:
    """Return where an ONNX value comes from, in words."""
    if maker is None:
        return f"value '{value}'"
    words = f"value '{value}', by {maker.op_type} {maker.name}".rstrip()
    weights = {tensor.name: tensor for tensor in graph.proto.graph.initializer}
    for name in maker.input:
        tensor = weights.get(name)
        if tensor is None or tensor.data_location == onnx.TensorProto.EXTERNAL:
            continue
        if wrong(numpy_helper.to_array(tensor)):
            return f"{words}, whose weight '{name}' has such numbers"
    return words


def _refusal(path: Path, output: str, array: Array, first: str) -> ModelError:
    nan, infinite = _count(array, lambda a: ~np.isnan(a)), _count(array, lambda a: ~np.isinf(a))
    counts = " and ".join(f"{n} {kind}" for n, kind in ((nan, "NaN"), (infinite, "infinite")) if n)
    return ModelError(
        f"{path}: its output '{output}' has {counts} of {array.size} values, first in {first}: "
        "nothing can be compared with such numbers. Correct the model or the input, or set "
        "`non_finite = true` in [model] if they are meant to be.",
        code=Code.NOT_FINITE,
    )
