"""One build: plan it, compile it, keep what came out with a record of how.

The plan is pure: everything that decides what gets compiled is in it, and the key of the store
derives from it. A build is found again while its plan is unchanged, and never rebuilt.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from harness.build import cmake
from harness.build.closure import plan_after_failed_link
from harness.build.compiler_cache import find_compiler_cache, forget_damaged
from harness.build.coverage import keep_notes
from harness.build.effective_flags import OPTION_MACROS, overridden, undone
from harness.build.failure import Blame, Failure
from harness.build.needs import Needs, NeedsMemory
from harness.build.plan import (
    CORE,
    BuildPlan,
    configure_command,
    with_needs,
)
from harness.build.pruning import OBJECTS_SHARE, prune
from harness.build.toolchain import predefined_macros
from harness.domain.records import BuildRecord
from harness.domain.spec import content_key
from harness.util.codes import Code
from harness.util.errors import BuildError, MachineError, UnbuildableError
from harness.util.family import end_strays
from harness.util.files import write_atomically
from harness.util.limits import PROGRAM_BYTES
from harness.util.naming import file_name
from harness.util.process import Processes
from harness.util.sealed import is_intact, read_sealed, sealed, set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.util.build_store import Store

BuildWatch: TypeAlias = "Callable[[str, int, int], None]"
"""Told the name of a build, and how many of how many steps of it are done."""

Lay: TypeAlias = "Callable[[Path], None]"
"""Puts a source tree into a directory that is not there yet."""

SOURCE, BUILD, TEMPORARY = "source", "build", "tmp"
"""Directories of a workplace."""

SLOT = "HARNESS_SLOT"
"""Environment variable that marks what works in a build directory."""
RECORD = "record.json"
LOG = "build.log"

FLAG_VARIABLES = ("CFLAGS", "CXXFLAGS", "LDFLAGS", "CPATH", "CPLUS_INCLUDE_PATH")
"""Environment variables that CMake or the compiler heeds."""


@dataclass(frozen=True, kw_only=True)
class Build:
    """A finished build."""

    core: Path
    """The shared library with ncnn and the harness's core."""
    record: BuildRecord
    runner: tuple[str, ...] = ()
    """Command that runs it, where Python itself cannot load it."""
    library: str = ""
    """Library that a process must have loaded before all others: that of a sanitizer."""
    network: bool = False
    """Whether the command that runs it needs the network."""


def _toolchain_key(plan: BuildPlan) -> str:
    """Return a key of what decides CMake's questions to the compiler, besides their text."""
    compiler = plan.compiler
    return content_key(
        {
            "compiler": [str(compiler.path), str(compiler.c_path), compiler.version],
            "cmake": cmake.VERSION,
            "options": [item for item in plan.options if item[0].startswith("CMAKE_")],
            "flags": {name: os.environ.get(name, "") for name in FLAG_VARIABLES},
        }
    )


def _record_of(folder: Path) -> BuildRecord | None:
    """Return the record of a finished build; None if it is not there or not what was stored."""
    if not is_intact(folder):
        return None
    text = (folder / RECORD).read_text(encoding="utf-8")
    try:
        return BuildRecord.model_validate_json(text)
    except ValueError:
        set_aside(folder, f"{RECORD}: of another version of the harness")
        return None


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    plan: BuildPlan
    """What was compiled at last: what was asked for, and what its linker missed."""
    failure: Failure | None


