"""From versions and a flag set to the builds of a sweep."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from harness.analysis.sweep.laboratory import SweepSubject
from harness.analysis.sweep.runs import sweep_runs
from harness.cases.generation.support import unsupported
from harness.model.param import ACTIVATIONS
from harness.sources.options import read_option_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.sweep.runs import Options
    from harness.build.resolver import BuildResolver
    from harness.domain.spec import FlagSet, Revision

HALF_STORAGE = ("use_fp16_storage", "use_fp16_packed")


def prepare_subjects(
    resolver: BuildResolver,
    revisions: Sequence[Revision],
    flags: FlagSet,
    *,
    layers: Sequence[str] | None,
    base: Options = (),
) -> list[SweepSubject]:
    """Compile each version with the layers that it has of those wanted.

    Args:
        resolver: makes builds.
        revisions: the versions; one that is there twice is measured twice.
        flags: how they are compiled.
        layers: layer types; None for all that a version has.
        base: run options that all runs have.

    Raises:
        HarnessError: a version cannot be had or built.
    """
    resolver.fetch(dict.fromkeys(revisions))
    # On x86 fp16 is for weights alone.
    halves = resolver.arch(flags) != "x86" or flags.wants_vulkan
    narrow = frozenset({"use_bf16_storage", *(HALF_STORAGE if halves else ())})
    # Whatever a layer may have fused.
    wanted = None if layers is None else {*layers, *ACTIVATIONS.values()}
    seen: Counter[str] = Counter()
    subjects = []
    for revision in revisions:
        tree = resolver.source(revision).path
        fields = read_option_fields(tree)
        build = resolver.build_with(revision, flags, wanted)
        seen[revision.label] += 1
        again = f"#{seen[revision.label]}" if seen[revision.label] > 1 else ""
        record = build.record.model_copy(update={"version": revision.label})
        subjects.append(
            SweepSubject(
                label=f"{revision.label}{again}",
                build=replace(build, record=record),
                tree=tree,
                runs=sweep_runs(fields, base),
                defaults={f.name: f.default for f in fields if f.default is not None},
                unsupported=partial(unsupported, tree=tree),
                narrow_blobs=narrow,
            )
        )
    return subjects
