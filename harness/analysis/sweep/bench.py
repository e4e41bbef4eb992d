"""The builds of a sweep, on this machine or elsewhere, and what runs cases in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from harness.execution.cell_runner import machine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from harness.build.builder import Build
    from harness.build.resolver import BuildResolver
    from harness.domain.records import BuildRecord
    from harness.domain.spec import FlagSet, Revision
    from harness.execution.case_runner import CaseRecord, CaseRunner, Request


class CaseBench(Protocol):
    """Runs cases in the builds of a sweep, which it knows by their places in it."""

    @property
    def records(self) -> Sequence[BuildRecord]:
        """What each build is, under the label of its version."""
        ...

    @property
    def machine(self) -> Mapping[str, str]:
        """What the numbers may depend on besides the builds."""
        ...

    def run(
        self, place: int, requests: Sequence[Request], *, confirm: bool = True
    ) -> Iterator[CaseRecord]:
        """Yield what became of each case in a build, in their order; see `CaseRunner.run`."""
        ...

    def run_in_each(
        self, requests: Sequence[Sequence[Request]]
    ) -> Iterator[tuple[int, CaseRecord]]:
        """Yield what became of cases, with the place of the build; those of a build in their order.

        Args:
            requests: for each build, its cases.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LocalBench:
    """Runs cases on this machine, in one build after the other."""

    runner: CaseRunner
    builds: Sequence[Build]

    @property
    def records(self) -> Sequence[BuildRecord]:
        """What each build is, under the label of its version."""
        return [build.record for build in self.builds]

    @property
    def machine(self) -> Mapping[str, str]:
        """What the numbers may depend on besides the builds."""
        return machine()

    def run(
        self, place: int, requests: Sequence[Request], *, confirm: bool = True
    ) -> Iterator[CaseRecord]:
        """Yield what became of each case in a build, see `CaseRunner.run`."""
        yield from self.runner.run(self.builds[place], requests, confirm=confirm)

    def run_in_each(
        self, requests: Sequence[Sequence[Request]]
    ) -> Iterator[tuple[int, CaseRecord]]:
        """Yield what became of cases, build by build."""
        for place, some in enumerate(requests):
            for record in self.run(place, some):
                yield place, record


def compiled(
    resolver: BuildResolver,
    revisions: Sequence[Revision],
    flags: FlagSet,
    layers: Collection[str] | None,
) -> list[Build]:
    """Compile each version with the layers that it has of those wanted.

    Args:
        resolver: makes builds.
        revisions: the versions; one that is there twice is measured twice.
        flags: how they are compiled.
        layers: layer types; None for all that a version has.

    Raises:
        HarnessError: a version cannot be had or built.
    """
    builds = [resolver.build_with(revision, flags, layers) for revision in revisions]
    return [
        replace(build, record=labelled(build.record, revision))
        for build, revision in zip(builds, revisions, strict=True)
    ]


def labelled(record: BuildRecord, revision: Revision) -> BuildRecord:
    """Return the record of a build, which was perhaps made for another, with a version's label."""
    return record.model_copy(update={"version": revision.label})
