"""What linkers said of the layers of a version: remembered, so that the next plan is right."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.domain.spec import content_key
from harness.util.naming import file_name
from harness.util.sealed import read_sealed, write_sealed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from harness.domain.spec import FlagSet
    from harness.sources import SourceTree
    from harness.util.build_store import Store


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What was learned from linkers about one version and processor."""

    layers: frozenset[tuple[str, str]] = frozenset()
    """Pairs of a layer (empty: whatever the model) and another one that it needs."""
    files: frozenset[str] = frozenset()
    """Files of no layer that must not be left out."""
    untrimmed: frozenset[tuple[str, str]] = frozenset()
    """Keys of a layer and flags (see `layer_key`) with which it links beside all other layers
    only, each with the reason."""

    def __or__(self, other: Needs) -> Needs:
        """Return what either of the two says."""
        return Needs(
            layers=self.layers | other.layers,
            files=self.files | other.files,
            untrimmed=frozenset((dict(self.untrimmed) | dict(other.untrimmed)).items()),
        )

    def reason(self, layers: Iterable[str], flags: FlagSet) -> str:
        """Return why these layers cannot be had without all others; empty if they can."""
        known = dict(self.untrimmed)
        found = (known.get(layer_key(layer, flags), "") for layer in ("", *sorted(layers)))
        return next(filter(None, found), "") if known else ""


def layer_key(layer: str, flags: FlagSet) -> str:
    """Return the key of a layer (empty: whatever the model) compiled with these flags."""
    compiler = flags.target.compiler if flags.target else flags.compiler
    return content_key([layer, flags.options, flags.cxx_flags, compiler])


@dataclass(frozen=True, kw_only=True)
class NeedsMemory:
    """The needs of all versions, one file per version and processor."""

    store: Store

    def recall(self, tree: SourceTree, arch: str) -> Needs:
        """Return what is known; a damaged file says nothing, and linkers are asked again."""
        text = read_sealed(self._path(tree, arch), then="linkers are asked again")
        try:
            return _read(json.loads(text)) if text else Needs()
        except (ValueError, TypeError, AttributeError, KeyError):
            return Needs()  # of another version of the harness

    def add(self, tree: SourceTree, arch: str, new: Needs) -> None:
        """Keep what is new beside what others may have learned meanwhile."""
        path = self._path(tree, arch)
        with self.store.lock(f"needs-{path.stem}"):
            known = self.recall(tree, arch)
            if known | new == known and path.exists():
                return
            write_sealed(path, json.dumps(_content(known | new), indent=1))

    def _path(self, tree: SourceTree, arch: str) -> Path:
        return self.store.needs / f"{tree.digest[:16]}-{file_name(arch)}"


def _read(content: Any) -> Needs:
    return Needs(
        layers=frozenset((str(a), str(b)) for a, b in content["layers"]),
        files=frozenset(map(str, content["files"])),
        untrimmed=frozenset((str(k), str(r)) for k, r in content["untrimmed"].items()),
    )


def _content(needs: Needs) -> dict[str, Any]:
    return {
        "layers": sorted(needs.layers),
        "files": sorted(needs.files),
        "untrimmed": dict(sorted(needs.untrimmed)),
    }
