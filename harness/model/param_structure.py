"""Whether the layers of a `.param` file hang together, before anything relies on it.

ncnn reads files in which they do not, and then has blobs that nobody fills, runs one of two layers
of a name, or reads memory that is not its own.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from harness.model.arity import input_range
from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.layer import Layer


def check_structure(layers: Sequence[Layer], lines: Sequence[int], origin: str) -> None:
    """Make sure that names are unique, and every blob is made once and before it is used.

    Args:
        layers: in the order of the file.
        lines: the line of the file on which each begins.
        origin: name of the file in messages.

    Raises:
        ModelError: with file, line, layer and remedy.
    """
    named: dict[str, int] = {}
    made: dict[str, str] = {}
    later = {blob: layer.name for layer in reversed(layers) for blob in layer.outputs}
    for layer, line in zip(layers, lines, strict=True):
        place = f"{origin}:{line}: layer {layer.name}"
        if layer.name in named:
            raise ModelError(
                f"{place}: line {named[layer.name]} has a layer of this name too, and results "
                "are told apart by it. Rename one of them.",
                code=Code.PARAM_STRUCTURE,
            )
        named[layer.name] = line
        _check_inputs(layer, made, later, place)
        for blob in layer.outputs:
            if blob in made:
                raise ModelError(
                    f"{place}: its output '{blob}' is an output of layer {made[blob]} too, and "
                    "ncnn gives that one to all who use it. Rename one of the blobs.",
                    code=Code.PARAM_STRUCTURE,
                )
            made[blob] = layer.name
    if made.keys() <= {blob for layer in layers for blob in layer.inputs}:
        raise ModelError(
            f"{origin}:{lines[-1]}: layer {layers[-1].name}: every blob is used by a layer, so "
            "that the model has no output. Give the last layer an output.",
            code=Code.PARAM_STRUCTURE,
        )


def _check_inputs(layer: Layer, made: dict[str, str], later: dict[str, str], place: str) -> None:
    least, most = input_range(layer)
    count = len(layer.inputs)
    if count < least or (most is not None and count > most):
        wanted = str(least) if most == least else f"at least {least}"
        raise ModelError(
            f"{place}: input count: {count}, and a {layer.type} takes {wanted}. Correct the count "
            "and the names of the blobs.",
            code=Code.PARAM_STRUCTURE,
        )
    for blob in layer.inputs:
        if blob in made:
            continue
        if blob in later:
            raise ModelError(
                f"{place}: its input '{blob}' is only made by layer {later[blob]}, which does not "
                "come before it. ncnn runs no cycles and takes blobs from earlier lines: reorder "
                "the layers.",
                code=Code.PARAM_STRUCTURE,
            )
        near = get_close_matches(blob, made, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise ModelError(
            f"{place}: its input '{blob}' is no output of any layer.{hint} Correct the name, or "
            "make it by an Input layer.",
            code=Code.PARAM_STRUCTURE,
        )
