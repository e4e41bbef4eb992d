"""Whatever happens to an entry of the store: the next use gives what the last one gave."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness.analysis.bisection.submodel import Subject, part_of
from harness.build.binding import build_binding
from harness.build.builder import Builder
from harness.build.needs import Needs, NeedsMemory
from harness.build.pruning import entries
from harness.build.runner import runner_command
from harness.build.toolchain import Compiler, find_compiler
from harness.domain.spec import InputSpec, ModelSpec, Revision, Target
from harness.execution.memory import CellMemory
from harness.model.prepared_model import prepare_model
from harness.sources import SourceTree, obtain
from harness.util.build_store import Store
from harness.util.errors import BuildError
from harness.util.sealed import SET_ASIDE
from tests import one_layer
from tests.build.test_builder import plan, run_with
from tests.damage import Damage, damages
from tests.local_index import NCNN, make_sdist, use_find_links
from tests.model.test_pnnx import VERSION, install, model_of
from tests.proven import preparation
from tests.records import cell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.build.plan import BuildPlan

    Use = Callable[[], object]

__all__ = ["plan"]
COMPILER = """#!/bin/sh
while [ "$1" != -o ]; do shift; done
echo compiled > "$2"
"""


@dataclass(frozen=True)
class Workshop:
    """Where the kinds of entries are made and used."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    plan: BuildPlan

    @property
    def store(self) -> Store:
        return Store(root=self.folder / "builds")

    @property
    def spec(self) -> ModelSpec:
        onnx, param, weights = (str(self.folder / f"m.{key}") for key in ("onnx", "param", "bin"))
        return ModelSpec(name="m", onnx=onnx, param=param, bin=weights)

    def compiler(self) -> Path:
        path = self.folder / "c++"
        path.write_text(COMPILER)
        path.chmod(0o755)
        return path


