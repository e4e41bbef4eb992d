"""What a reproducer shows: one layer with its numbers, what it should give and where it fails."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.cases.expectation import NotDefinedError, expect
from harness.domain.formatting import assignments
from harness.domain.metrics import INFINITE
from harness.domain.spec import THREADS
from harness.util.codes import Code
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.cases.expectation import ExpectedOutput
    from harness.cases.sample import Sample
    from harness.domain.spec import FlagSet, Revision, RunSpec
    from harness.domain.verdict import Tolerance

    Array = NDArray[Any]

VULKAN = "use_vulkan_compute"
_NAME_LENGTH = 48
_OPTION = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""A field of `ncnn::Option`: programs have it in their text."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """A build with run options: the one that is good, or the one that is bad."""

    is_bad: bool
    revision: Revision
    flags: FlagSet
    run: RunSpec

    @property
    def words(self) -> str:
        """What it is called."""
        return "bad" if self.is_bad else "good"


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """What is expected of one output blob."""

    blob: str
    value: Array
    """float64, in ncnn's layout."""
    unjudged: NDArray[np.bool_]
    """Elements that may be any: honest arithmetic moves them much, or they are infinite."""
    limit: float
    """How far any other element may be off, in its units."""
    relative: float
    """The same, relative to the largest expected value."""
    floor: float
    """What single precision costs here, relative to the same."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Reproducer:
    """One layer that is right on one side and wrong on the other."""

    sample: Sample
    outputs: tuple[Output, ...]
    sides: tuple[Side, ...]
    """The good one first, if there is one."""
    name: str
    """Of the program, such as `softmax_3x7`."""
    title: str
    """What layer it is and where its numbers come from, in words."""
    command: str
    """The command line that writes all of this."""
    commit: str = ""
    """What is known to have brought it in."""

    @property
    def type(self) -> str:
        """The layer's type."""
        return self.sample.case.type

    @cached_property
    def runs(self) -> Mapping[str, RunSpec]:
        """The different sets of run options by what they are called; the good side's first."""
        return {settings(side.run): side.run for side in self.sides}


def settings(run: RunSpec) -> str:
    """Return a set of run options in one line: the threads and what differs from defaults."""
    return ",".join(assignments({THREADS: run.threads, **dict(run.options)}))


def reproducer_of(
    sample: Sample,
    sides: Sequence[Side],
    *,
    tolerance: Tolerance,
    command: str,
    title: str = "",
    limit: float | None = None,
    name: str = "",
    commit: str = "",
) -> Reproducer:
    """Return the reproducer of a layer with its numbers.

    Args:
        sample: the layer; of a model's layer with that one's weights and inputs.
        sides: what to run it on, the good one first.
        tolerance: limits of errors.
        command: the command line that does this again.
        title: what layer it is, in words; by default its id as a case of made-up numbers.
        limit: scale-relative error that is allowed in place of the tolerance's.
        name: how to call it; by default after the shapes of its inputs.
        commit: what is known to have brought it in.

    Raises:
        UsageError: there is no expected output, it cannot be judged, or run options are such that
            no program of a layer alone has them.
    """
    for side in sides:
        _check(side.run)
    try:
        expected = expect(sample)
    except NotDefinedError as error:
        raise UsageError(
            f"case {sample.case}: it has no expected output in float64: {error}. Without one there "
            "is nothing to hold a layer against.",
            code=Code.STRANGE_CASE,
        ) from error
    pairs = zip(sample.case.layer.outputs, expected.outputs, strict=True)
    outputs = tuple(_output(blob, each, tolerance, limit) for blob, each in pairs)
    if not any(each.is_judged for each in expected.outputs):
        raise UsageError(
            f"case {sample.case}: honest arithmetic moves its results too much to judge them. Take "
            "other numbers (x=normal, or another seed).",
            code=Code.STRANGE_CASE,
        )
    return Reproducer(
        sample=sample,
        outputs=outputs,
        sides=tuple(sides),
        name=name_of(sample, name),
        title=title or f"{sample.case.type} with made-up numbers: {sample.case}",
        command=command,
        commit=commit,
    )


def name_of(sample: Sample, name: str = "") -> str:
    """Return what the programs are called: the layer's type, and a name or the inputs' shapes."""
    shapes = "_".join("x".join(map(str, shape)) for shape in sample.case.shapes)
    kind, slug = (
        re.sub(r"[^a-z0-9]+", "_", text.lower())[:_NAME_LENGTH].strip("_")
        for text in (sample.case.type, name or shapes)
    )
    return f"{kind or 'layer'}_{slug or 'case'}"


def _check(run: RunSpec) -> None:
    if run.when != "first":
        raise UsageError(
            f"--run {run.name}: options that are set {run.when} are a mistake of a program and "
            "none of a layer. Leave out 'options set'."
        )
    wrong = next((name for name, _ in run.options if not _OPTION.fullmatch(name)), None)
    if wrong is not None:
        raise UsageError(f"--run {run.name}: {wrong!r} is no option's name. Correct it.")
    if dict(run.options).get(VULKAN):
        raise UsageError(
            f"--run {run.name}: reproducers are for the CPU. What differs on a Vulkan device, "
            "`nox -s diagnose` tells."
        )


def _output(
    blob: str, expected: ExpectedOutput, tolerance: Tolerance, limit: float | None
) -> Output:
    blank = not expected.value.any()
    relative = limit or tolerance.layer_limit(expected.floor, blank=blank)
    # NaN is not below any number.
    infinite = ~(np.abs(expected.value) < INFINITE)
    return Output(
        blob=blob,
        value=expected.value,
        unjudged=expected.fickle | infinite,
        limit=relative * expected.scale,
        relative=relative,
        floor=expected.floor,
    )
