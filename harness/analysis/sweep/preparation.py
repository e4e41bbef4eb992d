"""From the sources of versions to what is run in each."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from harness.analysis.sweep.laboratory import SweepSubject
from harness.analysis.sweep.runs import sweep_runs
from harness.build.resolver import arch_of
from harness.cases.generation.support import unsupported
from harness.sources.options import read_option_fields

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.analysis.sweep.runs import Options
    from harness.domain.spec import FlagSet, Revision

HALF_STORAGE = ("use_fp16_storage", "use_fp16_packed")


def prepare_subjects(
    sources: Sequence[tuple[Revision, Path]], flags: FlagSet, *, base: Options = ()
) -> list[SweepSubject]:
    """Find out what is run in each version.

    Args:
        sources: the versions, with their trees; one that is there twice is measured twice.
        flags: how they are compiled.
        base: run options that all runs have.
    """
    # On x86 fp16 is for weights alone.
    halves = arch_of(flags) != "x86" or flags.wants_vulkan
    narrow = frozenset({"use_bf16_storage", *(HALF_STORAGE if halves else ())})
    seen: Counter[str] = Counter()
    subjects = []
    for revision, tree in sources:
        fields = read_option_fields(tree)
        seen[revision.label] += 1
        again = f"#{seen[revision.label]}" if seen[revision.label] > 1 else ""
        subjects.append(
            SweepSubject(
                label=f"{revision.label}{again}",
                tree=tree,
                runs=sweep_runs(fields, base),
                defaults={f.name: f.default for f in fields if f.default is not None},
                unsupported=partial(unsupported, tree=tree),
                narrow_blobs=narrow,
            )
        )
    return subjects