@dataclass(frozen=True, kw_only=True)
class Builder:
    """Compiles plans into the store."""

    store: Store
    jobs: int
    timeout: float
    """Seconds that one configure or compile step may take."""
    memory_bytes: int = PROGRAM_BYTES
    """Memory that one compiler may ask for."""
    retry_failed: bool = False
    processes: Processes = field(default_factory=Processes)
    watch: BuildWatch | None = None
    """Told how far a build is, whenever Ninja says so."""

    def find(self, plan: BuildPlan) -> Build | None:
        """Return a finished build, or None; another revision's will do if it is the same library.

        Many commits change nothing that is compiled: tests, documentation, CI.

        Raises:
            BuildError: it was tried before and failed, and nothing has changed since.
        """
        for folder in self._folders(plan):
            record = _record_of(folder)
            if record:
                asked = {
                    "id": plan.spec.id,
                    "version": plan.spec.revision.label,
                    "source": plan.tree.description,
                    # Somebody may have asked for all layers.
                    "untrimmed": plan.untrimmed if record.layers == plan.layers else "",
                }
                return Build(core=folder / CORE, record=record.model_copy(update=asked))
        failure = self.store.failures / plan.folder
        if not self.retry_failed and is_intact(failure):
            remembered = json.loads((failure / RECORD).read_text(encoding="utf-8"))
            raise BuildError(
                f"{remembered['error']} (remembered; --retry-failed tries again)",
                log=str(failure / LOG),
                first_error=remembered["error"],
                code=Code.FAILED_BEFORE,
            )
        return None

    def _folders(self, plan: BuildPlan) -> Iterator[Path]:
        """Yield where a finished build of a plan may be."""
        yield self.store.modules / plan.folder
        yield from sorted(
            self.store.modules.glob(f"*-{file_name(plan.spec.flags.name)}-{plan.key}")
        )
        if plan.needs != Needs():
            # What linked before a linker said more, of other flags, is as good.
            yield from self._folders(with_needs(plan, Needs()))

    def build(self, plan: BuildPlan) -> Build:
        """Return the finished build of a plan, compiling it if need be.

        Raises:
            BuildError: it does not configure or compile; the log is kept.
            MachineError: the disk or the memory is full.
            UnbuildableError: something is missing here that this build needs.
            ChangedSourceError: the source is not what was planned with.
        """
        self.store.prepare()  # else others could take what is half made here for leftovers
        with self.store.lock(plan.key):
            found = self.find(plan)
            return found or self._compile(plan)

    @property
    def needs(self) -> NeedsMemory:
        """What linkers said of each version, for whoever plans a build."""
        return NeedsMemory(store=self.store)

    @contextmanager
    def workplace(self, plan: BuildPlan, lay: Lay | None = None, *, log: Path) -> Iterator[Path]:
        """Compile a plan, and yield the directory in which that was done, before it is removed.

        It has `source`, and `build` with the static library; nothing of it is kept.

        Args:
            plan: what to compile.
            lay: puts the source into a directory that is not there yet; by default it is a link to
                the plan's.
            log: file that receives what CMake and the compiler print.

        Raises:
            BuildError: it does not configure or compile.
            MachineError: the disk or the memory is full.
        """
        self.store.prepare()
        with self._slot() as work:
            if lay:
                lay(work / SOURCE)
            try:
                made = self._attempts(plan, work)
                shutil.copy2(work / LOG, log)
                if made.failure:
                    raise self._error(plan, made.failure, log)
                yield work
            finally:
                shutil.rmtree(work, ignore_errors=True)

    @contextmanager
    def _slot(self) -> Iterator[Path]:
        """Yield an absent directory to compile in."""
        with self.store.slot() as work:
            # A harness that was killed outright could not end its compilers.
            end_strays(SLOT, str(work))
            shutil.rmtree(work, ignore_errors=True)
            yield work

    def _attempts(self, plan: BuildPlan, work: Path) -> _Attempt:
        made = self._attempt(plan, work, shortcuts=True)
        if made.failure and forget_damaged(self.store.objects, made.failure.output):
            made = self._attempt(plan, work, shortcuts=True)
        if made.failure and made.failure.may_be_of_shortcuts:
            made = self._attempt(made.plan, work, shortcuts=False)
        return made

    def _compile(self, plan: BuildPlan) -> Build:
        started = time.monotonic()
        plan.tree.check()
        with self._slot() as work:
            made = self._attempts(plan, work)
            if made.failure:
                plan.tree.check()
                # Of the plan that was asked for: this is where it is looked for.
                self._fail(plan, work, made.failure)
            if made.plan != plan:
                self.needs.add(plan.tree, plan.arch, made.plan.needs)
                shutil.rmtree(self.store.failures / plan.folder, ignore_errors=True)
            return self._keep(made.plan, work, time.monotonic() - started)

    def _attempt(self, plan: BuildPlan, work: Path, *, shortcuts: bool) -> _Attempt:
        """Configure and compile in `work`, whose path is the same for all builds.

        Where it does not link, what is missing is compiled besides, and linked again.
        """
        build = work / BUILD
        shutil.rmtree(build, ignore_errors=True)
        build.mkdir(parents=True)
        source = work / SOURCE
        if not source.exists():
            source.symlink_to(plan.tree.path.absolute(), target_is_directory=True)
        cmake.query_file_api(build)
        write_atomically(build / "option_fields.inc", plan.option_fields)
        failure = self._configure_and_compile(plan, work, shortcuts=shortcuts)
        while failure and failure.is_of_linking:
            more = plan_after_failed_link(plan, failure.output)
            if more is None:
                break
            again = self._configure_and_compile(more, work, shortcuts=shortcuts)
            if again and more.untrimmed and not again.shortage:
                break  # in a layer that nobody asked for: the link is what failed
            plan, failure = more, again
        return _Attempt(plan=plan, failure=failure)

    def _configure_and_compile(
        self, plan: BuildPlan, work: Path, *, shortcuts: bool
    ) -> Failure | None:
        """Run CMake and Ninja.

        How it is done faster goes through the environment and not through CMake's cache, which
        says what is built. See `native/*.cmake`.
        """
        source, build = work / SOURCE, work / BUILD
        answers = self.store.probes / f"{_toolchain_key(plan)}.cmake"
        # Linkers speak the user's language, and what they say is read.
        environment = {"HARNESS_PROBES": str(answers), SLOT: str(work), "LANGUAGE": "C"}
        # What compilers leave that are killed goes with the rest.
        temporary = work / TEMPORARY
        temporary.mkdir(exist_ok=True)
        environment["TMPDIR"] = str(temporary)
        if shortcuts:
            kept = ";".join(sorted(plan.needs.files))
            environment |= {"HARNESS_SHORTCUTS": "1", "HARNESS_KEPT": kept, **self._launcher()}
        # CMake would take what it says for what the compiler said.
        read_sealed(answers, then=cmake.ASKED_AGAIN)
        steps: tuple[tuple[Literal["configure", "compile"], list[str | Path]], ...] = (
            ("configure", configure_command(plan, source, build)),
            ("compile", [cmake.NINJA, "-C", build, "-j", str(self.jobs), CORE]),
        )
        for step, command in steps:
            done = self.processes.run(
                command,
                log=work / LOG,
                timeout=self.timeout,
                env=environment,
                memory_bytes=self.memory_bytes,
                watch=self.watching(plan.spec.id),
            )
            if not done.ok:
                return Failure.of(step, done)
        cmake.remember_answers(build, answers)
        return None

    def watching(self, build: str) -> Callable[[str], None]:
        """Return what reads the lines of Ninja and tells how far a build is."""

        def read(line: str) -> None:
            steps = cmake.progress(line)
            if self.watch and steps:
                self.watch(build, *steps)

        return read

    def _launcher(self) -> dict[str, str]:
        """Return the environment that puts the compiler cache in front of the compiler."""
        gib = self.store.limit_gib * OBJECTS_SHARE
        cache = find_compiler_cache(self.store.objects, gib=gib)
        if cache is None or not cache.start():
            return {}
        return {"HARNESS_LAUNCHER": str(cache.program), **cache.environment}

    def _keep(self, plan: BuildPlan, work: Path, seconds: float) -> Build:
        build = work / BUILD
        record = self.describe(plan, build, seconds)
        with sealed(self.store.modules / plan.folder) as folder:
            shutil.copy2(build / CORE, folder / CORE)
            shutil.copy2(work / LOG, folder / LOG)
            shutil.copy2(build / "compile_commands.json", folder)
            if plan.spec.flags.wants_coverage:
                keep_notes(build, folder)
            write_atomically(folder / RECORD, record.model_dump_json(indent=1))
        shutil.rmtree(self.store.failures / plan.folder, ignore_errors=True)
        shutil.rmtree(work, ignore_errors=True)
        prune(self.store)
        return Build(core=self.store.modules / plan.folder / CORE, record=record)

    def _error(self, plan: BuildPlan, failed: Failure, log: Path) -> BuildError:
        """Return what is said of a failed build where ncnn is to blame, or nobody knows.

        Raises:
            MachineError: every build would fail for want of disk or memory.
            UnbuildableError: something is missing here that this build needs.
        """
        blame, sign = failed.blame(plan.tree.path)
        if blame == Blame.SHORTAGE:
            free = shutil.disk_usage(self.store.root).free / 2**30
            raise MachineError(
                f"{plan.spec.id}: the build stopped with '{sign}' ({free:.1f} GiB free at "
                f"{self.store.root}). Free disk or memory, lower --jobs or raise this session's "
                "limits (ulimit -a; memory_gib in [limits]), and run again.",
                code=Code.MEMORY,
            )
        if blame == Blame.LACKING:
            raise UnbuildableError(
                f"{plan.spec.id}: {failed.error}. Install {sign}, and run again; the log is {log}."
            )
        lasting = blame == Blame.NCNN
        error = failed.error if lasting else f"{failed.error} ({sign}: tried again the next time)"
        return BuildError(error, log=str(log), first_error=error, lasting=lasting)

    def _fail(self, plan: BuildPlan, work: Path, failed: Failure) -> None:
        """Keep the log of a failed build, and the reason if it is a lasting one, then raise."""
        folder = self.store.failures / plan.folder
        shutil.rmtree(folder, ignore_errors=True)
        log = self.store.logs / f"build-{plan.key}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(work / LOG, log)
        error = self._error(plan, failed, log)
        if error.lasting:
            with sealed(folder) as failure:
                shutil.move(log, failure / LOG)
                write_atomically(failure / RECORD, json.dumps({"error": failed.error}))
            error.log = str(folder / LOG)
        shutil.rmtree(work, ignore_errors=True)
        raise error

    def describe(self, plan: BuildPlan, build: Path, seconds: float) -> BuildRecord:
        """Return how a plan was built.

        Args:
            plan: what was compiled.
            build: the build directory.
            seconds: how long it took.

        Raises:
            BuildError: CMake did not tell.
        """
        commands = cmake.read_compile_commands(build)
        stands_for = cmake.representative(commands, plan.arch)
        macros = (
            predefined_macros(plan.compiler.path, stands_for.flags) if stands_for else frozenset()
        )
        void = [
            note for option, note in plan.ineffective if OPTION_MACROS.get(option) not in macros
        ]
        # Also what was to be off and is unknown here: another option may imply it.
        unknown = {option for option, _ in plan.ineffective}
        requested = dict(plan.spec.flags.options) | dict(plan.options)
        void += overridden([i for i in requested.items() if i[0] not in unknown], macros)
        void += undone(plan.spec.flags.cxx_flags, macros)
        entries = cmake.read_cache(build)
        kept = ("NCNN_", "WITH_LAYER_", "CMAKE_CXX_", "CMAKE_BUILD_TYPE", "HARNESS_", "OpenMP_")
        return BuildRecord(
            id=plan.spec.id,
            key=plan.key,
            version=plan.spec.revision.label,
            flags=plan.spec.flags.name,
            source=plan.tree.description,
            source_digest=plan.tree.digest,
            compiler=cmake.read_compiler(build),
            compile_command=stands_for.command if stands_for else "",
            cmake_cache={k: v for k, v in sorted(entries.items()) if k.startswith(kept)},
            layers=plan.layers,
            untrimmed=plan.untrimmed,
            ineffective=tuple(void),
            seconds=round(seconds, 2),
        )
