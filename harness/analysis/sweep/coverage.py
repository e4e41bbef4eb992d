"""What of each layer type's sources was run, from what gcov says of each object file."""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from harness.build.trim import owner_of
from harness.domain.coverage import FileCoverage, LayerCoverage, Reached

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from harness.build.coverage import Report

_FOLDER = "/src/layer/"
_NAME = re.compile(r"[\w:~]+(?:<.*>)?$")
_OPERATOR = "operator"


@dataclass(kw_only=True)
class _File:
    """One source file, over all object files that contain some of it."""

    lines: dict[int, bool] = field(default_factory=dict)
    branches: dict[tuple[str, int, int], bool] = field(default_factory=dict)
    """By function, line and place in the line: instances of a template branch apart."""
    functions: dict[tuple[int, str], bool] = field(default_factory=dict)
    """By line and name: a constructor is several functions in an object file."""

    def add(self, report: Report, linked: Container[str]) -> None:
        """Add what gcov says of this file in one object file."""
        for function in report["functions"]:
            if function["name"] in linked:
                key = (function["start_line"], function_words(function["demangled_name"]))
                entered = function["execution_count"] > 0
                self.functions[key] = self.functions.get(key, False) or entered
        for line in report["lines"]:
            # Without a name it is of no function, such as the setup of a global variable.
            name, number = line.get("function_name", ""), line["line_number"]
            if name and name not in linked:
                continue
            self.lines[number] = self.lines.get(number, False) or line["count"] > 0
            ways = (branch for branch in line["branches"] if not branch["throw"])
            for place, branch in enumerate(ways):
                taken = self.branches.get((name, number, place), False) or branch["count"] > 0
                self.branches[name, number, place] = taken

    def coverage(self, file: str) -> FileCoverage:
        """Return the record of it."""
        return FileCoverage(
            file=file,
            lines=_reached(self.lines),
            branches=_reached(self.branches),
            never_entered=tuple(
                dict.fromkeys(
                    name for (_, name), entered in sorted(self.functions.items()) if not entered
                )
            ),
            unreached=tuple(_stretches(self.lines)),
        )


def _reached(found: Mapping[Any, bool]) -> Reached:
    return Reached(reached=sum(found.values()), total=len(found))


def _stretches(lines: Mapping[int, bool]) -> Iterator[tuple[int, int]]:
    """Yield first and last line of what was not run, from one line that was run to the next."""
    first = last = 0
    for number in sorted(lines):
        if not lines[number]:
            first, last = first or number, number
        elif first:
            yield first, last
            first = 0
    if first:
        yield first, last


def function_words(demangled: str) -> str:
    """Return the name of a function without its type, its arguments and ncnn's namespace."""
    head = demangled.partition("(")[0]
    found = _NAME.search(head)
    name = found.group() if found else demangled
    name += "()" if name.endswith(_OPERATOR) else ""
    return name.removeprefix("ncnn::")


def layer_coverage(
    reports: Iterable[Report],
    layers: Iterable[str],
    sources: Iterable[str],
    linked: Container[str],
) -> tuple[LayerCoverage, ...]:
    """Return what was run of each layer type.

    A header counts once, for itself, whatever it is included by: as reached where it was reached
    in one of them. What the preprocessor leaves out is not in the build and counts for nothing.

    Args:
        reports: what gcov says of each object file.
        layers: the layer types that are of interest.
        sources: all files of the version below `src/layer`, by their paths there.
        linked: the functions that the build consists of, by their names in object files; others
            were compiled and left out, since nothing calls them.
    """
    found: dict[str, _File] = defaultdict(_File)
    for report in reports:
        for part in report["files"]:
            path = _path(part["file"])
            if path:
                found[path].add(part, linked)
    by_lower = {layer.lower(): layer for layer in layers}
    compiled: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for path, file in found.items() if file.lines):
        owner = owner_of(PurePosixPath(path).name, by_lower)
        if owner:
            compiled[owner].append(path)
    missing = defaultdict(list)
    for path in sorted(_with_code(sources)):
        owner = owner_of(PurePosixPath(path).name, by_lower)
        if owner and path not in compiled[owner]:
            missing[owner].append(path)
    return tuple(
        LayerCoverage(
            layer=layer,
            files=tuple(
                found[path].coverage(path)
                for path in sorted(compiled[layer], key=lambda path: ("/" in path, path))
            ),
            not_compiled=tuple(missing[layer]),
        )
        for layer in sorted(by_lower.values())
    )


def _path(file: str) -> str:
    """Return the path of a file below `src/layer`; empty if it is not there."""
    _, folder, path = posixpath.normpath(file).rpartition(_FOLDER)
    return path if folder else ""


def _with_code(sources: Iterable[str]) -> Iterator[str]:
    """Yield the files that hold code: of a class's header and source, the source."""
    known = frozenset(sources)
    for path in known:
        if not (path.endswith(".h") and f"{path.removesuffix('.h')}.cpp" in known):
            yield path
