"""Which cases a version of ncnn knows, by its own sources.

A version that does not read a parameter, or knows nothing of four axes, is not wrong about a case
that has them: the case is *unsupported* there. Three things are asked, in this order.

1. Is the layer type among those that `src/CMakeLists.txt` builds?
2. Does `load_param` of the naive kernel read each parameter that the case sets? Zero is no
   exception: it need not be what the version does by itself.
3. For what needed more than a parameter to come (four axes, an operator, a form of broadcasting):
   is the mark in the naive kernel's text that came with it? `_MARKS` lists them.

What is left are versions that read a parameter but mean less by it without a mark in the text. They
refuse the case or give another shape. That is unsupported, too, as long as no earlier version gave
the right shape; after one did, it is a fault.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from harness.sources.tree import source_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.cases.layer_case import LayerCase


_GET = re.compile(r"\bpd\s*\.\s*get\s*\(\s*(\d+)\s*,")
_LOAD = re.compile(r"\b\w+::load_param\s*\(\s*const\s+ParamDict\s*&\s*\w*\s*\)\s*\{")
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


def reads(source: str) -> Mapping[int, str]:
    """Return the parameters that a naive kernel reads, with the text of their defaults.

    Args:
        source: the text of `src/layer/<type>.cpp` of any version.

    Returns:
        Default by id; empty for a layer that reads none.
    """
    text = _COMMENT.sub(" ", source)
    found: dict[int, str] = {}
    for start in _LOAD.finditer(text):
        body = _balanced(text, start.end(), "{", "}")
        for get in _GET.finditer(body):
            found.setdefault(int(get[1]), _balanced(body, get.end(), "(", ")").strip())
    return found


def _balanced(text: str, start: int, opening: str, closing: str) -> str:
    """Return what stands before the bracket that closes the one before `start`."""
    depth = 1
    for place in range(start, len(text)):
        depth += (text[place] == opening) - (text[place] == closing)
        if not depth:
            return text[start:place]
    return text[start:]


@dataclass(frozen=True)
class _Kernel:
    """The naive kernel of one layer type in one version."""

    listed: bool
    text: str
    """Of its source and its header, and what they share with others, without comments."""
    reads: Mapping[int, str]


@lru_cache(maxsize=4096)
def _kernel(tree: Path, kind: str) -> _Kernel:
    folder = tree / "src" / "layer"
    lists = _text(tree / "src" / "CMakeLists.txt")
    listed = re.search(rf"\bncnn_add_layer\s*\(\s*{kind}\b", lists) is not None
    source = _text(folder / f"{kind.lower()}.cpp")
    header = _text(folder / f"{kind.lower()}.h")
    return _Kernel(listed, _COMMENT.sub(" ", source + header), reads(source))


def _text(path: Path) -> str:
    return source_text(path) if path.is_file() else ""


@dataclass(frozen=True)
class _Mark:
    """What stands in the text of a naive kernel from the version on that knows something."""

    what: str
    of: Callable[[LayerCase], bool]
    """Whether a case needs it."""
    pattern: Callable[[LayerCase], str]


def _four_axes(case: LayerCase) -> bool:
    return case.type not in _ANY_AXES and any(len(shape) > 3 for shape in case.shapes)


_ANY_AXES = frozenset({"Noop", "Split", "DeepCopy", "UnaryOp"})
"""Layers that never look at the axes of a blob."""
_TOLD = {"GroupNorm": (1, 2, 3), "LayerNorm": (1,), "MultiHeadAttention": (3,)}
"""Numbers of axes that came later to layers that tell them apart."""
_OPERATORS = frozenset({"BinaryOp", "UnaryOp"})


def _later(case: LayerCase) -> list[int]:
    ranks = {len(shape) for shape in case.shapes}
    return sorted(ranks.intersection(_TOLD.get(case.type, ())))


def _operator(case: LayerCase) -> str:
    return rf"Operation_\w+\s*=\s*{case.layer.integer(0, 0)}\b"


def _broadcasts(case: LayerCase) -> bool:
    """Whether two blobs differ in shape, and none of them is one number."""
    if case.type != "BinaryOp" or len(case.shapes) < 2:
        return False
    return case.shapes[0] != case.shapes[1] and (1,) not in case.shapes


def _inner_rows(case: LayerCase) -> bool:
    return case.type == "LayerNorm" and len(case.shapes[0]) > 2


def _as_input(case: LayerCase) -> bool:
    """Whether an adaptive pooling leaves an axis as it is."""
    return case.type.startswith("Pooling") and -233 in case.plain.values()


def _other_query(case: LayerCase) -> bool:
    return case.type == "MultiHeadAttention" and case.shapes[0][-1] != case.plain.get(0)


def _two_of_three(case: LayerCase) -> bool:
    """Whether attention has queries and keys alone."""
    is_masked = bool(case.plain.get(5))
    return case.type == "MultiHeadAttention" and len(case.shapes) - is_masked == 2


def _always(pattern: str) -> Callable[[LayerCase], str]:
    return lambda _: pattern


_MARKS = (
    _Mark("four axes", _four_axes, _always(r"\.d\b|\bdims == 4\b")),
    _Mark(
        "blobs of so many axes",
        lambda case: bool(_later(case)),
        lambda case: rf"\bdims == {max(_later(case))}\b",
    ),
    _Mark("this operator", lambda case: case.type in _OPERATORS, _operator),
    _Mark("rows of some axes", _inner_rows, _always(r"\baffine_size == \w+\b")),
    _Mark("a size as the input's", _as_input, _always(r"-233\b")),
    _Mark("queries of another size", _other_query, _always(r"\bqdim\b")),
    _Mark("keys that are values", _two_of_three, _always(r"\bsize\(\) == 2\b")),
    _Mark("broadcasting in general", _broadcasts, _always(r"\boutdims\b")),
)


def unsupported(case: LayerCase, tree: Path) -> str:
    """Return why a version of ncnn does not know a case, or nothing if it does.

    Args:
        case: any case.
        tree: the version's sources, with `src/CMakeLists.txt` and `src/layer`.
    """
    kernel = _kernel(tree, case.type)
    if not kernel.listed:
        return f"there is no layer {case.type}"
    unread = [key for key, _ in case.params if key not in kernel.reads]
    if unread:
        return f"{case.type} does not read parameter {unread[0]}"
    for mark in _MARKS:
        if mark.of(case) and not re.search(mark.pattern(case), kernel.text):
            return f"{case.type} does not know {mark.what}"
    return ""
