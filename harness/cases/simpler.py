"""The ways in which a case can be made simpler, one coordinate at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from harness.cases.distributions import NORMAL
from harness.cases.generation import SKETCHES
from harness.cases.layer_case import STORAGES, LayerCase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.cases.layer_case import Shape
    from harness.model.value import Plain

Change: TypeAlias = Callable[[LayerCase], LayerCase]

EXTENTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 64, 128)
"""What extents and counts shrink to."""


def changes_of(case: LayerCase) -> list[tuple[Change, ...]]:
    """Return the coordinates of a case: of each the changes to something simpler, simplest first.

    A change of one coordinate may be followed by those of others: each keeps to what is there.
    """
    coordinates = (
        _fewer_inputs(case),
        _fewer_axes(case),
        *(_extent(n) for n in sorted({n for shape in case.shapes for n in shape}, reverse=True)),
        *_places(case),
        *(_parameter(case, key, plain) for key, plain in case.plain.items()),
        *_numbers(case),
    )
    return [changes for changes in map(tuple, coordinates) if changes]


def _fewer_inputs(case: LayerCase) -> Iterator[Change]:
    for count in range(1, len(case.shapes)):
        yield partial(_with_inputs, count=count)


def _with_inputs(case: LayerCase, *, count: int) -> LayerCase:
    values = case.values[:count] if len(case.values) > 1 else case.values
    return replace(case, shapes=case.shapes[:count], values=values)


def _fewer_axes(case: LayerCase) -> Iterator[Change]:
    ndim = max((len(shape) for shape in case.shapes), default=0)
    for count in range(1, ndim):
        yield partial(_with_axes, lost=ndim - count, outer=True)
        yield partial(_with_axes, lost=ndim - count, outer=False)


def _with_axes(case: LayerCase, *, lost: int, outer: bool) -> LayerCase:
    """Drop axes of all inputs that have enough: behind the outermost one, or the outermost ones."""

    def less(shape: Shape) -> Shape:
        if len(shape) <= lost:
            return shape
        return (shape[0], *shape[1 + lost :]) if outer else shape[lost:]

    return replace(case, shapes=tuple(map(less, case.shapes)))


def _extent(extent: int) -> Iterator[Change]:
    for smaller in _below(extent):
        yield partial(_with_extent, extent=extent, smaller=smaller)


def _with_extent(case: LayerCase, *, extent: int, smaller: int) -> LayerCase:
    """Change all axes of one extent, which may have to be the same."""
    shapes = tuple(tuple(smaller if n == extent else n for n in shape) for shape in case.shapes)
    return replace(case, shapes=shapes)


def _places(case: LayerCase) -> Iterator[Iterator[Change]]:
    """Yield the axes whose extent others have, too."""
    every = [n for shape in case.shapes for n in shape]
    for number, shape in enumerate(case.shapes):
        for axis, extent in enumerate(shape):
            if every.count(extent) > 1:
                yield _place((number, axis), extent)


def _place(place: tuple[int, int], extent: int) -> Iterator[Change]:
    for smaller in _below(extent):
        yield partial(_with_place, place=place, extent=extent, smaller=smaller)


def _with_place(case: LayerCase, *, place: tuple[int, int], extent: int, smaller: int) -> LayerCase:
    number, axis = place
    if number >= len(case.shapes) or axis >= len(case.shapes[number]):
        return case
    shapes = [list(shape) for shape in case.shapes]
    if shapes[number][axis] == extent:
        shapes[number][axis] = smaller
    return replace(case, shapes=tuple(map(tuple, shapes)))


def _below(number: int) -> Iterator[int]:
    return (extent for extent in EXTENTS if extent < number)


def _parameter(case: LayerCase, key: int, plain: Plain) -> Iterator[Change]:
    """Yield a parameter left out, then simpler values: those of the sketch, and smaller ones."""
    sketch = SKETCHES.get(case.type)
    known = sketch.params.get(key, ()) if sketch else ()
    before = known[: known.index(plain)] if plain in known else known
    simpler: list[Any] = [None, *before]
    if isinstance(plain, tuple):
        simpler += [plain[:count] for count in range(1, len(plain))]
    elif isinstance(plain, int):
        simpler += _below(plain)
    for value in dict.fromkeys(simpler):
        if value != plain:
            yield partial(_with_parameter, key=key, value=value)


def _with_parameter(case: LayerCase, *, key: int, value: Plain | None) -> LayerCase:
    return case.with_params({key: value})


def _numbers(case: LayerCase) -> Iterator[Iterator[Change]]:
    """Yield what the numbers are drawn from."""
    if case.values != (NORMAL,):
        yield iter([partial(replace, values=(NORMAL,))])
    if case.weights != NORMAL:
        yield iter([partial(replace, weights=NORMAL)])
    if case.storage != STORAGES[0]:
        yield iter([partial(replace, storage=STORAGES[0])])
    yield (partial(replace, outputs=count) for count in range(1, case.outputs))
    yield (partial(replace, seed=seed) for seed in range(min(case.seed, 3)))
