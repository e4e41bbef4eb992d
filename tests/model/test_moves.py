"""Chains of operations that only move values, drawn at random."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from harness.definition.evaluation import evaluate as define
from harness.model.convert import convert
from tests.model.onnx_text import Array, evaluate, model


@dataclass
class Chain:
    """Nodes under construction."""

    nodes: list[str]
    constants: dict[str, Array]
    shape: tuple[int, ...]

    def add(self, operation: str, shape: tuple[int, ...], **constants: list[int]) -> None:
        number = len(self.nodes)
        names = [f"{name}{number}" for name in constants]
        values = (np.array(value, np.int64) for value in constants.values())
        self.constants |= dict(zip(names, values, strict=True))
        source = f"v{number - 1}" if number else "x"
        op, _, attributes = operation.partition("<")
        attributes = f"<{attributes}" if attributes else ""
        self.nodes.append(f"v{number} = {op}{attributes}({', '.join([source, *names])})")
        self.shape = shape


def shapes_of(total: int, rank: int) -> st.SearchStrategy[tuple[int, ...]]:
    if rank == 1:
        return st.just((total,))
    divisors = [n for n in range(1, total + 1) if total % n == 0]
    return st.sampled_from(divisors).flatmap(
        lambda first: shapes_of(total // first, rank - 1).map(lambda rest: (first, *rest))
    )


@st.composite
def chains(draw: st.DrawFn) -> tuple[Chain, tuple[int, ...]]:
    rank = draw(st.integers(2, 4))
    shape = (1, *draw(st.tuples(*[st.integers(1, 4)] * (rank - 1))))
    chain = Chain([], {}, shape)
    shape_of_input = shape
    for _ in range(draw(st.integers(1, 5))):
        shape = chain.shape
        kind = draw(st.sampled_from(["Transpose", "Reshape", "Squeeze", "Slice", "Unsqueeze"]))
        ones = [axis for axis, extent in enumerate(shape) if extent == 1]
        if kind == "Transpose":
            order = draw(st.permutations(range(len(shape))))
            chain.add(f"Transpose<perm={order}>", tuple(shape[axis] for axis in order))
        elif kind == "Reshape":
            new = (1, *draw(shapes_of(math.prod(shape), draw(st.integers(1, 4)))))
            open_axis = draw(st.integers(0, len(new) - 1))
            asked = [-1 if axis == open_axis else extent for axis, extent in enumerate(new)]
            chain.add("Reshape", new, target=asked)
        elif kind == "Squeeze" and ones and len(shape) > 2:
            axis = draw(st.sampled_from(ones))
            chain.add("Squeeze", shape[:axis] + shape[axis + 1 :], axes=[axis])
        elif kind == "Unsqueeze" and len(shape) < 4:
            axis = draw(st.integers(1, len(shape)))
            chain.add("Unsqueeze", (*shape[:axis], 1, *shape[axis:]), axes=[axis])
        elif kind == "Slice":
            axis = draw(st.integers(1, len(shape) - 1))
            start = draw(st.integers(0, shape[axis] - 1))
            end = draw(st.integers(start + 1, shape[axis]))
            new = (*shape[:axis], end - start, *shape[axis + 1 :])
            chain.add("Slice", new, starts=[start], ends=[end], axes=[axis])
    chain.nodes.append(f"y = Relu({f'v{len(chain.nodes) - 1}' if chain.nodes else 'x'})")
    return chain, shape_of_input


@given(chains())
def test_moved_values_arrive_where_onnx_puts_them(drawn: tuple[Chain, tuple[int, ...]]) -> None:
    chain, shape = drawn
    proto = model({"x": shape}, " ".join(chain.nodes), chain.constants)
    feed = np.arange(math.prod(shape), dtype=np.float32).reshape(shape)
    expected = evaluate(proto, {"x": feed})
    param, weights = convert(proto, {"x": shape})
    blobs = define(param, weights, {"x": feed[0]}).blobs
    for name in set(blobs) & set(expected):
        np.testing.assert_array_equal(blobs[name].ravel(), expected[name].ravel())
    assert "y" in blobs
