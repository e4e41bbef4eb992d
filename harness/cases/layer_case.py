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
from math import prod
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from harness.cases.distributions import DISTRIBUTIONS, NORMAL, is_known
from harness.model.param import Layer, Param, parse_pair
from harness.model.value import Value
from harness.util.codes import Code
from harness.util.errors import ModelError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.model.value import Plain

Shape = tuple[int, ...]
MAX_ELEMENTS = 1 << 24
"""Elements of one input; a mistyped shape is no reason to fill the memory."""
MAX_BLOBS = 64
"""Inputs and outputs; the layers with most have a dozen."""
MAX_TEXT = 20_000
"""Characters of an id; arrays make it long."""
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
    if len(text) > MAX_TEXT:
        raise _error(text, f"it has more than {MAX_TEXT} characters")
    if re.search("[\ud800-\udfff]", text):
        raise _error(text, "it is not in UTF-8")
    parts = text.strip().split(":")
    if len(parts) > 4:
        raise _error(text, "it has more than four parts")
    kind, params, shapes, more = (*parts, "", "", "")[:4]
    if not re.fullmatch(r"[A-Z][A-Za-z0-9_]{0,254}", kind):
        raise _error(text, f"{kind[:_SHOWN]!r} is no layer type")
    return LayerCase(
        type=kind,
        params=_params(text, params),
        shapes=_shapes(text, shapes),
        **_more(text, more),
    )


_SHOWN = 200
"""Characters of what is wrong that a message has."""


def _error(text: str, problem: str) -> UsageError:
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return UsageError(f"case {shown!r}: {problem}. {_EXAMPLE}", code=Code.STRANGE_CASE)


def _params(text: str, part: str) -> tuple[tuple[int, Value], ...]:
    found: dict[int, Value] = {}
    # A word without `=` goes on with the array before it.
    for pair in re.split(r",(?=-?[0-9]+=)", part) if part else ():
        try:
            key, value = parse_pair(unquote(pair))
        except ModelError as error:
            raise _error(text, f"{pair[:_SHOWN]!r} is no parameter: {error}") from error
        if key in found:
            raise _error(text, f"parameter {key} is there twice")
        found[key] = value
    return tuple(sorted(found.items()))


def _shapes(text: str, part: str) -> tuple[Shape, ...]:
    words = part.split("+") if part else []
    if len(words) > MAX_BLOBS:
        raise _error(text, f"it has {len(words)} inputs, more than {MAX_BLOBS}")
    shapes = tuple(_shape(text, word) for word in words)
    if sum(map(prod, shapes)) > MAX_ELEMENTS:
        raise _error(text, f"its inputs have more than {MAX_ELEMENTS} elements")
    return shapes


def _shape(text: str, part: str) -> Shape:
    if not re.fullmatch(r"[1-9][0-9]{0,9}(x[1-9][0-9]{0,9}){0,3}", part):
        raise _error(text, f"{part[:_SHOWN]!r} is no shape of 1 to 4 axes")
    return tuple(map(int, part.split("x")))


def _more(text: str, part: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    given: set[str] = set()
    for pair in part.split(",") if part else ():
        key, _, value = pair.partition("=")
        if key in given:
            raise _error(text, f"{key}= is there twice")
        given.add(key)
        if key == "x":
            found["values"] = tuple(value.split("+"))
        elif key == "w":
            found["weights"] = value
        elif key == "store" and value in STORAGES:
            found["storage"] = value
        elif key == "out" and re.fullmatch("[1-9][0-9]?", value) and int(value) <= MAX_BLOBS:
            found["outputs"] = int(value)
        elif key == "seed" and re.fullmatch("[0-9]{1,9}", value):
            found["seed"] = int(value)
        else:
            raise _error(text, f"{pair[:_SHOWN]!r} is none of x=, w=, store=fp16, out= and seed=")
    for name in (*found.get("values", ()), found.get("weights", NORMAL)):
        if not is_known(name):
            known = ", ".join(DISTRIBUTIONS)
            raise _error(text, f"{name[:_SHOWN]!r} is no distribution; there are {known} and ids7")
    return found
