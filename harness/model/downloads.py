"""What a configuration may have to download."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.config.cells import expand, models_of, revision_of
from harness.config.downloads import Distribution, GitRevision
from harness.model import pnnx, recogniser
from harness.sources.checkout import is_url
from harness.sources.index import PROJECT, index_version

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from harness.config.downloads import Download
    from harness.config.tables import Config
    from harness.domain.spec import ModelSpec, Revision


def downloads_of(config: Config, base: Path) -> Iterator[Download]:
    """Yield what a configuration may have to download.

    Args:
        config: a checked configuration.
        base: folder that relative paths in it refer to.
    """
    for build in expand(config, base=base).builds:
        yield from source(build.revision)
    if config.model.reference_cell:
        yield from source(revision_of(config.model.reference_cell.version, config, base))
    for model in models_of(config, base):
        yield from _of_model(model)


def source(revision: Revision) -> Iterator[Download]:
    """Yield what a revision is downloaded as, if it is."""
    if revision.kind == "index":
        yield release(revision.name)
    elif revision.kind == "git" and is_url(revision.where):
        yield GitRevision(repository=revision.where, revision=revision.name)


def _of_model(model: ModelSpec) -> Iterator[Download]:
    if not (model.onnx or model.param):
        yield built_in_model()
    if model.converter:
        yield converter(model.converter.partition(" ")[2])


def release(name: str) -> Distribution:
    """Return a release of ncnn, named by its date."""
    return Distribution(project=PROJECT, version=index_version(name), kind="sdist")


def built_in_model() -> Distribution:
    """Return what the built-in model comes in."""
    return Distribution(project=recogniser.PROJECT, version=recogniser.VERSION, kind="wheel")


def converter(version: str) -> Distribution:
    """Return a version of pnnx."""
    return Distribution(project=pnnx.PROJECT, version=version, kind="wheel")
