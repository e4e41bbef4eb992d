from dataclasses import replace
from pathlib import Path

import pytest

from harness.build.needs import Needs
from harness.build.plan import (
    BuildPlan,
    as_untrimmed,
    configure_command,
    plan_build,
    with_needs,
)
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
        "ncnn_add_layer(InnerProduct)\nncnn_add_layer(ReLU)\nncnn_add_layer(SPP OFF)\n"
    )
    (tmp_path / "src" / "option.h").write_text("class Option\n")
    (tmp_path / "src" / "option.cpp").write_text("Option::Option()\n")
    return SourceTree(path=tmp_path, digest="d", description="")


def plan(
    tree: SourceTree,
    flags: FlagSet,
    glslang: Path | None = None,
    layers: frozenset[str] | None = frozenset({"InnerProduct"}),
) -> BuildPlan:
    revision = Revision(label="v", kind="index", name="v")
    spec = BuildSpec(revision=revision, flags=flags, layers=layers)
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


@pytest.mark.parametrize("name", ["../../pwned", "/etc/x", "a\nb", "[a-z]*", "x" * 500])
def test_names_are_no_paths(tree: SourceTree, name: str) -> None:
    made = plan(tree, FlagSet(name=name))
    spec = replace(made.spec, revision=replace(made.spec.revision, label=name))
    folder = replace(made, spec=spec).folder
    assert Path(folder).name == folder
    assert folder.endswith(f"-{made.key}")
    assert len(folder) < 240
    assert plan(tree, FlagSet(name="avx2-nof16c")).folder == f"v-avx2-nof16c-{made.key}"


@pytest.mark.parametrize(
    ("wanted", "on", "off"),
    [
        (None, {"innerproduct", "relu"}, {"spp"}),
        ({"SPP"}, {"spp"}, {"innerproduct", "relu"}),
    ],
)
def test_layers_are_told_apart_from_those_off_by_default(
    tree: SourceTree, wanted: set[str] | None, on: set[str], off: set[str]
) -> None:
    made = plan(tree, FlagSet(name="f"), layers=frozenset(wanted) if wanted else None)
    assert {word for word in words(made) if "WITH_LAYER" in word} == {
        *(f"-DWITH_LAYER_{name}=ON" for name in on),
        *(f"-DWITH_LAYER_{name}=OFF" for name in off),
    }
    assert {name.lower() for name in made.layers} == on


def test_what_linkers_said_is_in_the_key(tree: SourceTree) -> None:
    flags = FlagSet(name="f")
    before = plan(tree, flags)
    pair = Needs(layers=frozenset({("InnerProduct", "ReLU")}))
    after = with_needs(before, pair)
    assert after.layers == ("InnerProduct", "ReLU")
    assert after.key != before.key
    whole = as_untrimmed(before, "InnerProduct", "why")
    assert (whole.layers, whole.untrimmed) == (after.layers, "why")
    assert whole.key == after.key == plan(tree, flags, layers=None).key
    assert with_needs(before, Needs(files=frozenset({"mat_pixel.cpp"}))).key == before.key


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
