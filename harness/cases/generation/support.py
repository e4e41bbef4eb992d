"""Which cases a version of ncnn knows, by its own sources.

A version that does not read a parameter, or knows nothing of four axes, is not wrong about a case
that has them: the case is *unsupported* there. Three things are asked, in this order.

1. Is the layer type among those that `src/CMakeLists.txt` builds?
2. Does `load_param` of the naive kernel read each parameter that the case sets? One that is set to
   what an unread parameter means anyway is no objection.
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

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.cases.layer_case import LayerCase
    from harness.model.value import Plain

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
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


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
_OPERATORS = frozenset({"BinaryOp", "UnaryOp"})


def _operator(case: LayerCase) -> str:
    return rf"Operation_\w+\s*=\s*{case.layer.integer(0, 0)}\b"


def _broadcasts(case: LayerCase) -> bool:
    """Whether two blobs differ in shape, and none of them is one number."""
    if case.type != "BinaryOp" or len(case.shapes) < 2:
        return False
    return case.shapes[0] != case.shapes[1] and (1,) not in case.shapes


def _always(pattern: str) -> Callable[[LayerCase], str]:
    return lambda _: pattern


_MARKS = (
    _Mark("four axes", _four_axes, _always(r"\.d\b|\bdims == 4\b")),
    _Mark("this operator", lambda case: case.type in _OPERATORS, _operator),
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
    unread = [
        key
        for key, value in case.plain.items()
        if key not in kernel.reads and not _means_nothing(value)
    ]
    if unread:
        return f"{case.type} does not read parameter {unread[0]}"
    for mark in _MARKS:
        if mark.of(case) and not re.search(mark.pattern(case), kernel.text):
            return f"{case.type} does not know {mark.what}"
    return ""


def _means_nothing(value: Plain) -> bool:
    """Whether a parameter that is not read is off in a case, too."""
    return not isinstance(value, tuple | str) and value == 0
