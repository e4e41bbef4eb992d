"""Sides and samples of reproducers, for tests."""

from __future__ import annotations

from typing import Any

from harness.cases.layer_case import parse_case
from harness.cases.sample import sample_of
from harness.domain.spec import FlagSet, OptionValue, Revision, RunSpec
from harness.domain.verdict import Tolerance
from harness.reproducers.reproducer import Reproducer, Side, reproducer_of

FLAGS = FlagSet(name="avx2", options=(("NCNN_AVX2", "ON"),))


def run(name: str, threads: int = 1, **options: OptionValue) -> RunSpec:
    return RunSpec(name=name, threads=threads, options=tuple(sorted(options.items())))


def side(version: str, run: RunSpec, *, bad: bool = False, kind: Any = "git") -> Side:
    revision = Revision(label=version, kind=kind, name=version)
    return Side(is_bad=bad, revision=revision, flags=FLAGS, run=run)


TWO = run("threads-2", 2)
SIDES = (side("20241226", TWO), side("20250503", TWO, bad=True))


def reproducer(case: str, *sides: Side, **more: Any) -> Reproducer:
    command = f"nox -s reproducer -- --case {case}"
    return reproducer_of(
        sample_of(parse_case(case)),
        sides or SIDES,
        tolerance=Tolerance(),
        command=command,
        **more,
    )
