"""Hundreds of random layers with faults that are known: nothing that is said of one is false."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from harness.analysis.mechanisms.layer_run import LayerRun
from harness.analysis.mechanisms.mechanism import Examined, explain
from tests.analysis.mechanisms.simulated import (
    Fault,
    fault_on,
    file_fault,
    honest,
    random_layer,
    weights_of,
)

FLOORS, LIMIT = 4.0, 4e-5
LAYERS = 300
"""Layers in each block."""
FOUND = 0.7
"""Share of the faults that a hypothesis describes which have to be found."""


@dataclass(frozen=True)
class Simulated:
    fault: Fault
    run: LayerRun
    second: LayerRun
    """The same layer with the same fault on another input."""


def simulated(seed: int) -> Iterator[Simulated]:
    """Yield layers whose error is above their limit."""
    rng = np.random.default_rng(seed)
    drawn = 0
    while drawn < LAYERS:
        layer, shapes = random_layer(rng)
        weights = weights_of(layer, rng)
        runs = [honest(layer, weights, shapes, rng) for _ in range(2)]
        of_file = file_fault(runs[0], rng) if rng.uniform() < 0.3 else None
        if of_file:
            fault, made = of_file
            same = {"layer": made.layer, "weights": made.weights}
            runs = [replace(r, **same, initialisers=made.initialisers) for r in runs]  # type: ignore[arg-type]
        else:
            fault = fault_on(runs[0], rng)
        wrong = [replace(r, output=fault.output(r, rng).astype(np.float32)) for r in runs]
        drawn += 1
        if wrong[0].error(wrong[0].output, wrong[0].expected) > max(LIMIT, FLOORS * runs[0].noise):
            yield Simulated(fault, *wrong)


def false_of(examined: Examined, truth: frozenset[str]) -> list[str]:
    """Return the statements of which no alternative is true."""
    stated = [each for each in (examined, *examined.further) if each.found]
    return [
        each.explanation.mechanism
        for each in stated
        if not any(all(step.name.startswith(tuple(truth)) for step in s) for s in each.found)
    ]


@pytest.mark.parametrize("seed", [1, 2, 3, 199434751, None])
def test_nothing_false_is_said_of_a_layer(seed: int | None) -> None:
    used = int(np.random.default_rng().integers(2**31)) if seed is None else seed
    false, known, found = [], Counter[str](), Counter[str]()
    for number, each in enumerate(simulated(used)):
        first = explain(each.run, floors=FLOORS, limit=LIMIT)
        both = first.on(each.second, floors=FLOORS, limit=LIMIT)
        for what, examined in (("one input", first), ("two", both)):
            where = f"{number}, {each.run.layer.type}, {each.fault.kind}, {what}"
            said = false_of(examined, each.fault.truth)
            false += [f"{where}: {s}, truly {sorted(each.fault.truth)}" for s in said]
        if each.fault.truth:
            known[each.fault.kind] += 1
            found[each.fault.kind] += bool(both.found)
    share = found.total() / known.total()
    words = ", ".join(f"{kind} {found[kind]}/{count}" for kind, count in sorted(known.items()))
    print(f"seed {used}: {share:.0%} found: {words}")
    assert not false, f"seed {used}: " + "; ".join(false)
    assert share >= FOUND, f"seed {used}: {words}"
