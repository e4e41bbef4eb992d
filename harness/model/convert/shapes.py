"""Rules for layers that only move values: reshape, permute, crop, squeeze, concatenate, slice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.model.convert.fuse import parameter
from harness.model.convert.graph import Node, unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.model.convert.emit import Axes, Emitter, Rule
    from harness.model.value import Plain

EXTENT_KEYS = {1: (0,), 2: (1, 0), 3: (2, 1, 0), 4: (2, 11, 1, 0)}
"""Ids of Reshape's extents by rank, outermost axis first."""

# The output's axes in terms of the input's, innermost first, in the order of ncnn's codes.
PERMUTATIONS = {
    2: ("wh", ["wh", "hw"]),
    3: ("whc", ["whc", "hwc", "wch", "cwh", "hcw", "chw"]),
    4: (
        "whdc",
        [
            *("whdc", "hwdc", "wdhc", "dwhc", "hdwc", "dhwc", "whcd", "hwcd"),
            *("wchd", "cwhd", "hcwd", "chwd", "wdch", "dwch", "wcdh", "cwdh"),
            *("dcwh", "cdwh", "hdcw", "dhcw", "hcdw", "chdw", "dchw", "cdhw"),
        ],
    ),
}
TO_THE_END = -233
"""Crop and Slice take this for an end that is not fixed."""


def reshape(emitter: Emitter, node: Node) -> None:
    """Reshape, Flatten and Unsqueeze; an open extent stays open."""
    output = node.outputs[0]
    shape = emitter.graph.shapes[output]
    kept = emitter.without_batch(shape)
    asked = list(shape)
    if node.op == "Reshape":
        target = parameter(emitter.graph, node, "shape", 1)
        if target is None:
            raise unknown(node, "the shape is computed")
        free = [axis for axis in kept if target[axis] == -1]
        # Where ONNX copies an extent from the input it may differ from run to run.
        free = free or [axis for axis in kept if target[axis] == 0]
        for axis in free[:1]:
            asked[axis] = -1
    _reshape(emitter, node, kept, [asked[axis] for axis in kept])


def _reshape(emitter: Emitter, node: Node, kept: Axes, extents: Sequence[int]) -> None:
    if len(kept) not in EXTENT_KEYS:
        raise unknown(node, f"{len(kept)} axes")
    params: dict[int, Plain] = dict(zip(EXTENT_KEYS[len(kept)], extents, strict=True))
    ordered = dict(sorted(params.items()))
    emitter.layer("Reshape", node.inputs[:1], node.outputs[0], kept, ordered)


def squeeze(emitter: Emitter, node: Node) -> None:
    """Squeeze: nothing to do where the blob lacks these axes anyway."""
    value, output = node.inputs[0], node.outputs[0]
    shape = emitter.graph.shapes[value]
    given = parameter(emitter.graph, node, "axes", 1)
    every = [axis for axis, extent in enumerate(shape) if extent == 1]
    axes = every if given is None else [axis % len(shape) for axis in given]
    left = [axis for axis in range(len(shape)) if axis not in axes]
    before = emitter.kept[value]
    kept = tuple(left.index(axis) for axis in before if axis in left)
    if len(kept) == len(before):
        emitter.same_blob(value, output, kept)
    elif len(before) == 4:
        # ncnn of 2022 squeezes three axes at most. 0 takes width or height over from the input.
        inner = min([axis in left for axis in before[::-1]].index(False), 2)
        fixed = [shape[left[axis]] for axis in kept[: len(kept) - inner]]
        _reshape(emitter, node, kept, [*([-1] if fixed else []), *fixed[1:], *[0] * inner])
    else:
        positions = tuple(before.index(axis) for axis in before if axis not in left)
        emitter.layer("Squeeze", [value], output, kept, {3: positions})


def transpose(emitter: Emitter, node: Node) -> None:
    """Transpose → Permute, or nothing where only absent axes move."""
    value, output = node.inputs[0], node.outputs[0]
    before = emitter.kept[value]
    rank = len(emitter.graph.shapes[value])
    order = node.attributes.get("perm", list(range(rank))[::-1])
    kept = tuple(axis for axis in range(rank) if order[axis] in before)
    sources = [before.index(order[axis]) for axis in kept]
    if sources == sorted(sources):
        emitter.same_blob(value, output, kept)
        return
    letters, codes = PERMUTATIONS[len(kept)]
    word = "".join(letters[len(kept) - 1 - source] for source in sources[::-1])
    emitter.layer("Permute", [value], output, kept, {0: codes.index(word)})


def crop(emitter: Emitter, node: Node) -> None:
    """Slice with constant bounds and step 1 → Crop."""
    value, output = node.inputs[0], node.outputs[0]
    shape = emitter.graph.shapes[value]
    starts, ends, axes, steps = (
        parameter(emitter.graph, node, name, at + 1)
        for at, name in enumerate(("starts", "ends", "axes", "steps"))
    )
    if starts is None or ends is None or set(steps or [1]) != {1}:
        raise unknown(node, "computed bounds or a step")
    cuts = []
    for start, end, axis in zip(starts, ends, axes or range(len(starts)), strict=True):
        axis %= len(shape)
        if shape[axis] == emitter.graph.shapes[output][axis]:
            continue
        end = TO_THE_END if end >= shape[axis] else end
        cuts.append((start, end, emitter.axis(node, axis)))
    if not cuts:
        emitter.same_blob(value, output, emitter.kept[value])
        return
    params: dict[int, Plain] = dict(zip((9, 10, 11), zip(*cuts, strict=True), strict=True))
    emitter.layer("Crop", [value], output, emitter.kept[value], params)


def concat(emitter: Emitter, node: Node) -> None:
    """Concat of computed values."""
    kept = emitter.kept.get(node.inputs[0])
    if kept is None or any(emitter.kept.get(value) != kept for value in node.inputs):
        raise unknown(node, "the operands have different axes in ncnn, or one is constant")
    params: dict[int, Plain] = {0: emitter.axis(node, node.attributes["axis"])}
    emitter.layer("Concat", node.inputs, node.outputs[0], kept, params)


def split(emitter: Emitter, node: Node) -> None:
    """Split → Slice."""
    value = node.inputs[0]
    axis = node.attributes.get("axis", 0) % len(emitter.graph.shapes[value])
    sizes = tuple(emitter.graph.shapes[output][axis] for output in node.outputs)
    outputs = dict.fromkeys(node.outputs, emitter.kept[value])
    params: dict[int, Plain] = {0: (*sizes[:-1], TO_THE_END), 1: emitter.axis(node, axis)}
    emitter.layer_of_many("Slice", [value], outputs, params)


RULES: dict[str, Rule] = {
    "Reshape": reshape,
    "Flatten": reshape,
    "Unsqueeze": reshape,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Slice": crop,
    "Concat": concat,
    "Split": split,
}
