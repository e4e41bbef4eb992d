"""Where the numbers of a made-up blob or weight come from, by name.

The legacy generator of NumPy is used, whose streams are frozen: an id means the same numbers with
every version of NumPy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Shape = tuple[int, ...]
    Draw = Callable[[np.random.RandomState, Shape], Array]

NORMAL = "normal"
TINY, HUGE, OUTLIER, DENORMAL = 1e-6, 1e4, 1e3, 1e-39
"""Factors of a normal distribution; an outlier is one element of it."""
_WHOLE = re.compile(r"(ids|int32-)([1-9][0-9]{0,8})")


def _normal(random: np.random.RandomState, shape: Shape) -> Array:
    return random.standard_normal(shape)


def _scaled(factor: float) -> Draw:
    return lambda random, shape: _normal(random, shape) * factor


def _uniform(random: np.random.RandomState, shape: Shape) -> Array:
    return random.uniform(-0.95, 0.95, shape)


def _positive(random: np.random.RandomState, shape: Shape) -> Array:
    return np.abs(_normal(random, shape)) + 0.2


def _zeros(_: np.random.RandomState, shape: Shape) -> Array:
    return np.zeros(shape)


def _outlier(random: np.random.RandomState, shape: Shape) -> Array:
    values = _normal(random, shape)
    values.flat[random.randint(values.size)] = OUTLIER
    return values


def _boxes(random: np.random.RandomState, shape: Shape) -> Array:
    """Return boxes, four numbers each: two corners, the first one left and above."""
    corners = random.uniform(0, 4, (-(-int(np.prod(shape)) // 4), 2))
    boxes = np.concatenate([corners, corners + random.uniform(0.5, 4, corners.shape)], axis=1)
    return np.resize(boxes, shape)


DISTRIBUTIONS: dict[str, Draw] = {
    NORMAL: _normal,
    "uniform": _uniform,
    "positive": _positive,
    "tiny": _scaled(TINY),
    "huge": _scaled(HUGE),
    "zeros": _zeros,
    "outlier": _outlier,
    "denormal": _scaled(DENORMAL),
    "boxes": _boxes,
}
"""Those of float32; `uniform` is within what arc sines take."""


def is_known(name: str) -> bool:
    """Return whether there is a distribution of this name."""
    return name in DISTRIBUTIONS or _WHOLE.fullmatch(name) is not None


def draw(name: str, random: np.random.RandomState, shape: Shape) -> Array:
    """Return random numbers.

    Args:
        name: one of `DISTRIBUTIONS`; `ids7` for whole numbers from 0 to 6 as float32, such as
            ids of tokens; `int32-7` for int32 from -7 to 7.
        random: their source.
        shape: how many.

    Returns:
        float32, or int32 for `int32-N`.
    """
    whole = _WHOLE.fullmatch(name)
    if whole is None:
        return DISTRIBUTIONS[name](random, shape).astype(np.float32)
    kind, limit = whole[1], int(whole[2])
    if kind == "ids":
        return random.randint(0, limit, shape).astype(np.float32)
    return random.randint(-limit, limit + 1, shape).astype(np.int32)
