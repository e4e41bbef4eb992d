"""What one build is: everything that decides what gets compiled. Nothing here has effects."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build import cmake
from harness.build.effective_flags import resolve_against
from harness.build.needs import Needs, layer_key
from harness.build.trim import layers_off, listed_layers, required_layers
from harness.domain.spec import BuildSpec, FlagSet, content_key
from harness.sources.options import known_options, read_option_fields
from harness.util.files import sha256_of
from harness.util.naming import file_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.build.toolchain import Compiler
    from harness.sources import SourceTree

NATIVE = Path(__file__).parent / "native"


CORE = "harness_core.so"


CORE_SOURCES = (
    "core.h",
    "core.cpp",
    "core.cmake",
    "inject.cmake",
    "probes.cmake",
    "shortcuts.cmake",
)


FIXED_OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "CMAKE_EXPORT_COMPILE_COMMANDS": "ON",
    # CMake 4 refuses the minimum that ncnn declared before 2025-04 unless told otherwise.
    "CMAKE_POLICY_VERSION_MINIMUM": "3.5",
    # Else today's date goes into platform.h and every file differs from yesterday's.
    "NCNN_VERSION": "00000000",
    "NCNN_BUILD_TOOLS": "OFF",
    "NCNN_BUILD_EXAMPLES": "OFF",
    "NCNN_BUILD_BENCHMARK": "OFF",
    "NCNN_BUILD_TESTS": "OFF",
    "NCNN_PYTHON": "OFF",
    "NCNN_INSTALL_SDK": "OFF",
    "NCNN_VULKAN": "OFF",
}
"""What every build has in common; a flag set may override it."""


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """Everything that decides what gets compiled."""

    spec: BuildSpec
    tree: SourceTree
    compiler: Compiler
    arch: str
    layers: tuple[str, ...]
    omitted: tuple[str, ...]
    options: tuple[tuple[str, str], ...]
    ineffective: tuple[tuple[str, str], ...]
    """Requested options that the version does not declare, each with a note."""
    option_fields: str
    """One `HX_FIELD(name)` line per bool or int field of `ncnn::Option`, for the core."""
    glslang: Path | None = None
    """Where a glslang that was compiled before describes itself to CMake (Vulkan builds only)."""
    needs: Needs = field(default_factory=Needs)
    """What linkers said of this version; `layers` follow from it."""
    untrimmed: str = ""
    """Why all layers are compiled although only some were asked for."""

    @property
    def key(self) -> str:
        """The content key: equal plans have equal modules."""
        return content_key(
            {
                "source": self.tree.digest,
                "compiler": [str(self.compiler.path), self.compiler.version],
                "omitted": self.omitted,
                "options": self.options,
                "cxx_flags": self.spec.flags.cxx_flags,
                "core": core_digest(),
                "glslang": self.tree.glslang_digest,
            }
        )

    @property
    def folder(self) -> str:
        """Name of the directory in the store."""
        return f"{folder_start(self.spec)}{self.key}"


def folder_start(spec: BuildSpec) -> str:
    """Return how the names of a build's directories in any store begin, whatever its layers."""
    return "".join(f"{file_name(name)}-" for name in (spec.revision.label, spec.flags.name))


def has_folder(names: Iterable[str], spec: BuildSpec) -> bool:
    """Return whether one of some directories in a store is of a build, whatever its layers."""
    start = folder_start(spec)
    return any(name.startswith(start) for name in names)


@cache
def core_digest() -> str:
    """Return a digest of the harness's own files that take part in every build."""
    return content_key({name: sha256_of(NATIVE / name) for name in CORE_SOURCES})


