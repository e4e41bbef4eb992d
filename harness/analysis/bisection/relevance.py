"""Which commits can change what a build computes: those that touch a file that takes part in it.

Of a hundred commits of ncnn perhaps twenty touch what one layer's build compiles; the others give
the same library as their parents, and one measurement stands for all of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.build.trim import listed_layers, required_layers
from harness.sources.tree import is_part, source_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.analysis.bisection.history import Clone, Point

_INCLUDE = re.compile(r'^\s*#\s*include\s+"(?:[^"]*/)?([^"/]+)"', re.MULTILINE)
_LAYERS = PurePosixPath("src/layer")


@dataclass(frozen=True, kw_only=True)
class Relevance:
    """Tells whether a file takes part in a build."""

    trees: tuple[Path, ...]
    """Sources of some revisions of the range, such as its ends."""
    wanted: frozenset[str]
    """Layer types that the build must contain."""
    arch: str
    vulkan: bool = False
    """Whether it is a Vulkan build."""
    learned: frozenset[tuple[str, str]] = frozenset()
    """Pairs of layers of which the first needs the second, as linkers said."""

    @cached_property
    def offered(self) -> frozenset[str]:
        """All layers that any of the revisions offers, in lower case."""
        return frozenset(name.lower() for tree in self.trees for name in listed_layers(tree))

    @cached_property
    def compiled(self) -> frozenset[str]:
        """The layers of which some file is compiled or included, in lower case.

        Raises:
            LacksLayerError: one of the revisions does not have a wanted layer.
        """
        needed: set[str] = set()
        for tree in self.trees:
            required = required_layers(
                tree, self.wanted, arch=self.arch, vulkan=self.vulkan, learned=self.learned
            )
            needed |= {name.lower() for name in required}
        pending = set(needed)
        while pending:
            owner = pending.pop()
            new = {name for tree in self.trees for name in self._included(tree, owner)} - needed
            needed |= new
            pending |= new
        return frozenset(needed)

    def takes_part(self, file: str) -> bool:
        """Return whether a change of this file may change what is built.

        A file of a layer that is not compiled cannot; everything else that a build reads may.
        """
        if not is_part(file):
            return False
        path = PurePosixPath(file)
        if _LAYERS not in path.parents:
            return True
        if path.parent not in self._folders:
            return False
        owner = self._owner(path.name)
        return owner is None or owner in self.compiled

    @property
    def _folders(self) -> tuple[PurePosixPath, ...]:
        """The folders of whose files some are compiled."""
        vulkan = _LAYERS / "vulkan"
        return _LAYERS, _LAYERS / self.arch, *((vulkan, vulkan / "shader") if self.vulkan else ())

    def _owner(self, name: str) -> str | None:
        """Return the layer that a file of `src/layer` belongs to; None if it serves several."""
        owner = name.split(".")[0].split("_")[0]
        return owner if owner in self.offered else None

    def _included(self, tree: Path, owner: str) -> Iterable[str]:
        for folder in self._folders:
            for path in sorted((tree / folder).glob(f"{owner}*")):
                if self._owner(path.name) == owner:
                    names = _INCLUDE.findall(source_text(path))
                    yield from filter(None, map(self._owner, names))


OWN_WEIGHT = 8.0
"""How many times likelier a commit is at fault that touches the layer in question than another
that touches something of its build: most regressions of a layer come with a change of that layer.
"""


@dataclass(frozen=True, kw_only=True)
class CommitClasses:
    """What the files that commits touch say about them."""

    numbers: tuple[int, ...] = ()
    """A number per commit, the same for neighbours that give the same library."""
    weights: tuple[float, ...] = ()
    """How likely each commit makes a change: 0 if it gives the same library as its parent."""


def classes_of(
    points: Sequence[Point], relevance: Relevance, clone: Clone, types: Iterable[str] = ()
) -> CommitClasses:
    """Return which commits give the same library, and which are likely at fault.

    Args:
        points: consecutive commits of a first-parent line, oldest first.
        relevance: what takes part in the build.
        clone: the repository.
        types: the layer types in question.
    """
    touched = clone.touched(points[0].id, points[-1].id)
    own = frozenset(types)
    numbers, weights = [0], [0.0]
    for point in points[1:]:
        files = [f for f in touched.get(point.id, ()) if relevance.takes_part(f)]
        numbers.append(numbers[-1] + bool(files))
        suspicious = any(belongs(file, own) for file in files)
        weights.append(OWN_WEIGHT if suspicious else float(bool(files)))
    return CommitClasses(numbers=tuple(numbers), weights=tuple(weights))


def belongs(file: str, types: Iterable[str]) -> bool:
    """Return whether a file is one of ncnn's sources of a layer, such as `innerproduct_x86.cpp`."""
    path = PurePosixPath(file)
    return file.startswith("src/layer/") and any(
        path.stem == name.lower() or path.stem.startswith(f"{name.lower()}_") for name in types
    )
