"""Layers of random sizes and numbers, and faults of which it is known what they are."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.analysis.mechanisms import narrow_formats as numbers
from harness.analysis.mechanisms.hypotheses import about_computation
from harness.analysis.mechanisms.layer_run import LayerRun
from harness.analysis.mechanisms.prediction import Hypothesis
from harness.definition import compute
from harness.definition.arithmetic import EXACT
from harness.model.layouts import layout
from harness.model.param import Layer
from harness.model.value import Plain, Value

Array = np.ndarray[Any, Any]
Random = np.random.Generator


@dataclass(frozen=True)
class Fault:
    """What a layer gives, and what may be said of it."""

    kind: str
    output: Callable[[LayerRun, Random], Array]
    """The wrong output for one honest run; the numbers drawn differ from input to input."""
    truth: frozenset[str]
    """How the names of true statements begin; none where only silence is right."""


def random_layer(rng: Random) -> tuple[Layer, list[tuple[int, ...]]]:
    """Draw a layer and the shapes of its inputs."""
    rows, size, out = (int(n) for n in rng.integers((2, 9, 5), (30, 60, 40)))
    height, width, channels = (int(n) for n in rng.integers((6, 6, 2), (12, 12, 9)))
    picture = (channels, height, width)
    act = int(rng.integers(0, 2))
    epsilon = float(rng.choice([1e-6, 1e-5, 1e-3]))
    gemm: dict[int, Plain] = {3: 1, 5: 1, 6: 1, 8: out, 9: size, 10: 4}
    conv: dict[int, Plain] = {0: out, 1: 3, 4: 1, 5: 1, 6: out * channels * 9, 9: act}
    depthwise: dict[int, Plain] = {0: channels, 1: 3, 4: 1, 5: 1, 6: channels * 9, 7: channels}
    choices: list[tuple[str, dict[int, Plain], list[tuple[int, ...]]]] = [
        ("InnerProduct", {0: out, 1: 1, 2: out * size, 9: act}, [(rows, size)]),
        ("Convolution", conv, [picture]),
        ("ConvolutionDepthWise", depthwise, [picture]),
        ("LayerNorm", {0: size, 1: epsilon}, [(rows, size)]),
        ("RMSNorm", {0: size, 1: epsilon}, [(rows, size)]),
        ("BatchNorm", {0: channels, 1: epsilon}, [picture]),
        ("GroupNorm", {0: 1, 1: channels, 2: epsilon}, [picture]),
        ("InstanceNorm", {0: channels, 1: epsilon}, [picture]),
        ("Softmax", {0: -1, 1: 1}, [(rows, size)]),
        ("MatMul", {}, [(rows, size), (size, out)]),
        ("Gemm", gemm, [(rows, size)]),
        ("Pooling", {0: int(rng.integers(0, 2)), 1: 2, 2: 2}, [picture]),
    ]
    activations = ("ReLU", "Sigmoid", "TanH", "GELU", "Swish")
    choices.extend((each, {}, [(rows, size)]) for each in activations)
    kind, params, shapes = choices[int(rng.integers(len(choices)))]
    pairs = tuple((key, Value.of(value)) for key, value in params.items())
    names = tuple(f"in{number}" for number in range(len(shapes)))
    return Layer(kind, "it", names, ("out",), pairs), shapes


def weights_of(layer: Layer, rng: Random) -> dict[str, Array]:
    """Draw the tensors of a layer: variances positive."""
    drawn = {s.name: rng.normal(size=s.shape).astype(np.float32) for s in layout(layer)}
    return {name: abs(w) + np.float32(0.1) if "var" in name else w for name, w in drawn.items()}


def honest(layer: Layer, weights: dict[str, Array], shapes: Any, rng: Random) -> LayerRun:
    """Return a layer that is computed in single precision, on an input of its own."""
    size = rng.choice([0.5, 1.0, 3.0])
    inputs = [(rng.normal(size=shape) * size).astype(np.float32) for shape in shapes]
    (y,) = compute(layer, weights, inputs, dtype=np.float32)
    (exact,) = compute(layer, weights, inputs)
    return LayerRun(layer, weights, inputs, y.astype(np.float32), exact)


def one_known(run: LayerRun, rng: Random) -> Fault:
    """Draw one of the hypotheses that have no fitted numbers; ncnn computes it in float32."""
    kinds: dict[str, list[Any]] = {}
    for each in about_computation(run):
        if not each.fitted and isinstance(each.change(run), LayerRun):
            kinds.setdefault(" ".join(sorted(each.touched)), []).append(each)
    of_one_kind = kinds[str(rng.choice(sorted(kinds)))]
    chosen = of_one_kind[int(rng.integers(len(of_one_kind)))]

    def output(on: LayerRun, _: Random) -> Array:
        changed = chosen.change(on)
        return np.asarray(changed.finished(changed.predict(dtype=np.float32)))

    return Fault("known", output, frozenset(_same_statement(run, chosen)))


def _same_statement(run: LayerRun, chosen: Hypothesis) -> Iterator[str]:
    """Yield the hypotheses that predict what a chosen one does, to within the noise."""
    right = chosen.predict(run, 0.0)
    assert right is not None
    for each in about_computation(run):
        other = None if each.fitted else each.predict(run, 0.0)
        if other is not None and run.error(other.output, right.output) <= run.noise:
            yield each.name


def estimate(run: LayerRun, rng: Random) -> Fault | None:
    """A reciprocal, or reciprocal square root, from a table of 12 bits."""
    functions = sorted({"reciprocal": "", "rsqrt": ""}.keys() & run.functions)
    if not functions:
        return None
    function = str(rng.choice(functions))
    exact, bits = getattr(EXACT, function), int(rng.integers(12, 14))

    def table(x: Array) -> Array:
        mantissa, exponent = np.frexp(exact(x))
        return np.asarray(np.ldexp(np.rint(mantissa * 2**bits) / 2**bits, exponent))

    words = {"reciprocal": "reciprocal by", "rsqrt": "reciprocal square root by"}[function]
    maths = EXACT.replaced(function, table)
    return Fault("estimate", lambda on, _: on.predict(arithmetic=maths), frozenset({words}))


def fitted(run: LayerRun, rng: Random) -> Fault:
    """A bound, a constant factor."""
    sizes = np.abs(run.exact)
    if rng.integers(2):
        bound = float(np.float32(np.quantile(sizes[sizes > 0], rng.uniform(0.5, 0.95))))
        name = f"saturation at {bound:g}"
        return Fault(
            "saturation", lambda on, _: np.clip(on.output, -bound, bound), frozenset({name})
        )
    factor = float(1 + rng.choice([-1, 1]) * 10 ** rng.uniform(-3, 0.5))
    name = "one constant factor"
    return Fault("factor", lambda on, _: on.output * factor, frozenset({name}))


def tail(run: LayerRun, rng: Random) -> Fault | None:
    """The last elements of an axis, that a vector of some width does not reach: zeros."""
    axes = [
        (a, n, p) for a, n in enumerate(run.output.shape) for p in (4, 8, 16) if n > p and n % p
    ]
    if not axes:
        return None
    axis, extent, pack = axes[int(rng.integers(len(axes)))]
    last = (slice(None),) * axis + (slice(extent // pack * pack, None),)

    def output(on: LayerRun, _: Random) -> Array:
        y = on.output.copy()
        y[last] = 0
        return y

    name = f"the last {extent % pack} of {extent} along axis {axis} not computed"
    return Fault("tail", output, frozenset({name}))


def stored_and_tail(run: LayerRun, rng: Random) -> Fault | None:
    """Weights in half precision, and a tail besides."""
    cut = tail(run, rng)
    if cut is None or not run.stored:
        return None
    weights = {
        name: numbers.rounded(w.astype(float), "fp16") if name in run.stored else w
        for name, w in run.weights.items()
    }

    def output(on: LayerRun, random: Random) -> Array:
        return cut.output(replace(on, output=on.predict(weights=weights, dtype=np.float32)), random)

    return Fault("stored and tail", output, cut.truth | {"weights rounded to fp16"})


UNKNOWN = ("element", "block", "noise", "rows scaled", "permuted", "rolled", "stale tail", "order")


def unknown(run: LayerRun, rng: Random) -> Fault:
    """Something that no hypothesis says."""
    kind = str(rng.choice(UNKNOWN))
    size, amount = run.output.shape, float(10 ** rng.uniform(-3.5, 0.5))
    place, step = rng.uniform(size=len(size)), int(rng.choice([-1, 1]))
    order = rng.permutation(size[0])
    by_row = 1 + rng.uniform(-3e-4, 3e-4, (size[0],) + (1,) * (len(size) - 1))

    def output(on: LayerRun, random: Random) -> Array:
        y, scale = on.output.astype(np.float64), on.scale
        at = tuple(int(p * n) for p, n in zip(place, size, strict=True))
        if kind == "element":
            y[at] += step * amount * scale
        elif kind == "block":
            block = tuple(slice(a, a + 4) for a in at)
            y[block] += random.normal(size=y[block].shape) * amount * scale
        elif kind == "noise":
            y += random.normal(size=size) * amount * scale
        elif kind == "rows scaled":
            y *= by_row
        elif kind == "permuted":
            y = y[order]
        elif kind == "rolled":
            y = np.roll(y, step, axis=-1)
        elif kind == "stale tail":
            y[..., size[-1] // 4 * 4 :] = random.normal(size=y.shape)[..., size[-1] // 4 * 4 :]
        else:  # The sums in another order: each result moves by its last bits.
            y *= 1 + random.choice([-1, 1], size) * 2.0**-22
        return y

    return Fault(kind, output, frozenset())


def file_fault(run: LayerRun, rng: Random) -> tuple[Fault, LayerRun] | None:
    """Weights in half precision in the file, where a bias is missing as well."""
    if run.layer.type != "InnerProduct":
        return None
    constants = {"w": run.weights["weight"], "b": run.weights["bias"]}
    half = numbers.rounded(constants["w"].astype(float), "fp16").astype(np.float32)
    both = bool(rng.integers(2))
    layer = run.layer.with_param(1, 0) if both else run.layer
    weights = {"weight": half} if both else {"weight": half, "bias": constants["b"]}
    made = replace(run, layer=layer, weights=weights, initialisers=constants)
    truth = frozenset({"weight in the .bin is only fp16 of 'w'", "the bias 'b' is missing"})
    return Fault("file", lambda on, _: on.predict(dtype=np.float32), truth), made


def fault_on(run: LayerRun, rng: Random) -> Fault:
    """Draw a fault of a layer."""
    ways = (
        one_known,
        one_known,
        estimate,
        fitted,
        tail,
        stored_and_tail,
        unknown,
        unknown,
        unknown,
    )
    while True:
        found = ways[int(rng.integers(len(ways)))](run, rng)
        if found is not None:
            return found
