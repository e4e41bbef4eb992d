"""What the cases of one layer type are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.cases.generation.pools import CHANNELS, INNER, VALUES, WEIGHTS, is_axis
from harness.cases.layer_case import STORAGES, LayerCase

if TYPE_CHECKING:
    from harness.model.value import Plain

Choice = Mapping[str, Any]
"""One candidate of each coordinate."""
SEEDS = tuple(range(100))
MAX_ELEMENTS = 20_000
"""Elements of one input."""


def _as_it_is(case: LayerCase) -> LayerCase | None:
    return case


def _first(case: LayerCase, _: Choice) -> LayerCase | None:
    return case


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """Candidates of each coordinate of a layer type's cases, and how they fit together.

    Candidates that do not go together need not be told here: whatever the definition refuses is
    drawn again.
    """

    ranks: tuple[int, ...] = (1, 2, 3, 4)
    """How many axes the first input has; empty where `arrange` gives all inputs."""
    outer: tuple[int, ...] = CHANNELS
    inner: tuple[tuple[int, ...], ...] = INNER
    params: Mapping[int, tuple[Plain | None, ...]] = field(default_factory=dict)
    """By id, the simplest first; None is left out."""
    more: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Further coordinates, for `arrange`."""
    arrange: Callable[[LayerCase, Choice], LayerCase | None] = _first
    """Takes a case of the plain coordinates and gives it what is in `more`."""
    fit: Callable[[LayerCase], LayerCase | None] = _as_it_is
    """Makes parameters and inputs follow from those they depend on; None if nothing fits."""
    values: tuple[str | tuple[str, ...], ...] = VALUES
    """Distributions of the inputs: of all, or of each."""
    weights: tuple[str, ...] = ()
    """Distributions of the weights, empty for layers without any."""
    storages: tuple[str, ...] = STORAGES[:1]

    def coordinates(self) -> dict[str, tuple[Any, ...]]:
        """Return the candidates of each coordinate by name; parameters are called by their id."""
        shape = {"rank": self.ranks, "outer": self.outer, "inner": self.inner} if self.ranks else {}
        return {
            **shape,
            **{str(key): candidates for key, candidates in self.params.items()},
            **self.more,
            "values": self.values,
            "weights": self.weights or WEIGHTS[:1],
            "storage": self.storages,
            "seed": SEEDS,
        }

    def case(self, kind: str, choice: Choice) -> LayerCase | None:
        """Return the case of a choice of each coordinate; None if its parts do not go together."""
        shapes = []
        if self.ranks:
            inner = choice["inner"]
            shapes.append((choice["outer"], *inner[len(inner) + 1 - choice["rank"] :]))
        given = {key: choice[str(key)] for key in self.params}
        values = choice["values"]
        case = LayerCase.of(
            kind,
            {key: value for key, value in given.items() if value is not None},
            *shapes,
            values=values if isinstance(values, tuple) else (values,),
            weights=choice["weights"],
            storage=choice["storage"],
            seed=choice["seed"],
        )
        arranged = self.arrange(case, choice)
        return arranged and self.fit(arranged)


def along(case: LayerCase) -> LayerCase | None:
    """Return the case if its first parameter is an axis of its input, as a `fit`."""
    return case if is_axis(case.plain.get(0, 0), len(case.shapes[0])) else None


STORED = (*STORAGES[:1] * 3, STORAGES[1])
"""Storages of weights that may be of half precision."""


def weighted(**more: Any) -> Sketch:
    """Return a sketch of a layer with weights that may be stored in half precision."""
    return Sketch(**{"weights": WEIGHTS, "storages": STORED, **more})
