"""Layers that only move elements: shapes, orders of axes, parts of blobs."""

from __future__ import annotations

from dataclasses import replace
from math import factorial, prod
from typing import TYPE_CHECKING, Any

from harness.cases.generation.pools import AXES, CHANNELS, INNER, VALUES, WEIGHTS, is_axis, subsets
from harness.cases.generation.sketch import Sketch, weighted

if TYPE_CHECKING:
    from harness.cases.generation.sketch import Choice
    from harness.cases.layer_case import LayerCase, Shape

_NAMES = {1: "w", 2: "hw", 3: "chw", 4: "cdhw"}
_SIZES = {"w": 0, "h": 1, "d": 11, "c": 2}


def _reshape(case: LayerCase, choice: Choice) -> LayerCase | None:
    """Ask for a shape: of the same elements, the extent of one axis perhaps left to follow."""
    (shape,) = case.shapes
    to = choice["to"]
    wanted = _divided(prod(shape), choice["split"], to)
    given: list[int] = list(wanted)
    if choice["free"] is not None and choice["free"] < to:
        given[choice["free"]] = -1
    if choice["kept"]:
        # Zero keeps the extent of the axis of the same name.
        names = dict(zip(_NAMES[len(shape)], shape, strict=True))
        for place, name in enumerate(_NAMES[to]):
            given[place] = 0 if names.get(name) == wanted[place] else given[place]
    keys = [_SIZES[name] for name in _NAMES[to]]
    return case.with_params(dict(zip(keys, given, strict=True)))


def _divided(total: int, split: tuple[int, ...], count: int) -> Shape:
    """Return a shape of so many axes with so many elements, near a given one."""
    extents = []
    for wanted in split[: count - 1]:
        extent = next(n for n in range(min(wanted, total), 0, -1) if total % n == 0)
        extents.append(extent)
        total //= extent
    return (*extents, total)


def _reshape_fit(case: LayerCase) -> LayerCase | None:
    """Where nothing is left to follow, elements have to be as many as before."""
    keys = [key for key in _SIZES.values() if key in case.plain]
    extents = [case.layer.integer(key, 0) for key in keys]
    if extents.count(-1) > 1:
        return None
    if min(extents, default=0) < 1:
        # The definition tells where a kept axis has to be.
        known = prod(n for n in extents if n > 0)
        return None if prod(case.shapes[0]) % known else case
    return case if prod(extents) == prod(case.shapes[0]) else None


def _squeeze(case: LayerCase, choice: Choice) -> LayerCase | None:
    ones = choice["ones"]
    shape = tuple(1 if axis in ones else n for axis, n in enumerate(case.shapes[0]))
    case = replace(case, shapes=(shape,))
    by_axes, axes = choice["axes"], choice["named"]
    if by_axes:
        return case.with_params({3: axes})
    named = {_SIZES[name]: 1 for name in choice["names"]}
    return case.with_params(named)


def _listed(key: int, name: str = "axes") -> Any:
    def arrange(case: LayerCase, choice: Choice) -> LayerCase | None:
        return case.with_params({key: choice[name]})

    return arrange


def _permute(case: LayerCase) -> LayerCase | None:
    order = case.layer.integer(0, 0)
    return case.with_params({0: order % factorial(len(case.shapes[0]))})


