"""Compiling and running a reproducer on the builds that it is about."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.build.programs import TESTS_ON, BothRan, Program, Ran, compile_and_run
from harness.domain.spec import BuildSpec
from harness.reproducers.outcome import SideOutcome, outcome_of
from harness.reproducers.reproducer import settings
from harness.reproducers.texts import compile_line, compile_words
from harness.sources import obtain_tests, source_log
from harness.util.codes import Code
from harness.util.errors import BuildError, MachineError
from harness.util.naming import file_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness.build.plan import BuildPlan
    from harness.build.resolver import BuildResolver
    from harness.domain.spec import FlagSet, Revision
    from harness.reproducers.reproducer import Reproducer, Side

NO_TESTS = "the releases of the package index have no tests: name a clone with --repo"


@dataclass(frozen=True, kw_only=True)
class Checker:
    """Tries a reproducer on its sides."""

    resolver: BuildResolver
    logs: Path
    """Where what compilers and programs print goes."""
    say: Callable[[str], None] = lambda _: None

    def check(self, reproducer: Reproducer, files: Mapping[str, str]) -> list[SideOutcome]:
        """Compile both programs against each side's build, run them, and return what they said.

        Args:
            reproducer: what is tried.
            files: the programs' texts by the names of their files.

        Raises:
            SourceError: a version cannot be had.
            MachineError: something is missing here, such as a feature of the CPU.
        """
        program = Program(
            name=reproducer.name,
            layer=reproducer.type,
            alone=files[f"{reproducer.name}.cpp"],
            test=files[f"test_{reproducer.name}.cpp"],
        )
        # A program runs all its sets of options at once.
        ran: dict[tuple[Revision, FlagSet], BothRan] = {}
        for side in reproducer.sides:
            build = side.revision, side.flags
            if build not in ran:
                ran[build] = self._ran(reproducer, side, program)
        return [_outcome(side, ran[side.revision, side.flags]) for side in reproducer.sides]

    def _ran(self, reproducer: Reproducer, side: Side, program: Program) -> BothRan:
        lacking = self.resolver.lacking(side.flags)
        if lacking:
            raise MachineError(
                f"flag set {side.flags.name}: {lacking}. Choose another.", code=Code.CPU
            )
        self.say(f"compiling and running on {side.revision.label}, {side.flags.name}")
        store = self.resolver.store
        log = source_log(store.logs, side.revision)
        tests = obtain_tests(side.revision, store=store.sources, log=log)
        flags = _with_tests(side.flags) if tests else side.flags
        layers = reproducer.sample.case.param.layer_types()
        try:
            plan = self.resolver.plan(BuildSpec(revision=side.revision, flags=flags, layers=layers))
            return compile_and_run(
                self.resolver.builder,
                plan,
                program,
                tests=tests,
                command=_command_of(plan, reproducer.name),
                logs=self.logs / "-".join(map(file_name, (side.revision.label, side.flags.name))),
            )
        except BuildError as error:
            failed = Ran(error=f"ncnn itself: {error.first_error}")
            return BothRan(alone=failed, test=failed if tests else None)


def _with_tests(flags: FlagSet) -> FlagSet:
    return replace(
        flags, options=tuple(sorted({**dict(flags.options), **dict([TESTS_ON])}.items()))
    )


def _command_of(plan: BuildPlan, name: str) -> Callable[[Path, Path], Sequence[str]]:
    """Return what gives the command of the program's own comment, with the plan's compiler."""
    line = compile_line(name, plan.spec.flags.cxx_flags)

    def command(source: Path, build: Path) -> list[str]:
        return [str(plan.compiler.path), *compile_words(line, ncnn=source, build=build)[1:]]

    return command


def _outcome(side: Side, ran: BothRan) -> SideOutcome:
    name = settings(side.run)
    return SideOutcome(
        side=side,
        alone=outcome_of(ran.alone, name),
        test=outcome_of(ran.test, name, NO_TESTS),
    )
