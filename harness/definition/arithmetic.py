"""The elementary functions that definitions consist of, so that a hypothesis replaces one."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]


def _reciprocal(x: Array) -> Array:
    return 1 / x


def _rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


def _mean(rows: Array) -> Array:
    return np.asarray(rows.mean(axis=1, keepdims=True))


def _erf(x: Array) -> Array:
    """Return the error function; NumPy has none. By parts: Python's numbers are large."""
    flat = x.ravel()
    result = np.empty_like(flat)
    for start in range(0, flat.size, _PART):
        part = flat[start : start + _PART].tolist()
        result[start : start + _PART] = [math.erf(value) for value in part]
    return result.reshape(x.shape)


_PART = 1 << 16


@dataclass(frozen=True)
class Arithmetic:
    """How a definition computes; by default exactly, in the type of its arrays."""

    exp: Callable[[Array], Array] = np.exp
    tanh: Callable[[Array], Array] = np.tanh
    erf: Callable[[Array], Array] = _erf
    reciprocal: Callable[[Array], Array] = _reciprocal
    rsqrt: Callable[[Array], Array] = _rsqrt
    mean: Callable[[Array], Array] = _mean
    """Of each row of a matrix, as a column."""
    matmul: Callable[[Array, Array], Array] = np.matmul
    """Sum of products over the last axis of the first and the last but one of the second."""

    @property
    def sums_exactly(self) -> bool:
        """Whether sums of products are as usual, so that their order and shape do not matter."""
        return self.matmul is np.matmul

    def replaced(self, name: str, function: Callable[..., Array]) -> Arithmetic:
        """Return an arithmetic with one function replaced."""
        changes: dict[str, Any] = {name: function}
        return replace(self, **changes)


EXACT = Arithmetic()


def functions_of(compute: Callable[[Arithmetic], object]) -> frozenset[str]:
    """Return the names of the elementary functions that a computation calls."""
    called: set[str] = set()

    def traced(name: str) -> Callable[..., Array]:
        original: Callable[..., Array] = getattr(EXACT, name)

        def call(*arguments: Array) -> Array:
            called.add(name)
            return original(*arguments)

        return call

    changes: dict[str, Any] = {field.name: traced(field.name) for field in fields(Arithmetic)}
    compute(replace(EXACT, **changes))
    return frozenset(called)


def matmul_in_fp16(lanes: int) -> Callable[[Array, Array], Array]:
    """Return a matrix product that rounds each product and each sum to half precision.

    Args:
        lanes: how many partial sums run side by side before they are added up.
    """

    def product(a: Array, b: Array) -> Array:
        depth = a.shape[-1]
        rows = np.zeros(
            (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
        )
        sums = [rows.astype(np.float16) for _ in range(min(lanes, depth))]
        left, right = a.astype(np.float16), b.astype(np.float16)
        with np.errstate(over="ignore", invalid="ignore"):
            for index in range(depth):
                # A fused multiply-add rounds once: the product is taken in float32.
                term = left[..., :, index, None].astype(np.float32) * right[..., None, index, :]
                lane = index % len(sums)
                sums[lane] = (sums[lane] + term).astype(np.float16)
            while len(sums) > 1:
                half = (len(sums) + 1) // 2
                sums = [
                    sums[i] + sums[i + half] if i + half < len(sums) else sums[i]
                    for i in range(half)
                ]
        return sums[0].astype(a.dtype)

    return product
