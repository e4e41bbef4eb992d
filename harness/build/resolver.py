"""Where every build comes from: version + flag set + target → plan → finished build.

Commands differ in which builds they ask for, never in how one is made: which compiler, kernels'
folder, emulator or runner, and which of Vulkan's headers and glslang it takes is decided here.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from harness.build.glslang import shared_glslang
from harness.build.plan import BuildPlan, plan_build
from harness.build.runner import compiler_of, runner_command
from harness.build.sanitizer import asan_library
from harness.build.toolchain import Compiler, find_compiler, layer_arch, missing_features
from harness.build.trim import listed_layers
from harness.build.vulkan import check_sdk
from harness.domain.spec import BuildSpec
from harness.sources import SourceTree, obtain, obtain_all, source_log
from harness.sources.tree import ChangedSourceError
from harness.util.codes import Code
from harness.util.errors import BuildError, MachineError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from harness.build.builder import Build, Builder
    from harness.build.needs import Needs
    from harness.domain.spec import FlagSet, Revision
    from harness.util.build_store import Store


@dataclass(frozen=True, kw_only=True)
class BuildResolver:
    """Plans, finds and makes builds for this machine and for targets."""

    builder: Builder
    _trees: dict[tuple[Revision, bool], SourceTree] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def store(self) -> Store:
        """Where sources and finished builds are."""
        return self.builder.store

    def compiler(self, flags: FlagSet) -> Compiler:
        """Return what compiles a flag set.

        Raises:
            MachineError: no compiler, or no emulator for what it makes.
        """
        return compiler_of(flags.target) if flags.target else find_compiler(flags.compiler)

    def arch(self, flags: FlagSet) -> str:
        """Return the folder below `src/layer` with the kernels of what a flag set is for."""
        return arch_of(flags)

    def lacking(self, flags: FlagSet) -> str:
        """Return why this CPU cannot execute what a flag set compiles; empty if it can.

        What is for a target runs on that target's emulator, whatever this CPU has.
        """
        missing = () if flags.target else missing_features(flags.needs)
        return f"this CPU lacks {', '.join(missing)}" if missing else ""

    def fetch(self, revisions: Iterable[Revision]) -> None:
        """Obtain the sources of several revisions at the same time.

        Raises:
            SourceError: one of them cannot be had.
            MachineError: no network, no space.
        """
        found = obtain_all(revisions, store=self.store.sources, logs=self.store.logs)
        with self._lock:
            self._trees.update({(revision, False): tree for revision, tree in found.items()})

    def source(self, revision: Revision, *, with_glslang: bool = False) -> SourceTree:
        """Return the source of a revision, fetched or checked out if need be.

        Raises:
            SourceError: it cannot be had.
            MachineError: no network, no space.
        """
        key = (revision, with_glslang)
        with self._lock:
            known = self._trees.get(key)
        if known is None:
            log = source_log(self.store.logs, revision)
            known = obtain(revision, store=self.store.sources, log=log, with_glslang=with_glslang)
            with self._lock:
                self._trees[key] = known
        return known

    def needs(self, tree: SourceTree, flags: FlagSet) -> Needs:
        """Return what linkers said of a version when something was built for the same processor."""
        return self.builder.needs.recall(tree, self.arch(flags))

    def plan(self, spec: BuildSpec) -> BuildPlan:
        """Find out what a build needs, without compiling ncnn.

        Raises:
            MachineError: no compiler, no emulator, no headers of Vulkan, no sanitizer's library.
            SourceError: no source, or no glslang for a Vulkan build.
            LacksLayerError: this version lacks a layer that the model needs.
        """
        flags = spec.flags
        compiler, arch = self.compiler(flags), self.arch(flags)
        tree = self.source(spec.revision)
        if flags.wants_vulkan:
            check_sdk(tree.path, compiler)
        if flags.wants_asan and not flags.target:
            asan_library(compiler)
        needs = self.needs(tree, flags)
        if not flags.wants_vulkan or flags.names_glslang:
            return plan_build(spec, tree, compiler, arch=arch, needs=needs)
        tree = self.source(spec.revision, with_glslang=True)
        glslang = shared_glslang(tree, compiler, self.builder)
        return plan_build(spec, tree, compiler, arch=arch, glslang=glslang, needs=needs)

    def find(self, plan: BuildPlan) -> Build | None:
        """Return a finished build, with what runs it; None if it is not there.

        Raises:
            BuildError: it was tried before and failed, and nothing has changed since.
            MachineError: nothing here can run it.
        """
        found = self.builder.find(plan)
        return self.runnable(found, plan.spec.flags) if found else None

    def make(self, plan: BuildPlan) -> Build:
        """Return the finished build of a plan, compiled if it is not there.

        Raises:
            BuildError: it does not configure or compile.
            MachineError: the disk or the memory is full, or nothing here can run it.
            SourceError: its source was damaged, and cannot be had again.
        """
        try:
            build = self.builder.build(plan)
        except ChangedSourceError:
            with self._lock:
                self._trees.clear()
            build = self.builder.build(self.plan(plan.spec))
        return self.runnable(build, plan.spec.flags)

    def build(self, spec: BuildSpec) -> Build:
        """Plan and make a build for use on this machine.

        Raises:
            MachineError: something is missing here, such as a feature of the CPU.
            BuildError, SourceError: as `plan` and `make`.
        """
        lacking = self.lacking(spec.flags)
        if lacking:
            raise MachineError(
                f"flag set {spec.flags.name}: {lacking}. Choose another with --flags.",
                code=Code.CPU,
            )
        return self.make(self.plan(spec))

    def build_with(
        self, revision: Revision, flags: FlagSet, layers: Collection[str] | None
    ) -> Build:
        """Return a build of a version that has some layers, as far as that version has them.

        One with all layers that is there already will do.

        Args:
            revision: the version.
            flags: how it is compiled.
            layers: layer types; None for all that it has.

        Raises:
            HarnessError: as `build`.
        """
        # All of them by name, since ncnn leaves some out of a build that asks for none.
        known = frozenset(listed_layers(self.source(revision).path))
        full = BuildSpec(revision=revision, flags=flags, layers=known)
        if layers is None:
            return self.build(full)
        found = None
        if not self.lacking(flags):
            with contextlib.suppress(BuildError):
                found = self.find(self.plan(full))
        return found or self.build(replace(full, layers=known.intersection(layers)))

    def runnable(self, build: Build, flags: FlagSet) -> Build:
        """Return a build that was made with a flag set, with what runs it.

        Raises:
            MachineError: nothing here can run it.
        """
        if flags.target is None:
            library = str(asan_library(self.compiler(flags))) if flags.wants_asan else ""
            return replace(build, library=library)
        command = runner_command(flags.target, self.store)
        return replace(build, runner=command, network=flags.target.network)


def arch_of(flags: FlagSet) -> str:
    """Return the folder below `src/layer` with the kernels of what a flag set is for."""
    return flags.target.arch if flags.target else layer_arch()