def contents(*folders: Path | None) -> dict[str, bytes]:
    return {
        f"{folder.name}/{path.relative_to(folder)}": path.read_bytes()
        for folder in folders
        if folder
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def release(at: Workshop) -> Use:
    glslang = {"glslang/CMakeLists.txt": "project(glslang)", "glslang/deep/a.cpp": "int a;"}
    make_sdist(at.folder / "links", "1.0.20250503", {**NCNN, **glslang})
    use_find_links(at.monkeypatch, at.folder / "links")
    revision = Revision(label="20250503", kind="index", name="20250503")

    def use() -> object:
        log = at.folder / "log"
        tree = obtain(revision, store=at.store.sources, log=log, with_glslang=True)
        assert isinstance(tree, SourceTree)
        tree.check()
        return tree, contents(tree.path, tree.glslang, tree.path / "glslang")

    return use


def module(at: Workshop) -> Use:
    def use() -> object:
        run_with(at.monkeypatch, "")
        build = Builder(store=at.store, jobs=1, timeout=1).build(at.plan)
        return build.core.read_bytes(), build.record.model_copy(update={"seconds": 0})

    return use


def answers(at: Workshop) -> Use:
    made = module(at)

    def use() -> object:
        for path in at.store.modules.glob("*"):
            path.rename(at.folder / f"old{os.urandom(4).hex()}")
        made()
        return contents(at.store.probes)["probes/" + next(at.store.probes.glob("*.cmake")).name]

    return use


def failure(at: Workshop) -> Use:
    def use() -> object:
        run_with(at.monkeypatch, "a.cpp: error: x", "a.cpp: error: x")
        with pytest.raises(BuildError) as caught:
            Builder(store=at.store, jobs=1, timeout=1).build(at.plan)
        return caught.value.first_error, Path(str(caught.value.log)).read_bytes()

    return use


def binding(at: Workshop) -> Use:
    compiler = Compiler(path=at.compiler(), version="1")
    return lambda: build_binding(at.store, compiler).read_bytes()


def runner(at: Workshop) -> Use:
    target = Target(
        name="t",
        compiler=str(at.compiler()),
        arch="x86",
        system="s",
        processor="p",
        emulator="",
        install="",
    )
    at.monkeypatch.setattr(
        "harness.build.runner.compiler_of",
        lambda target: Compiler(path=Path(target.compiler), version="1"),
    )
    return lambda: Path(runner_command(target, at.store)[-1]).read_bytes()


def needs(at: Workshop) -> Use:
    memory, known = NeedsMemory(store=at.store), Needs(files=frozenset({"c_api.cpp"}))

    def use() -> object:
        if memory.recall(at.plan.tree, "x86") == Needs():
            memory.add(at.plan.tree, "x86", known)
        return memory.recall(at.plan.tree, "x86")

    return use


def model(at: Workshop) -> Use:
    one_layer.write_model(at.folder)
    item = InputSpec(name="r", random=1, shape=(1, one_layer.ROWS, one_layer.NARROW))

    def use() -> object:
        found = preparation(at.spec, [item], at.store)
        made = found.input(item)
        part = part_of(Subject(model=found.model, input=made), ["fc"], at.store)
        return (
            found.model.conversion,
            {name: np.load(file).tobytes() for name, file in made.feeds.items()},
            {name: array.tobytes() for name, array in made.reference.items()},
            dict(made.noise.floors),
            contents(part.model.param.parent),
        )

    return use


def converted(at: Workshop) -> Use:
    install(at.folder, at.monkeypatch)
    spec = model_of(at.folder, x=[1, 4])

    def use() -> object:
        found = prepare_model(spec, at.store)
        return found.param.read_bytes(), found.bin.read_bytes(), found.inputs, found.notes

    return use


def converter(at: Workshop) -> Use:
    made = converted(at)

    def use() -> object:
        for path in at.store.models.glob("pnnx-????????????????"):
            path.rename(at.folder / f"old{os.urandom(4).hex()}")
        return made()

    return use


def measurement(at: Workshop) -> Use:
    memory, record = CellMemory(store=at.store), cell({"InnerProduct": 1e-3})

    def use() -> object:
        if memory.recall("key") is None:
            memory.keep("key", record)
        found = memory.recall("key")
        return found and found.model_copy(update={"recalled": ""})

    return use


def sizes(at: Workshop) -> Use:
    module(at)()

    def use() -> object:
        at.monkeypatch.setattr("harness.build.pruning._last_use", lambda _: 0)
        return [entry for entry in entries(at.store) if entry.kind != SET_ASIDE]

    return use


KINDS: dict[str, tuple[Callable[[Workshop], Use], str]] = {
    "download": (release, "sources/downloads/ncnn/1*sdist"),
    "source": (release, "sources/index-????????????????"),
    "source of glslang": (release, "sources/glslang-index-*"),
    "source with glslang": (release, "sources/index-*-glslang-*"),
    "build": (module, "modules/1-f-*"),
    "answers": (answers, "probes/*.cmake"),
    "failure": (failure, "failures/*"),
    "binding": (binding, "modules/binding-*"),
    "runner": (runner, "modules/runner-*"),
    "needs": (needs, "needs/*"),
    "conversion": (model, "models/conversion-*"),
    "input": (model, "references/feeds-*"),
    "reference": (model, "references/[0-9a-f]*"),
    "part": (model, "models/part-*"),
    "converter": (converter, f"models/pnnx-program-{VERSION}-*"),
    "converted": (converted, "models/pnnx-????????????????"),
    "measurement": (measurement, "measurements/*"),
    "sizes": (sizes, "sizes"),
}


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, plan: BuildPlan) -> Workshop:
    assert find_compiler("")
    return Workshop(tmp_path, monkeypatch, plan)


def found_in(store: Store, pattern: str) -> Iterator[tuple[str, Path, Damage]]:
    for entry in sorted(store.root.glob(pattern)):
        yield from damages(entry)


@pytest.mark.parametrize(("make", "pattern"), KINDS.values(), ids=list(KINDS))
def test_the_next_use_gives_the_same(
    at: Workshop, make: Callable[[Workshop], Use], pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    use = make(at)
    before = use()
    assert use() == before
    everything = list(found_in(at.store, pattern))
    assert len(everything) >= 12
    for name, path, damage in everything:
        caplog.clear()
        damage(path)
        assert use() == before, name
        assert use() == before, name
        assert len(caplog.messages) <= 2, name
