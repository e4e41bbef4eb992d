"""A tester of revisions without a compiler: what each revision gives is told by a function."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from harness.analysis.bisection.bed import Variant
from harness.analysis.bisection.history import Point
from harness.analysis.bisection.measurement import Measurement
from harness.analysis.bisection.submodel import Subject
from harness.domain.outcomes import Event
from harness.domain.records import LayerRecord, Metrics
from harness.domain.spec import FlagSet, ModelSpec, Revision, RunSpec
from harness.model.param import parse
from harness.model.prepared_model import PreparedModel
from harness.reference.noise import Noise
from harness.reference.prepared_input import PreparedInput
from harness.reference.values import Reference
from harness.sources import SourceTree
from harness.util.build_store import Store

if TYPE_CHECKING:
    from harness.analysis.bisection.revision_tester import RevisionTester

GRAPH = parse("7767517\n2 2\nInput in 0 1 x\nInnerProduct fc 1 1 x y 0=1 1=0 2=1\n")
PERFECT = Metrics(
    max_abs=0, mean_abs=0, scale_relative=0, cosine=1, snr_db=float("inf"), nan=0, inf=0
)


def point(number: int) -> Point:
    name = f"{number:040}"
    revision = Revision(label=name[-12:], kind="git", name=name, where="clone")
    return Point(id=name, revision=revision, title=f"change {number}", date="2020-01-01")


def points(count: int) -> list[Point]:
    return [point(number) for number in range(count)]


def subject(*, alone: bool) -> Subject:
    model = PreparedModel(
        spec=ModelSpec(name="m"),
        onnx=Path("m.onnx"),
        param=Path("m.param"),
        bin=Path("m.bin"),
        graph=GRAPH,
        inputs={"x": "x"},
        outputs=("y",),
    )
    noise = Noise(channels=Reference(Path("n")), floors={})
    item = PreparedInput(name="i", feeds={}, reference=Reference(Path("r")), text="", noise=noise)
    return Subject(model=model, input=item, watched=("fc",) if alone else (), alone=alone)


def variant(name: str = "f", **options: str) -> Variant:
    return Variant(
        flags=FlagSet(name=name, options=tuple(sorted(options.items()))), run=RunSpec(name="r")
    )


def error(value: float) -> Metrics:
    return PERFECT.model_copy(update={"scale_relative": value, "max_abs": value})


def measured(name: str, value: float, *, alone: bool) -> Measurement:
    layer = LayerRecord(
        index=1,
        name="fc",
        type="InnerProduct",
        blob="y",
        aligned="name",
        chain=error(value),
        alone=error(value),
    )
    return Measurement(
        point=name, event=Event.MEASURED, alone=alone, layers=(layer,), output=error(value)
    )


Value = Callable[[Point, Variant, bool], float | Event]
"""What a revision gives: its error, or what happens instead; the flag says whether alone."""


@dataclass
class FakeResolver:
    """Sources in which every revision declares the same CMake options."""

    tree: Path = Path("tree")
    store: Store = field(default_factory=lambda: Store(root=Path("store")))

    def source(self, revision: Revision) -> SourceTree:
        del revision
        return SourceTree(path=self.tree, digest="d", description="")

    def arch(self, flags: FlagSet) -> str:
        del flags
        return "x86"


@dataclass
class FakeTester:
    """Measures by asking a function; the memory is a list that outlives it."""

    value: Value
    memory: dict[bool, dict[str, list[Measurement]]] = field(
        default_factory=lambda: {True: defaultdict(list), False: defaultdict(list)}
    )
    by_setting: bool = False
    """Whether nothing is remembered, for tests that vary the setting."""
    patience: int = 10**6
    """Measurements until somebody presses Ctrl-C."""
    measurements: int = 0
    whole: Subject = field(default_factory=lambda: subject(alone=False))
    options: dict[str, bool | int] = field(default_factory=dict)
    """What is in force at every revision, unless the run options say something else."""
    resolver: FakeResolver = field(default_factory=lambda: FakeResolver())
    width: int = 1

    def recall(
        self, what: Subject, how: Variant, *, this_session: bool = False
    ) -> dict[str, list[Measurement]]:
        del how, this_session
        return {} if self.by_setting else {k: list(v) for k, v in self.memory[what.alone].items()}

    def measure(self, where: Point, what: Subject, how: Variant) -> Measurement:
        if self.measurements == self.patience:
            raise KeyboardInterrupt
        self.measurements += 1
        value = self.value(where, how, what.alone)
        if isinstance(value, Event):
            found = Measurement(point=where.id, event=value, alone=what.alone)
        else:
            found = measured(where.id, value, alone=what.alone)
        in_force = {**self.options, **dict(how.run.options)}
        found = found.model_copy(update={"options": in_force})
        self.memory[what.alone][where.id].append(found)
        return found

    def built(self, among: Sequence[Point], how: Variant) -> frozenset[str]:
        del how
        return frozenset(each.id for each in among if each.title.endswith("7"))

    @property
    def real(self) -> RevisionTester:
        """Itself, for whoever wants the type."""
        return cast("RevisionTester", self)