def _multiple(case: LayerCase) -> LayerCase | None:
    """Give PixelShuffle as many channels as it needs."""
    factor = case.layer.integer(0, 1)
    channels, *rest = case.shapes[0]
    whole = max(1, channels // factor**2) * factor**2
    return replace(case, shapes=((whole, *rest),))


def _at_least(case: LayerCase) -> LayerCase | None:
    """Reorg leaves nothing of less than a step; what is no multiple of it ncnn cuts off."""
    step = case.layer.integer(0, 1)
    return None if any(n % step for n in case.shapes[0][1:]) else case


def _concat(case: LayerCase, choice: Choice) -> LayerCase | None:
    (shape,) = case.shapes
    axis = choice["axis"]
    if not is_axis(axis, len(shape)):
        return None
    shapes = []
    for extent in choice["extents"]:
        other = list(shape)
        other[axis] = extent or shape[axis]
        shapes.append(tuple(other))
    return replace(case, shapes=tuple(shapes)).with_params({0: axis})


def _same_elsewhere(case: LayerCase) -> LayerCase | None:
    """Joined blobs differ in one axis only."""
    first, axis = case.shapes[0], case.layer.integer(0, 0)
    if not is_axis(axis, len(first)) or len({len(s) for s in case.shapes}) > 1:
        return None
    rests = {s[: axis % len(s)] + s[axis % len(s) + 1 :] for s in case.shapes}
    return case if len(rests) == 1 else None


def _slice(case: LayerCase, choice: Choice) -> LayerCase | None:
    key, parts = choice["parts"]
    count = len(parts) + (key == 2)
    axis = choice["axis"]
    return replace(case, outputs=count).with_params({key: parts, 1: axis})


def _slice_fit(case: LayerCase) -> LayerCase | None:
    """Parts by size are as many as outputs; by indices the last one goes to the end."""
    if not is_axis(case.plain.get(1, 0), len(case.shapes[0])):
        return None
    sizes, indices = case.plain.get(0), case.plain.get(2)
    if isinstance(sizes, tuple) and not isinstance(indices, tuple):
        return _whole(replace(case, outputs=len(sizes)), sizes)
    if isinstance(indices, tuple) and sizes is None:
        return replace(case, outputs=len(indices) + 1)
    return None


def _whole(case: LayerCase, sizes: tuple[Any, ...]) -> LayerCase | None:
    """Sizes that are all given add up to the extent of the axis."""
    shape, axis = case.shapes[0], case.layer.integer(1, 0)
    return case if -233 in sizes or sum(sizes) == shape[axis] else None


def _crop(case: LayerCase, choice: Choice) -> LayerCase | None:
    (shape,) = case.shapes
    names = _NAMES[len(shape)]
    way, starts, cuts = choice["way"], choice["starts"], choice["cuts"]
    if way == "ends":
        axes = choice["axes"]
        listed = axes or tuple(range(len(shape)))
        changes: dict[int, Any] = {9: _some(starts, listed), 10: _some(choice["ends"], listed)}
        return case.with_params({**changes, 11: axes})
    offsets = {_OFFSET[name]: start for name, start in zip(names, starts, strict=False) if start}
    sizes = [n - a - b for n, a, b in zip(shape, starts, cuts, strict=False)]
    if way == "reference":
        return replace(case, shapes=(shape, tuple(sizes))).with_params(offsets)
    if way == "sizes":
        return case.with_params(
            {**offsets, **{_EXTENT[name]: n for name, n in zip(names, sizes, strict=True)}}
        )
    ends = {_END[name]: cut for name, cut in zip(names, cuts, strict=False) if cut}
    return case.with_params({**offsets, **{_EXTENT[name]: -233 for name in names}, **ends})


def _some(values: tuple[int, ...], axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(values[axis % len(values)] for axis in axes)


_OFFSET = {"w": 0, "h": 1, "d": 13, "c": 2}
_EXTENT = {"w": 3, "h": 4, "d": 14, "c": 5}
_END = {"w": 6, "h": 7, "d": 15, "c": 8}


def _positive(case: LayerCase) -> LayerCase | None:
    return case if all(n > 0 for shape in case.shapes for n in shape) else None


def _copy_to(case: LayerCase, choice: Choice) -> LayerCase | None:
    (shape,) = case.shapes
    starts = [start % n for start, n in zip(choice["starts"], shape, strict=False)]
    part = tuple(
        max(1, n - start - cut)
        for n, start, cut in zip(shape, starts, choice["cuts"], strict=False)
    )
    case = replace(case, shapes=(shape, part))
    if choice["axes"]:
        return case.with_params({9: tuple(starts), 11: tuple(range(len(shape)))})
    keys = [_OFFSET[name] for name in _NAMES[len(shape)]]
    return case.with_params(dict(zip(keys, starts, strict=True)))


def _padding(case: LayerCase) -> LayerCase | None:
    """Let the values be as many as channels, and reflect less than there is."""
    layer = case.layer
    shape = case.shapes[0]
    keys = ((7, 8), (0, 1), (2, 3))[-len(shape) :]
    unused = {key: None for pair in ((7, 8), (0, 1), (2, 3)) if pair not in keys for key in pair}
    case = case.with_params(unused)
    if layer.integer(4, 0):
        case = case.with_params({5: None, 6: None})
    if layer.integer(4, 0) == _REFLECT:
        for pair, n in zip(keys, shape[-len(keys) :], strict=True):
            if max(layer.integer(key, 0) for key in pair) >= n:
                return None
    if layer.integer(6, 0):
        if len(shape) < 3:
            return case.with_params({6: None})
        sides = (layer.integer(7, 0) + layer.integer(8, 0)) * (len(shape) == 3)
        return case.with_params({6: shape[0] + sides})
    return case


_REFLECT = 2


def _tile(case: LayerCase, choice: Choice) -> LayerCase | None:
    if choice["repeats"]:
        return case.with_params({2: choice["repeats"], 0: None, 1: None})
    return case


def _tile_fit(case: LayerCase) -> LayerCase | None:
    axis = case.layer.integer(0, 0)
    return case if 0 <= axis < len(case.shapes[0]) else None


def _memory(case: LayerCase, choice: Choice) -> LayerCase | None:
    """The shape of the data stands in the parameters; there is no input."""
    shape = case.shapes[0]
    keys = [_SIZES[name] for name in _NAMES[len(shape)]]
    sizes = dict(zip(keys, shape, strict=True))
    storage = "fp16" if choice["stored"] == 0 and choice["half"] else "fp32"
    return replace(case, shapes=(), values=("normal",), storage=storage).with_params(
        {**sizes, 21: choice["stored"]}
    )


def _outputs(case: LayerCase, choice: Choice) -> LayerCase | None:
    return replace(case, outputs=choice["outputs"])


_STARTS = ((0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 0, 2), (4, 0, 1, 0), (8, 1, 1, 1), (0, 0, 3, 4))
_CUTS = ((0, 0, 0, 0), (0, 0, 1, 1), (1, 1, 0, 0), (4, 0, 2, 0), (8, 0, 0, 3))
_SETS = tuple(dict.fromkeys(s for n in (1, 2, 3, 4) for s in subsets(n)))
_SPLITS = ((2, 3, 4), (4, 4, 4), (8, 2, 3), (16, 3, 2), (1, 5, 1), (3, 7, 5), (12, 2, 2))

SKETCHES: dict[str, Sketch] = {
    "Reshape": Sketch(
        # Of few other numbers can four or eight be split off, by which the result is packed.
        outer=(*CHANNELS, 8, 16, 24, 32, 40, 48, 64, 96),
        more={
            "to": (1, 2, 3, 4),
            "split": _SPLITS,
            "free": (None, 0, 1, 2, 3),
            "kept": (False, False, True),
        },
        arrange=_reshape,
        fit=_reshape_fit,
    ),
    "Flatten": Sketch(),
    "Squeeze": Sketch(
        more={
            "ones": ((0,), (1,), (2,), (3,), (0, 1), (1, 2), (0, 2), (2, 3)),
            "axes": (True, False),
            "named": (None, (0,), (1,), (2,), (-1,), (-2,), (0, 1), (0, -1), (1, 2), (0, 1, 2)),
            "names": ("w", "h", "c", "d", "wh", "hc", "wc", "whcd"),
        },
        arrange=_squeeze,
    ),
    "ExpandDims": Sketch(
        ranks=(1, 2, 3),
        more={"axes": (None, (0,), (1,), (2,), (-1,), (-2,), (0, 1), (1, 2), (0, -1), (0, 1, 2))},
        arrange=_listed(3),
    ),
    "Permute": Sketch(ranks=(1, 2, 3, 4, 4, 4), params={0: tuple(range(24))}, fit=_permute),
    "PixelShuffle": Sketch(
        ranks=(3,),
        outer=(4, 8, 16, 9, 12, 18, 32, 36, 64, 48),
        params={0: (2, 3, 4), 1: (None, 0, 1)},
        fit=_multiple,
    ),
    "Reorg": Sketch(
        ranks=(3,),
        inner=((1, 2, 2), (1, 4, 6), (1, 6, 4), (1, 8, 8), (1, 12, 12), (1, 2, 16), (1, 6, 9)),
        params={0: (2, 3, 4), 1: (None, 0, 1)},
        fit=_at_least,
    ),
    "ShuffleChannel": Sketch(
        ranks=(3, 4),
        outer=(2, 4, 6, 8, 12, 16, 18, 20, 24, 24, 32, 40, 48, 64, 1),
        params={0: (2, 2, 3, 3, 4, 4, 1, 8), 1: (None, None, 0, 1)},
    ),
    "Flip": Sketch(more={"axes": (*_SETS, (-1,), (-2,), (0, -1))}, arrange=_listed(0)),
    "Split": Sketch(more={"outputs": (2, 3, 4)}, arrange=_outputs),
    "Noop": Sketch(),
    "DeepCopy": Sketch(),
    "Concat": Sketch(
        more={
            "axis": AXES,
            "extents": (
                (0, 0),
                (0, 1),
                (4, 8),
                (8, 8),
                (3, 5, 0),
                (16, 4, 4),
                (1, 2, 3, 4),
                (0,),
                (7, 0, 12),
            ),
        },
        arrange=_concat,
        fit=_same_elsewhere,
    ),
    "Slice": Sketch(
        outer=(*CHANNELS, 2, 6, 48),
        more={
            "axis": AXES,
            "parts": (
                (0, (-233, -233)),
                (0, (1, -233)),
                (0, (4, -233)),
                (0, (8, -233)),
                (0, (4, 4, -233)),
                (0, (-233, -233, -233)),
                (0, (16, -233, 1)),
                (2, (1,)),
                (2, (-1,)),
                (2, (4,)),
                (2, (1, 3)),
                (2, (4, -4)),
                (2, (8, -8)),
            ),
        },
        arrange=_slice,
        fit=_slice_fit,
    ),
    "Crop": Sketch(
        outer=(*CHANNELS, 40),
        more={
            "way": ("sizes", "rest", "ends", "reference"),
            "starts": (*_STARTS, (-3, -2, -3, -3)),
            "cuts": _CUTS,
            "ends": ((-233,) * 4, (-1, -1, -1, -1), (4, 2, 3, 4), (8, -1, -233, 6)),
            "axes": (None, (0,), (-1,), (0, 1), (1, -1), (0, -1), (2,), (1, 2), (-2,)),
        },
        arrange=_crop,
        fit=_positive,
    ),
    "CopyTo": Sketch(
        outer=(*CHANNELS, 40),
        more={"starts": _STARTS, "cuts": _CUTS, "axes": (False, True)},
        arrange=_copy_to,
    ),
    "Padding": Sketch(
        # Packed channels have kernels of their own where none are added.
        ranks=(1, 2, 3, 3, 3, 4),
        params={
            0: (None, 0, 1, 2, 4),
            1: (None, 0, 1, 3),
            2: (None, 0, 1, 2, 4),
            3: (None, 0, 1, 3),
            4: (None, None, 0, 1, 1, 2, 2),
            5: (None, 0.5, -1.0),
            6: (None, None, None, 1),
            7: (*(None,) * 6, 1, 4, 8),
            8: (*(None,) * 6, 1, 4, 8),
        },
        fit=_padding,
        weights=WEIGHTS,
    ),
    "Tile": Sketch(
        outer=(1, 2, 3, 4, 5, 8, 12, 16, 17),
        inner=INNER[:9],
        params={0: (0, 1, 2, 3), 1: (1, 2, 3)},
        more={
            "repeats": (*(None,) * 4, (2,), (3, 2), (2, 3, 2), (1, 2), (2, 1), (2, 1, 2, 3)),
        },
        arrange=_tile,
        fit=_tile_fit,
    ),
    "MemoryData": weighted(
        more={"stored": (None, 1, 0), "half": (False, True)},
        arrange=_memory,
        values=VALUES[:1],
        storages=("fp32",),
    ),
}
