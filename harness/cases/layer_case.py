"""One layer with its parameters, the shapes of its inputs and the kinds of numbers in it.

A case is text: its id says all of it, so that any case can be run again by its id alone.

    Softmax:0=1,1=1:3x7
    Convolution:0=16,1=3,5=1,6=1152:8x9x9:x=outlier,w=tiny,store=fp16,seed=5
    Slice:-23300=2,-233,-233:8x5:out=2

Behind the layer's type stand its parameters as in a `.param` file, then the shape of each input,
outermost axis first and joined by `+`, then what is not as usual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from harness.cases.distributions import DISTRIBUTIONS, NORMAL, is_known
from harness.model.param import Layer, Param
from harness.model.value import ARRAY_KEY, Value
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.model.value import Plain

Shape = tuple[int, ...]
MAX_ELEMENTS = 1 << 24
"""Elements of one input; a mistyped shape is no reason to fill the memory."""
STORAGES = ("fp32", "fp16")
"""How flagged tensors are stored in the `.bin` file; int8 follows from the parameters."""
NAME = "layer"
"""Name of the layer in the model that is made of a case."""

_EXAMPLE = "Write it like Softmax:0=1,1=1:3x7 or Slice:-23300=2,-233,-233:8x5:out=2."


@dataclass(frozen=True, kw_only=True)
class LayerCase:
    """A model of one layer, as a value."""

    type: str
    params: tuple[tuple[int, Value], ...] = ()
    """By id, sorted."""
    shapes: tuple[Shape, ...] = ()
    """Of each input blob, outermost axis first."""
    values: tuple[str, ...] = (NORMAL,)
    """Distribution of the inputs, of all or of each, see `harness.cases.distributions`."""
    weights: str = NORMAL
    """Distribution of the weights."""
    storage: str = STORAGES[0]
    outputs: int = 1
    seed: int = 0
    """Of all numbers."""

    @classmethod
    def of(
        cls, kind: str, params: Mapping[int, Plain], *shapes: Sequence[int], **more: Any
    ) -> LayerCase:
        """Return a case from plain parameters: int, float, str, or a tuple of numbers."""
        pairs = tuple((key, Value.of(params[key])) for key in sorted(params))
        return cls(type=kind, params=pairs, shapes=tuple(tuple(s) for s in shapes), **more)

    @cached_property
    def id(self) -> str:
        """The text that says all of it."""
        more = [
            *(("x=" + "+".join(self.values),) if self.values != (NORMAL,) else ()),
            *((f"w={self.weights}",) if self.weights != NORMAL else ()),
            *((f"store={self.storage}",) if self.storage != STORAGES[0] else ()),
            *((f"out={self.outputs}",) if self.outputs != 1 else ()),
            *((f"seed={self.seed}",) if self.seed else ()),
        ]
        parts = [
            self.type,
            ",".join(quote(value.assignment(key), safe="=,.-+") for key, value in self.params),
            "+".join("x".join(map(str, shape)) for shape in self.shapes),
            ",".join(more),
        ]
        return ":".join(parts).rstrip(":")

    def __str__(self) -> str:
        """Return the id."""
        return self.id

    @cached_property
    def layer(self) -> Layer:
        """The layer, called `layer`, with inputs `in0`, … and outputs `out0`, …."""
        return Layer(
            self.type,
            NAME,
            tuple(f"in{i}" for i in range(len(self.shapes))),
            tuple(f"out{i}" for i in range(self.outputs)),
            self.params,
        )

    @cached_property
    def param(self) -> Param:
        """The model."""
        feeds = (Layer("Input", blob, (), (blob,)) for blob in self.layer.inputs)
        return Param((*feeds, self.layer))

    @property
    def plain(self) -> dict[int, Plain]:
        """The parameters as Python sees them."""
        return {key: value.plain for key, value in self.params}

    def with_params(self, changes: Mapping[int, Plain | None]) -> LayerCase:
        """Return the case with some parameters set, or, where None is given, left out."""
        params = {
            **dict(self.params),
            **{k: Value.of(v) for k, v in changes.items() if v is not None},
        }
        kept = ((k, v) for k, v in sorted(params.items()) if changes.get(k, v) is not None)
        return replace(self, params=tuple(kept))


def parse_case(text: str) -> LayerCase:
    """Return the case that an id stands for.

    Raises:
        UsageError: it is none; says which part.
    """
    kind, params, shapes, more, *rest = *text.strip().split(":"), "", "", ""
    if len(text.strip().split(":")) > 4 or any(rest):
        raise _error(text, "it has more than four parts")
    if not re.fullmatch(r"[A-Z]\w*", kind):
        raise _error(text, f"{kind!r} is no layer type")
    return LayerCase(
        type=kind,
        params=_params(text, params),
        shapes=tuple(_shape(text, each) for each in shapes.split("+") if each),
        **_more(text, more),
    )


def _error(text: str, problem: str) -> UsageError:
    return UsageError(f"case {text!r}: {problem}. {_EXAMPLE}")


def _params(text: str, part: str) -> tuple[tuple[int, Value], ...]:
    found: dict[int, Value] = {}
    # A word without `=` goes on with the array before it.
    for pair in re.split(r",(?=-?\d+=)", part) if part else ():
        key, _, given = pair.partition("=")
        value = unquote(given)
        if not re.fullmatch(r"-?\d+", key) or not value:
            raise _error(text, f"{pair!r} is no parameter")
        number = int(key)
        try:
            if number > ARRAY_KEY:
                read = Value(value)
                _ = read.plain
            else:
                number = ARRAY_KEY - number
                count, _, elements = value.partition(",")
                read = Value(elements, counted=True)
                if len(read.plain if isinstance(read.plain, tuple) else ()) != int(count):
                    raise _error(text, f"{pair!r} does not have {count} elements")
        except (ValueError, IndexError) as error:
            raise _error(text, f"{pair!r} is no parameter") from error
        found[number] = read
    return tuple(sorted(found.items()))


def _shape(text: str, part: str) -> Shape:
    if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){0,3}", part):
        raise _error(text, f"{part!r} is no shape of 1 to 4 axes")
    shape = tuple(map(int, part.split("x")))
    elements = 1
    for extent in shape:
        elements *= extent
    if elements > MAX_ELEMENTS:
        raise _error(text, f"{part!r} has more than {MAX_ELEMENTS} elements")
    return shape


def _more(text: str, part: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in part.split(",") if part else ():
        key, _, value = pair.partition("=")
        if key == "x":
            found["values"] = tuple(value.split("+"))
        elif key == "w":
            found["weights"] = value
        elif key == "store" and value in STORAGES:
            found["storage"] = value
        elif key in ("out", "seed") and value.isdecimal():
            found["outputs" if key == "out" else "seed"] = int(value)
        else:
            raise _error(text, f"{pair!r} is none of x=, w=, store=fp16, out= and seed=")
    for name in (*found.get("values", ()), found.get("weights", NORMAL)):
        if not is_known(name):
            raise _error(
                text, f"{name!r} is no distribution; there are {', '.join(DISTRIBUTIONS)} and ids7"
            )
    return found
