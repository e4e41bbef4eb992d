"""Which weight tensors each ncnn layer type keeps in the `.bin` file, in file order.

Read from the `load_model` functions in ncnn's `src/layer/*.cpp`. A *flagged* tensor is preceded
by a four-byte tag that tells its storage; the others are raw fp32.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.model.param import Layer


@dataclass(frozen=True)
class Slot:
    """One tensor's place in a `.bin` file."""

    name: str
    shape: tuple[int, ...]
    """Outermost axis first."""
    flagged: bool = False

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)


Layout = list[Slot]


def layout(layer: Layer) -> Layout:
    """Return the tensors that ncnn reads from the `.bin` file for one layer, in file order.

    Raises:
        ModelError: the layer's parameters contradict each other.
    """
    rule = _RULES.get(layer.type)
    if rule is None:
        return []
    try:
        slots = rule(layer)
    except ZeroDivisionError:
        slots = [Slot("weight", (-1,))]
    if any(extent < 0 for slot in slots for extent in slot.shape):
        raise ModelError(
            f"layer {layer.name}: the parameters of this {layer.type} contradict each other. "
            "Compare its line in the .param file with the converter's output.",
            code=Code.PARAM,
        )
    return slots


def _split(layer: Layer, total: int, *outer: int) -> tuple[int, ...]:
    """Shape of `total` elements whose outer extents are known; the innermost follows."""
    rest, remainder = divmod(total, prod(outer))
    if remainder:
        raise ModelError(
            f"layer {layer.name}: {total} weights do not divide into {outer}. "
            "Correct the weight size or the output count in the .param file.",
            code=Code.PARAM,
        )
    return (*outer, rest)


def _bias(layer: Layer, key: int) -> Layout:
    return [Slot("bias", (layer.integer(0, 0),))] if layer.integer(key, 0) else []


def _kernel(layer: Layer) -> tuple[int, ...]:
    """Kernel extents, outermost first; a missing one equals the width, as in ncnn."""
    width = layer.integer(1, 0)
    if "1D" in layer.type:
        return (width,)
    height = layer.integer(11, width)
    if "3D" in layer.type:
        return (layer.integer(21, width), height, width)
    return (height, width)


def _convolution(layer: Layer) -> Layout:
    # Deconvolutions keep 18 and 19 for the output padding and say "dynamic" with 28.
    if layer.integer(28 if layer.type.startswith("Deconvolution") else 19, 0):
        return []
    kernel = _kernel(layer)
    outputs = layer.integer(0, 0)
    inputs = _split(layer, layer.integer(6, 0), outputs, *kernel)[-1]
    weight = Slot("weight", (outputs, inputs, *kernel), flagged=True)
    return [weight, *_bias(layer, 5), *_convolution_scales(layer)]


def _convolution_scales(layer: Layer) -> Layout:
    if layer.type not in ("Convolution", "ConvolutionDepthWise"):
        return []
    term = layer.integer(8, 0)
    if not term:
        return []
    count = layer.integer(0, 0)
    if layer.type == "ConvolutionDepthWise":
        count = 1 if term in (2, 102) else layer.integer(7, 1)
    scales = [Slot("weight_scale", (count,)), Slot("input_scale", (1,))]
    return [*scales, Slot("output_scale", (1,))] if term > 100 else scales


def _inner_product(layer: Layer) -> Layout:
    outputs = layer.integer(0, 0)
    slots = [
        Slot("weight", _split(layer, layer.integer(2, 0), outputs), flagged=True),
        *_bias(layer, 1),
    ]
    if layer.integer(8, 0):
        slots += [Slot("weight_scale", (outputs,)), Slot("input_scale", (1,))]
    return slots


def _embed(layer: Layer) -> Layout:
    outputs = layer.integer(0, 0)
    weight = _split(layer, layer.integer(3, 0), outputs)[::-1]
    scale = [Slot("weight_scale", (1,))] if layer.integer(18, 0) else []
    return [Slot("weight", weight, flagged=True), *_bias(layer, 2), *scale]


def _recurrent(gates: int, biases: int) -> Callable[[Layer], Layout]:
    def rule(layer: Layer) -> Layout:
        outputs = layer.integer(0, 0)
        hidden = layer.integer(3, outputs) if layer.type == "LSTM" else outputs
        directions = 2 if layer.integer(2, 0) == 2 else 1
        rows = hidden * gates
        slots = [
            Slot("weight_xc", _split(layer, layer.integer(1, 0), directions, rows), flagged=True),
            Slot("bias_c", (directions, biases, hidden), flagged=True),
            Slot("weight_hc", (directions, rows, outputs), flagged=True),
        ]
        if hidden != outputs:
            slots.append(Slot("weight_hr", (directions, outputs, hidden), flagged=True))
        if layer.integer(8, 0):
            slots += [
                Slot(f"{name}_scale", (directions, rows)) for name in ("weight_xc", "weight_hc")
            ]
        return slots

    return rule