def plan_build(
    spec: BuildSpec,
    tree: SourceTree,
    compiler: Compiler,
    *,
    arch: str,
    glslang: Path | None = None,
    needs: Needs | None = None,
) -> BuildPlan:
    """Resolve a build against the version of ncnn at hand.

    Args:
        spec: what to build.
        tree: its source.
        compiler: what compiles it.
        arch: folder below `src/layer` with the kernels of what it is built for.
        glslang: a shared glslang for a Vulkan build, see `harness.build.glslang`.
        needs: what linkers said of this version.

    Raises:
        BuildError: this version lacks a layer that the model needs, or is too old to be driven.
    """
    fields = read_option_fields(tree.path)
    needs = needs or Needs()
    required, untrimmed = _compiled(spec, tree.path, arch, needs)
    listed = listed_layers(tree.path)
    known = known_options(tree.path)
    resolved = resolve_against(spec.flags, known)
    fixed = {
        name: value
        for name, value in FIXED_OPTIONS.items()
        if not name.startswith("NCNN_") or name in known or name == "NCNN_VERSION"
    }
    fixed |= _target_options(spec.flags)
    if glslang:
        fixed["NCNN_SYSTEM_GLSLANG"] = "ON"
    return BuildPlan(
        spec=spec,
        tree=tree,
        compiler=compiler,
        arch=arch,
        layers=tuple(sorted(required)),
        omitted=tuple(sorted(set(listed) - required)),
        options=tuple(sorted((fixed | dict(resolved.options)).items())),
        ineffective=resolved.ineffective,
        option_fields="".join(f"HX_FIELD({field.name})\n" for field in fields),
        glslang=glslang,
        needs=needs,
        untrimmed=untrimmed,
    )


def _compiled(spec: BuildSpec, tree: Path, arch: str, needs: Needs) -> tuple[frozenset[str], str]:
    """Return the layers to compile, and why that is all of them although some would do."""
    by_default = frozenset(listed_layers(tree)) - layers_off(tree)
    if spec.layers is None:
        return by_default, ""
    required = required_layers(
        tree, spec.layers, arch=arch, vulkan=spec.flags.wants_vulkan, learned=needs.layers
    )
    reason = needs.reason(required, spec.flags)
    return (required | by_default if reason else required), reason


def with_needs(plan: BuildPlan, needs: Needs) -> BuildPlan:
    """Return the plan as it is when this is what linkers have said."""
    return plan_build(
        plan.spec, plan.tree, plan.compiler, arch=plan.arch, glslang=plan.glslang, needs=needs
    )


def as_untrimmed(plan: BuildPlan, layer: str, reason: str) -> BuildPlan:
    """Return the plan with all layers, since one (empty: any) does not link without."""
    key = layer_key(layer, plan.spec.flags)
    return with_needs(plan, plan.needs | Needs(untrimmed=frozenset({(key, reason)})))


def _target_options(flags: FlagSet) -> dict[str, str]:
    """Return what makes CMake compile for another machine."""
    if flags.target is None:
        return {}
    return {
        "CMAKE_SYSTEM_NAME": flags.target.system,
        "CMAKE_SYSTEM_PROCESSOR": flags.target.processor,
    }


def configure_command(plan: BuildPlan, source: Path, build: Path) -> list[str | Path]:
    """Return the CMake command line of a plan: all that decides what is built.

    Args:
        plan: what to build.
        source: path under which CMake is to see the plan's source.
        build: the build directory.
    """
    definitions = dict(plan.options)
    definitions |= {f"WITH_LAYER_{layer.lower()}": "OFF" for layer in plan.omitted}
    # ncnn leaves out some unless it is told, and a build directory may have been without others.
    definitions |= {f"WITH_LAYER_{layer.lower()}": "ON" for layer in plan.layers}
    definitions |= {
        "CMAKE_CXX_COMPILER": str(plan.compiler.path),
        "CMAKE_MAKE_PROGRAM": str(cmake.NINJA),
        "CMAKE_PROJECT_INCLUDE": str(NATIVE / "inject.cmake"),
        "HARNESS_CXX_FLAGS": plan.spec.flags.cxx_flags,
    }
    if plan.compiler.c_path:
        definitions["CMAKE_C_COMPILER"] = str(plan.compiler.c_path)
    if plan.glslang:
        definitions["glslang_DIR"] = str(plan.glslang)
    return [
        cmake.CMAKE,
        "-G",
        "Ninja",
        "-S",
        source,
        "-B",
        build,
        *(f"-D{name}={value}" for name, value in sorted(definitions.items())),
    ]
