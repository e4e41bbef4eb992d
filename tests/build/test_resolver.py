"""A build of a few layers: trimmed, unless one with all of them is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.build.resolver import BuildResolver
from harness.domain.spec import BuildSpec, FlagSet, Revision
from harness.util.errors import BuildError
from tests.source_tree import write_tree

if TYPE_CHECKING:
    from pathlib import Path

REVISION = Revision(label="20250503", kind="index", name="20250503")
ALL = frozenset({"ArgMax", "ReLU", "Softmax"})


@pytest.fixture
def resolver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildResolver:
    lines = "ncnn_add_layer(ArgMax OFF)\nncnn_add_layer(ReLU)\nncnn_add_layer(Softmax)\n"
    write_tree(tmp_path, {"src/CMakeLists.txt": lines})
    tree = type("Tree", (), {"path": tmp_path})
    monkeypatch.setattr(BuildResolver, "source", lambda *_: tree)
    monkeypatch.setattr(BuildResolver, "plan", lambda _, spec: spec)
    monkeypatch.setattr(BuildResolver, "build", lambda _, spec: ("built", spec.layers))
    monkeypatch.setattr(BuildResolver, "find", lambda *_: None)
    builder: Any = None
    return BuildResolver(builder=builder)


def built(resolver: BuildResolver, layers: list[str] | None) -> Any:
    return resolver.build_with(REVISION, FlagSet(name="f"), layers)


def test_all_layers_are_named(resolver: BuildResolver) -> None:
    assert built(resolver, None) == ("built", ALL)


def test_a_version_gets_those_that_it_has(resolver: BuildResolver) -> None:
    assert built(resolver, ["ReLU", "SDPA"]) == ("built", {"ReLU"})


def test_one_with_all_layers_serves_if_it_is_there(
    resolver: BuildResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BuildResolver, "find", lambda _, spec: ("found", spec.layers))
    assert built(resolver, ["ReLU"]) == ("found", ALL)


def test_one_with_all_layers_that_failed_is_no_obstacle(
    resolver: BuildResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failed(_: BuildResolver, spec: BuildSpec) -> None:
        raise BuildError(f"{spec.id} failed before")

    monkeypatch.setattr(BuildResolver, "find", failed)
    assert built(resolver, ["ReLU"]) == ("built", {"ReLU"})
