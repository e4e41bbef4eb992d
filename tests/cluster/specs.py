"""Cells that nobody has to build."""

from __future__ import annotations

from harness.domain.spec import (
    BuildSpec,
    CellSpec,
    FlagSet,
    InputSpec,
    ModelSpec,
    Revision,
    RunSpec,
)

REVISION = Revision(label="v", kind="directory", name="")
MODEL = ModelSpec(name="m")


def cell(flags: FlagSet, run: str = "default", name: str = "i") -> CellSpec:
    return CellSpec(
        build=BuildSpec(revision=REVISION, flags=flags, layers=None),
        run=RunSpec(name=run),
        model=MODEL,
        input=InputSpec(name=name),
    )
