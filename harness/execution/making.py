"""A build for an engine: finished, or with the verdict that stands in for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.domain.records import BuildRecord, Verdict
from harness.execution.progress import BuildFinished, BuildStarted
from harness.util.errors import (
    BuildError,
    LacksLayerError,
    MachineError,
    SourceError,
    UnbuildableError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.build.builder import Build
    from harness.build.plan import BuildPlan
    from harness.build.resolver import BuildResolver
    from harness.domain.spec import BuildSpec
    from harness.execution.progress import MatrixEvent


@dataclass(frozen=True, kw_only=True)
class NotBuilt:
    """What becomes of the cells of a build that is not to be had."""

    verdict: Verdict
    reason: str
    record: BuildRecord


@dataclass(frozen=True, kw_only=True)
class Maker:
    """Makes builds, and tells what it does."""

    resolver: BuildResolver
    notify: Callable[[MatrixEvent], None]
    build_unsupported: bool = False
    """Whether to compile what this CPU cannot execute."""

    def make(self, spec: BuildSpec) -> Build | NotBuilt:
        """Return a finished build, compiled if need be, or what stands in for it.

        Raises:
            MachineError: something stops all builds, such as a full disk.
        """
        unsupported = self.resolver.lacking(spec.flags)
        if unsupported and not self.build_unsupported:
            return self._left_out(spec, Verdict.UNSUPPORTED, unsupported)
        try:
            plan = self.resolver.plan(spec)
        except LacksLayerError as error:
            return self._left_out(spec, Verdict.UNSUPPORTED, str(error))
        except (MachineError, SourceError) as error:
            return self._left_out(spec, Verdict.SKIPPED, str(error))
        try:
            build = self._made(plan)
        except UnbuildableError as error:
            return self._left_out(spec, Verdict.SKIPPED, str(error))
        except BuildError as error:
            self.notify(BuildFinished(build=spec.id, error=error.first_error))
            reason = f"{error.first_error} (log: {error.log})"
            return NotBuilt(verdict=Verdict.BUILD_FAILED, reason=reason, record=blank(spec))
        if unsupported:
            return NotBuilt(
                verdict=Verdict.UNSUPPORTED,
                reason=f"{unsupported}; compiled only",
                record=build.record,
            )
        return build

    def is_made(self, spec: BuildSpec) -> bool:
        """Return whether a build is there, so that nothing has to be compiled for it."""
        try:
            return self.resolver.find(self.resolver.plan(spec)) is not None
        except (MachineError, SourceError):
            return False

    def _left_out(self, spec: BuildSpec, verdict: Verdict, reason: str) -> NotBuilt:
        self.notify(BuildFinished(build=spec.id, left_out=reason))
        return NotBuilt(verdict=verdict, reason=reason, record=blank(spec))

    def _made(self, plan: BuildPlan) -> Build:
        found = self.resolver.find(plan)
        if found:
            untrimmed = found.record.untrimmed
            self.notify(BuildFinished(build=plan.spec.id, cached=True, untrimmed=untrimmed))
            return found
        self.notify(BuildStarted(build=plan.spec.id))
        build = self.resolver.make(plan)
        self.notify(
            BuildFinished(
                build=plan.spec.id,
                seconds=build.record.seconds,
                untrimmed=build.record.untrimmed,
            )
        )
        return build


def blank(spec: BuildSpec) -> BuildRecord:
    """Return the record of a build that was not made."""
    return BuildRecord(id=spec.id, key="", version=spec.revision.label, flags=spec.flags.name)
