"""Worlds with a known truth: tables are measured in them, and statements checked against them."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from harness.analysis.attribution.symptoms import Level
from harness.domain.records import (
    BuildRecord,
    CellRecord,
    Failure,
    LayerRecord,
    Metrics,
    Verdict,
)
from harness.domain.verdict import Tolerance

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.analysis.attribution.settings import Change

LIMIT = 1e-4
TOLERANCE = Tolerance(layer=LIMIT, output=LIMIT)
OPTIONS = ("use_fp16_storage", "use_bf16_storage", "use_packing_layout", "use_sgemm_convolution")
BUILD = ("NCNN_AVX2", "NCNN_F16C", "NCNN_FMA")
VERSIONS = ("20220420", "20230517", "20240102", "20250503", "20261020")
TYPES = ("Convolution", "InnerProduct", "Softmax")
THREADS = "num_threads"

Values = dict[str, str]
"""Values of all settings in force."""
Place = tuple[str, str, str, str]
"""Version, flag set, run, input."""


@dataclass(frozen=True)
class Fault:
    """Something wrong with a layer (or, without a layer, with the run) under some settings."""

    layer: str
    terms: tuple[tuple[tuple[str, str], ...], ...]
    """Literals, a disjunction of conjunctions; empty for always."""
    kind: str
    versions: frozenset[str]
    excess: float
    """In units of the limit; infinite for NaN."""

    def shows(self, version: str, values: Mapping[str, str]) -> bool:
        if version not in self.versions:
            return False
        held = [all(values[name] == value for name, value in term) for term in self.terms]
        if self.kind == "xor":
            return sum(held) % 2 == 1
        if self.kind == "threshold":
            return sum(held) >= 2
        return any(held) or not held


@dataclass
class World:
    """A truth, and the axes of the table that is measured in it."""

    seed: int
    complete: bool = False
    """Whether the table has every combination of some settings, or only some changes."""
    rng: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.rng = rng = random.Random(self.seed)
        self.versions = tuple(sorted(rng.sample(VERSIONS, rng.choice((1, 1, 2, 2, 3)))))
        self.inputs = ("short", "long")[: rng.randint(1, 2)]
        self.flags, self.runs = self.complete_axes() if self.complete else self.some_axes()
        self.layers = {f"layer{n}": rng.choice(TYPES) for n in range(rng.randint(1, 5))}
        self.near_limit = {name for name in self.layers if rng.random() < 0.15}
        self.faults = [f for name in self.layers for f in self.some_faults(name)]
        if rng.random() < 0.15:
            self.faults += self.some_faults("", 1)
        self.unstable = rng.choice((0.0, 0.0, 0.05, 0.15))

    def complete_axes(self) -> tuple[dict[str, Values], dict[str, Values]]:
        """Return every combination of four settings, one or two of them of the build."""
        rng = self.rng
        build = rng.sample(BUILD, rng.randint(1, 2))
        flags = [
            dict(zip(build, v, strict=True))
            for v in itertools.product(("ON", "OFF"), repeat=len(build))
        ]
        chosen = rng.sample([*OPTIONS, THREADS], 4 - len(build))
        values = [("1", "2") if name == THREADS else ("true", "false") for name in chosen]
        runs = [dict(zip(chosen, v, strict=True)) for v in itertools.product(*values)]
        self.varied = (*build, *chosen)
        return (
            {f"flags{n}": dict.fromkeys(BUILD, "ON") | f for n, f in enumerate(flags)},
            {f"run{n}": self.run_values() | run for n, run in enumerate(runs)},
        )

    def some_axes(self) -> tuple[dict[str, Values], dict[str, Values]]:
        """Return a few flag sets, and the default options with some sets of changes."""
        rng = self.rng
        every = list(itertools.product(("ON", "OFF"), repeat=len(BUILD)))
        flags = {
            f"flags{n}": dict(zip(BUILD, chosen, strict=True))
            for n, chosen in enumerate(rng.sample(every, rng.randint(1, 4)))
        }
        runs = {"default": self.run_values()}
        for n in range(rng.randint(1, 5)):
            changed = rng.sample([*OPTIONS, THREADS], rng.choice((1, 1, 1, 2, 3)))
            values = {name: ("2" if name == THREADS else "false") for name in changed}
            runs[f"run{n}"] = self.run_values() | values
        self.varied = (*BUILD, *OPTIONS, THREADS)
        return flags, runs

    def run_values(self) -> Values:
        return dict.fromkeys(OPTIONS, "true") | {THREADS: "1"}

    def some_faults(self, layer: str, count: int | None = None) -> list[Fault]:
        count = self.rng.choice((0, 1, 1, 1, 2)) if count is None else count
        return [] if layer in self.near_limit else [self.fault(layer) for _ in range(count)]

    def fault(self, layer: str) -> Fault:
        rng = self.rng
        literals = [(name, rng.choice(("true", "true", "true", "false"))) for name in OPTIONS]
        literals += [(name, rng.choice(("ON", "ON", "OFF"))) for name in BUILD]
        literals += [(THREADS, rng.choice("12"))]
        literals = [x for x in literals if x[0] in self.varied]
        rng.shuffle(literals)
        kind = rng.choice(("and", "and", "and", "or", "or", "xor", "threshold", "mixed", "always"))
        terms: tuple[tuple[tuple[str, str], ...], ...]
        if kind == "always":
            terms = ()
        elif kind == "and":
            terms = (tuple(literals[: rng.choice((1, 1, 2, 3))]),)
        elif kind == "mixed":
            terms = (tuple(literals[:2]), (literals[2],))
        else:
            terms = tuple((x,) for x in literals[: 3 if kind == "threshold" else 2])
        lowest, highest = sorted(rng.choices(range(len(self.versions)), k=2))
        everywhere = rng.random() < 0.6 and kind != "always"
        inside = self.versions if everywhere else self.versions[lowest : highest + 1]
        excess = math.inf if rng.random() < 0.1 else 10 ** rng.uniform(0.5, 3)
        return Fault(layer, terms, kind, frozenset(inside), excess)

    @cached_property
    def places(self) -> list[Place]:
        """All cells of the table."""
        return list(itertools.product(self.versions, self.flags, self.runs, self.inputs))

    def values(self, place: Place) -> Values:
        return self.flags[place[1]] | self.runs[place[2]]

    def excess(self, layer: str, version: str, values: Mapping[str, str]) -> float:
        """Return the truth: the error of a layer in units of its limit."""
        shown = [f.excess for f in self.faults if f.layer == layer and f.shows(version, values)]
        return max(shown, default=0.2)

    def is_faulty(self, layer: str, level: Level, version: str, values: Mapping[str, str]) -> bool:
        """Return the truth about a symptom."""
        times = self.excess(layer, version, values)
        if level is Level.RUN or not layer:
            return times > 1
        wrong = math.isinf(times) or times * LIMIT >= 1
        return wrong if level is Level.VALUES else times > 1

    def measure(self, place: Place, *, experiment: bool = False) -> CellRecord:
        """Measure a cell: honest rounding differs from one to another, and some are unstable."""
        version, flags, run, item = place
        values = self.values(place)
        rng = random.Random(repr((self.seed, version, sorted(values.items()), item)))
        died = self.excess("", version, values) > 1
        layers = () if died else tuple(self._layers(version, values, rng))
        worst = max((x.alone.scale_relative for x in layers if x.alone), default=0.0)
        nan = any(x.alone.nan for x in layers if x.alone)
        verdict = Verdict.DROP if worst > LIMIT else Verdict.OK
        verdict = Verdict.BROKEN if died or nan else verdict
        if rng.random() < self.unstable:
            verdict = Verdict.UNSTABLE
        output = None if died else metrics(worst / 3, nan=nan)
        return CellRecord.model_construct(
            cell=f"{version}-{flags}/{run}/{item}",
            model="world",
            version=version,
            flags=flags,
            run=run,
            input=item,
            verdict=verdict,
            reason="SIGSEGV" if died else "",
            failure=Failure.RUN if died else None,
            options={name: values[name] == "true" for name in OPTIONS},
            threads=int(values[THREADS]),
            experiment=experiment,
            output=output,
            output_blob="out",
            outputs={"out": output} if output else {},
            layers=layers,
            build=BuildRecord.model_construct(
                id=f"{version}-{flags}",
                key="",
                version=version,
                flags=flags,
                cmake_cache=dict(self.flags[flags]),
                options=dict.fromkeys(OPTIONS, True),
            ),
        )

    def _layers(self, version: str, values: Values, rng: random.Random) -> Iterator[LayerRecord]:
        for index, (name, kind) in enumerate(self.layers.items()):
            times = self.excess(name, version, values)
            if times <= 1:
                honest = (0.72, 1.38) if name in self.near_limit else (0.02, 0.4)
                times = rng.uniform(*honest)
            else:
                times *= rng.uniform(0.9, 1.1)
            nan = math.isinf(times)
            error = metrics(0.0 if nan else times * LIMIT, nan=nan)
            yield LayerRecord.model_construct(
                index=index,
                name=name,
                type=kind,
                blob=name,
                aligned="name",
                chain=error,
                alone=error,
            )

    def experiment(self, base: Place, change: Change) -> Place:
        """Return the cell of an experiment, a new one of the same build."""
        version, flags, run, item = base
        changed = {s.name: s.after for s in change}
        name = ",".join([run, *(f"{k}={v}" for k, v in sorted(changed.items()))])
        self.runs[name] = self.runs[run] | changed
        return version, flags, name, item


def metrics(error: float, *, nan: bool = False) -> Metrics:
    return Metrics.model_construct(
        max_abs=error,
        mean_abs=error / 10,
        scale_relative=error,
        cosine=1.0,
        snr_db=50.0,
        nan=int(nan),
        inf=0,
    )


def place_of(cell: str) -> Place:
    build, run, item = cell.split("/")
    version, _, flags = build.partition("-")
    return version, flags, run, item
