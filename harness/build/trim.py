"""Which layers a trimmed build must contain: the model's own and those that they create inside.

ncnn layers create other layers (`create_layer(LayerType::Packing)`), directly or through helper
functions such as `copy_make_border()`, and some use the code of others
(`Gemm_x86_utility::pack_A_tile_int8()`). Both are found by reading the sources, so that the answer
follows each version of ncnn. What is not found like this, the linker says, see `closure.py`.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING

from harness.sources.tree import source_text
from harness.util.errors import LacksLayerError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ALWAYS = frozenset({"Input", "Packing", "Cast", "Flatten"})
"""Created by `Net` itself, whatever the model (layout conversion, extraction)."""

_LISTED = re.compile(r"^\s*ncnn_add_layer\(\s*(\w+)", re.MULTILINE)
_DEFAULT_OFF = re.compile(r"^\s*ncnn_add_layer\(\s*(\w+)\s+OFF\b", re.MULTILINE)
_IDENTIFIER_END = re.compile(r"\w+$")
_IDENTIFIER_BYTES = 64
_CREATED = re.compile(r"LayerType::(\w+)|create_layer\w*\(\s*\"(\w+)\"")
_FUNCTION = re.compile(r"^(?:[\w:<>*&]+\s+)+(\w+)\([^;{]*\)\s*(?:const\s*)?\{(.*?)^\}", re.M | re.S)


def listed_layers(tree: Path) -> tuple[str, ...]:
    """Return every layer type that this ncnn source offers, in its own order."""
    return tuple(_LISTED.findall(source_text(tree / "src" / "CMakeLists.txt")))


def layers_off(tree: Path) -> frozenset[str]:
    """Return the layer types that ncnn offers, but does not compile unless it is told to."""
    text = source_text(tree / "src" / "CMakeLists.txt")
    return frozenset(_DEFAULT_OFF.findall(text))


def owner_of(name: str, layers: Mapping[str, str]) -> str | None:
    """Return the layer to which a file, class or namespace belongs by its name, if to any.

    Args:
        name: such as `gemm_x86_avx512.cpp`, in lower case.
        layers: all layer types by their names in lower case.
    """
    return layers.get(name.split(".")[0].split("_")[0])


def required_layers(
    tree: Path,
    wanted: Iterable[str],
    *,
    arch: str,
    vulkan: bool = False,
    learned: Iterable[tuple[str, str]] = (),
) -> frozenset[str]:
    """Return the layer types to compile so that all of `wanted` work.

    Args:
        tree: ncnn source with `src/`.
        wanted: layer types as in `.param` files.
        arch: folder below `src/layer` with the target's kernels, such as `x86`.
        vulkan: whether Vulkan's layers are compiled too.
        learned: pairs of a layer (empty: whatever is wanted) and another one that it needs, as
            linkers said.

    Raises:
        LacksLayerError: this version of ncnn has no layer of a wanted type.
    """
    folders = (arch, "vulkan") if vulkan else (arch,)
    return _required(tree, frozenset(wanted), folders, frozenset(learned))


@cache
def _required(
    tree: Path,
    wanted: frozenset[str],
    folders: tuple[str, ...],
    learned: frozenset[tuple[str, str]],
) -> frozenset[str]:
    listed = frozenset(listed_layers(tree))
    missing = sorted(wanted - listed)
    if missing:
        near = get_close_matches(missing[0], listed, n=1)
        hint = f" (the nearest name is {near[0]})" if near else ""
        raise LacksLayerError(
            f"this version of ncnn has no layer {', '.join(missing)}{hint}: "
            "use a newer version, or correct the .param file"
        )
    required: set[str] = set()
    pending = set(wanted | (ALWAYS & listed))
    pending |= {needed for layer, needed in learned if not layer} & listed
    while pending:
        layer = pending.pop()
        required.add(layer)
        found = _needed_by(tree, layer, folders)
        found |= {needed for needing, needed in learned if needing == layer}
        pending |= (found & listed) - required
    return frozenset(required)


@cache
def _needed_by(tree: Path, layer: str, folders: tuple[str, ...]) -> frozenset[str]:
    """Return the layers that the sources of a layer create or use."""
    text = _layer_source(tree, folders, layer.lower())
    layers = {name.lower(): name for name in listed_layers(tree)}
    found = _created_by(text, _helper_functions(tree)) | _used_by(text, folders, layers)
    return frozenset(found) - {layer}


def _created_by(text: str, helpers: Mapping[str, frozenset[str]]) -> set[str]:
    # Looking for a plain string first: patterns take seconds over all kernels of a model.
    created = set()
    if "LayerType::" in text or "create_layer" in text:
        created = {first or second for first, second in _CREATED.findall(text)}
    for name, layers in helpers.items():
        if _calls(text, name):
            created |= layers
    return created


def _used_by(text: str, folders: Iterable[str], layers: Mapping[str, str]) -> set[str]:
    """Return the layers of which the class is included, or a class or namespace is named."""
    included = {
        part.partition('.h"')[0].rpartition("/")[2] for part in text.split('#include "')[1:]
    }
    # Of other headers, such as `convolution_sgemm.h`, each file that includes them has its own.
    endings = ("", *(f"_{folder}" for folder in folders))
    found = {
        name for lower, name in layers.items() if any(lower + end in included for end in endings)
    }
    for folder in folders:
        # `Gemm_x86_avx2_utility::pack_A_tile()`
        for part in text.split(f"_{folder}")[:-1]:
            end = _IDENTIFIER_END.search(part[-_IDENTIFIER_BYTES:])
            # A file's name is not that of a class: `gemm_x86.h` may be named in a comment.
            owner = owner_of(end.group().lower(), layers) if end else None
            if end and owner and end.group()[0].isupper():
                found.add(owner)
    return found


def _calls(text: str, function: str) -> bool:
    """Return whether a function is called by its whole name."""
    parts = text.split(f"{function}(")
    return any(not (part[-1:].isalnum() or part[-1:] == "_") for part in parts[:-1])


def _folders(tree: Path, folders: Iterable[str]) -> list[Path]:
    layer = tree / "src" / "layer"
    return [layer, *(layer / folder for folder in folders)]


def _layer_source(tree: Path, folders: Iterable[str], layer: str) -> str:
    """Return the text of all files of a layer, given by its name in lower case."""
    found = (p for f in _folders(tree, folders) for p in sorted(f.glob(f"{layer}*.[ch]*")))
    # Files of `convolution1d` begin like those of `convolution`.
    parts = (source_text(p) for p in found if p.stem.split("_")[0] == layer)
    return "\n".join(parts)


@cache
def _helper_functions(tree: Path) -> dict[str, frozenset[str]]:
    """Return the free functions below `src/` that create layers, with those layers.

    Not those of `src/layer`: which layer `create_activation_layer()` creates is up to the model,
    see `Param.layer_types`.
    """
    helpers: dict[str, frozenset[str]] = {}
    for path in sorted((tree / "src").glob("mat*.cpp")):
        for name, body in _FUNCTION.findall(source_text(path)):
            created = _created_by(body, {})
            if created:
                helpers[name] = helpers.get(name, frozenset()) | created
    return helpers