@dataclass(frozen=True)
class _Blocks:
    """The weight quantisation by blocks that ncnn has since 2026-07, from its `18=` term."""

    bits: int
    input_scale: bool
    size: int

    @classmethod
    def of(cls, term: int) -> _Blocks | None:
        bits, form, code = term // 100, term % 100 // 10, term % 10
        if bits not in (4, 6, 8) or form not in (0, 1) or code > 2:
            return None
        return cls(bits, form == 1, (32, 64, 128)[code])

    def packed(self, extent: int) -> int:
        return (extent * self.bits + 7) // 8

    def count(self, extent: int) -> int:
        return -(-extent // self.size)


def _gemm(layer: Layer) -> Layout:
    trans_a, trans_b = layer.integer(2, 0), layer.integer(3, 0)
    m, n, k = (layer.integer(key, 0) for key in (7, 8, 9))
    constant_a, constant_b, constant_c = (layer.integer(key, 0) == 1 for key in (4, 5, 6))
    term = layer.integer(18, 0)
    blocks = _Blocks.of(term)
    slots = []
    if constant_a:
        slots.append(Slot("A", (k, m) if trans_a else (m, k), flagged=True))
    if constant_b:
        inner = blocks.packed(k) if blocks else k
        slots.append(Slot("B", (n, inner) if trans_b else (k, n), flagged=True))
    shapes = {0: (1,), 1: (m,), 2: (m, 1), 3: (m, n), 4: (1, n)}
    if constant_c and layer.integer(10, 0) in shapes:
        slots.append(Slot("C", shapes[layer.integer(10, 0)], flagged=True))
    if blocks:
        slots.append(Slot("B_scale", (n, blocks.count(k))))
        return [*slots, Slot("B_input_scale", (k,))] if blocks.input_scale else slots
    if term:
        slots += [Slot("A_scale", (m,))] if constant_a else []
        slots += [Slot("B_scale", (1,))] if constant_b else []
    return slots


def _attention(layer: Layer) -> Layout:
    embed = layer.integer(0, 0)
    query = _split(layer, layer.integer(2, 0), embed)[-1]
    term = layer.integer(18, 0)
    blocks = _Blocks.of(term)
    sides = {
        "q": (embed, query),
        "k": (embed, layer.integer(3, embed)),
        "v": (embed, layer.integer(4, embed)),
        "out": (query, embed),
    }
    slots = []
    for side, (rows, columns) in sides.items():
        stored = blocks.packed(columns) if blocks else columns
        slots.append(Slot(f"{side}_weight", (rows, stored), flagged=True))
        slots.append(Slot(f"{side}_bias", (rows,)))
    if blocks:
        slots += [
            Slot(f"{side}_scale", (rows, blocks.count(columns)))
            for side, (rows, columns) in sides.items()
        ]
        if blocks.input_scale:
            slots += [
                Slot(f"{side}_input_scale", (columns,)) for side, (_, columns) in sides.items()
            ]
    elif term:
        slots += [Slot(f"{side}_scale", (embed if side != "out" else 1,)) for side in sides]
    return slots


def _memory_data(layer: Layer) -> Layout:
    w, h, d, c = (layer.integer(key, 0) for key in (0, 1, 11, 2))
    if d:
        shape: tuple[int, ...] = (c, d, h, w)
    elif c:
        shape = (c, h, w)
    elif h:
        shape = (h, w)
    else:
        shape = (w,)
    if not w:
        return []
    return [Slot("data", shape, flagged=layer.integer(21, 1) == 0)]


def _scale(layer: Layer) -> Layout:
    size = layer.integer(0, 0)
    # -233: the scale comes in as a second blob.
    return [] if size == -233 else [Slot("scale", (size,)), *_bias(layer, 1)]


def _affine(size_key: int, affine_key: int, *names: str) -> Callable[[Layer], Layout]:
    def rule(layer: Layer) -> Layout:
        if not layer.integer(affine_key, 1):
            return []
        return [Slot(name, (layer.integer(size_key, 0),)) for name in names]

    return rule


def _plain(*slots: tuple[str, int, int]) -> Callable[[Layer], Layout]:
    """Raw vectors, each by name, the parameter that holds its size and that one's default."""

    def rule(layer: Layer) -> Layout:
        sized = (Slot(name, (layer.integer(key, default),)) for name, key, default in slots)
        return [slot for slot in sized if slot.size]

    return rule


_RULES: dict[str, Callable[[Layer], Layout]] = {
    **{
        f"{kind}{dimension}": _convolution
        for kind in (
            "Convolution",
            "ConvolutionDepthWise",
            "Deconvolution",
            "DeconvolutionDepthWise",
        )
        for dimension in ("", "1D", "3D")
    },
    "DeformableConv2D": _convolution,
    "InnerProduct": _inner_product,
    "Embed": _embed,
    "LSTM": _recurrent(gates=4, biases=4),
    "GRU": _recurrent(gates=3, biases=4),
    "RNN": _recurrent(gates=1, biases=1),
    "Gemm": _gemm,
    "MultiHeadAttention": _attention,
    "MemoryData": _memory_data,
    "Scale": _scale,
    "BatchNorm": _plain(("slope", 0, 0), ("mean", 0, 0), ("variance", 0, 0), ("bias", 0, 0)),
    "Bias": _plain(("bias", 0, 0)),
    "PReLU": _plain(("slope", 0, 0)),
    "Normalize": _plain(("scale", 3, 0)),
    "Padding": _plain(("value", 6, 0)),
    "Quantize": _plain(("scale", 0, 1)),
    "Dequantize": _plain(("scale", 0, 1), ("bias", 1, 0)),
    "Requantize": _plain(("scale_in", 0, 1), ("scale_out", 1, 1), ("bias", 2, 0)),
    "LayerNorm": _affine(0, 2, "gamma", "beta"),
    "GroupNorm": _affine(1, 3, "gamma", "beta"),
    "InstanceNorm": _affine(0, 2, "gamma", "beta"),
    "RMSNorm": _affine(0, 2, "gamma"),
}
