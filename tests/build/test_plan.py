from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.plan import BuildPlan, configure_command, plan_build
from harness.build.toolchain import Compiler
from harness.domain.spec import BuildSpec, FlagSet, Revision, Target
from harness.sources import SourceTree
from harness.util.errors import BuildError

BOARD = Target(
    name="board",
    compiler="board-g++",
    system="Linux",
    processor="aarch64",
    arch="arm",
    emulator="",
    install="",
)
GCC = Compiler(path=Path("/bin/board-g++"), version="12", c_path=Path("/bin/board-gcc"))


@pytest.fixture
def tree(tmp_path: Path) -> SourceTree:
    (tmp_path / "src" / "layer" / "arm").mkdir(parents=True)
    (tmp_path / "CMakeLists.txt").write_text("option(NCNN_VULKAN x)\n  option(NCNN_ARM82 x)\n")
    (tmp_path / "src" / "CMakeLists.txt").write_text(
        "ncnn_add_layer(InnerProduct)\nncnn_add_layer(ReLU)\n"
    )
    (tmp_path / "src" / "option.h").write_text("class Option\n")
    (tmp_path / "src" / "option.cpp").write_text("Option::Option()\n")
    return SourceTree(path=tmp_path, digest="d", description="")


def plan(tree: SourceTree, flags: FlagSet, glslang: Path | None = None) -> BuildPlan:
    revision = Revision(label="v", kind="index", name="v")
    spec = BuildSpec(revision=revision, flags=flags, layers=frozenset({"InnerProduct"}))
    return plan_build(spec, tree, GCC, arch="arm", glslang=glslang)


def words(plan: BuildPlan) -> set[str]:
    return {str(word) for word in configure_command(plan, Path("/source"), Path("/build"))}


def test_target_is_cross_compiled(tree: SourceTree) -> None:
    flags = FlagSet(name="f", options=(("NCNN_ARM82", "ON"), ("NCNN_ARM86SVE", "OFF")))
    native, cross = plan(tree, flags), plan(tree, replace(flags, target=BOARD))
    added = {"-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64"}
    assert words(cross) - words(native) == added
    assert native.key != cross.key
    assert {"-DCMAKE_C_COMPILER=/bin/board-gcc", "-DNCNN_ARM82=ON"} <= words(cross)
    assert "-DNCNN_ARM86SVE=OFF" not in words(cross)
    assert "-DWITH_LAYER_relu=OFF" in words(cross)


def test_vulkan_takes_the_shared_glslang(tree: SourceTree) -> None:
    flags = FlagSet(name="f", options=(("NCNN_VULKAN", "ON"),))
    own, shared = plan(tree, flags), plan(tree, flags, Path("/glslang"))
    added = {"-DNCNN_SYSTEM_GLSLANG=ON", "-Dglslang_DIR=/glslang"}
    assert words(shared) - words(own) == added
    assert own.key != shared.key
    other = replace(tree, glslang_digest="other")
    assert plan(other, flags, Path("/glslang")).key != shared.key
    assert plan(tree, flags, Path("/moved/glslang")).key == shared.key


def test_versions_without_options_are_refused_before_anything_is_compiled(
    tree: SourceTree,
) -> None:
    (tree.path / "src" / "option.cpp").unlink()
    with pytest.raises(BuildError, match="Choose a newer one"):
        plan(tree, FlagSet(name="f"))
