"""Which layers a trimmed build must contain: the model's own and those that they create inside.

ncnn layers create other layers (`create_layer(LayerType::Packing)`), directly or through helper
functions such as `copy_make_border()`. Both are found by reading the sources, so that the answer
follows each version of ncnn.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

from harness.util.errors import LacksLayerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ALWAYS = frozenset({"Input", "Packing", "Cast", "Flatten"})
"""Created by `Net` itself, whatever the model (layout conversion, extraction)."""

_LISTED = re.compile(r"^\s*ncnn_add_layer\(\s*(\w+)", re.MULTILINE)
_CREATED = re.compile(r"LayerType::(\w+)|create_layer\w*\(\s*\"(\w+)\"")
_FUNCTION = re.compile(r"^(?:[\w:<>*&]+\s+)+(\w+)\([^;{]*\)\s*(?:const\s*)?\{(.*?)^\}", re.M | re.S)


def listed_layers(tree: Path) -> tuple[str, ...]:
    """Return every layer type that this ncnn source offers, in its own order."""
    return tuple(_LISTED.findall((tree / "src" / "CMakeLists.txt").read_text(encoding="utf-8")))


def required_layers(tree: Path, wanted: Iterable[str], *, arch: str) -> frozenset[str]:
    """Return the layer types to compile so that all of `wanted` work.

    Args:
        tree: ncnn source with `src/`.
        wanted: layer types as in `.param` files.
        arch: folder below `src/layer` with the target's kernels, such as `x86`.

    Raises:
        LacksLayerError: this version of ncnn has no layer of a wanted type.
    """
    return _required(tree, frozenset(wanted), arch)


@cache
def _required(tree: Path, wanted: frozenset[str], arch: str) -> frozenset[str]:
    listed = frozenset(listed_layers(tree))
    missing = sorted(wanted - listed)
    if missing:
        near = get_close_matches(missing[0], listed, n=1)
        hint = f" (the nearest name is {near[0]})" if near else ""
        raise LacksLayerError(
            f"this version of ncnn has no layer {', '.join(missing)}{hint}: "
            "use a newer version, or correct the .param file"
        )
    helpers = _helper_functions(tree)
    required: set[str] = set()
    pending = set(wanted | (ALWAYS & listed))
    while pending:
        layer = pending.pop()
        required.add(layer)
        text = _layer_source(tree, arch, layer.lower())
        pending |= (_created_by(text, helpers) & listed) - required
    return frozenset(required)


def _created_by(text: str, helpers: Mapping[str, frozenset[str]]) -> set[str]:
    # Looking for a plain string first: patterns take seconds over all kernels of a model.
    created = set()
    if "LayerType::" in text or "create_layer" in text:
        created = {first or second for first, second in _CREATED.findall(text)}
    for name, layers in helpers.items():
        if _calls(text, name):
            created |= layers
    return created


def _calls(text: str, function: str) -> bool:
    """Return whether a function is called by its whole name."""
    parts = text.split(f"{function}(")
    return any(not (part[-1:].isalnum() or part[-1:] == "_") for part in parts[:-1])


def _layer_source(tree: Path, arch: str, layer: str) -> str:
    """Return the text of all files of a layer, given by its name in lower case."""
    folders = (tree / "src" / "layer", tree / "src" / "layer" / arch)
    found = (path for folder in folders for path in sorted(folder.glob(f"{layer}*.[ch]*")))
    # Files of `convolution1d` begin like those of `convolution`.
    parts = (p.read_text(encoding="utf-8") for p in found if p.stem.split("_")[0] == layer)
    return "\n".join(parts)


@cache
def _helper_functions(tree: Path) -> dict[str, frozenset[str]]:
    """Return the free functions below `src/` that create layers, with those layers."""
    helpers: dict[str, frozenset[str]] = {}
    for path in sorted((tree / "src").glob("mat*.cpp")):
        for name, body in _FUNCTION.findall(path.read_text(encoding="utf-8")):
            created = _created_by(body, {})
            if created:
                helpers[name] = helpers.get(name, frozenset()) | created
    return helpers
