"""Tables from random truths: nothing false is ever said, and most of what is there is found.

A world has faults that depend on settings and versions in any way: one setting, two at once,
either, exactly one of them, two of three, in some versions only. Its table is measured whole or in
part, with honest rounding at the limit, unstable cells and cells that die. Then experiments are
made as the matrix makes them, and all that is said is checked against the truth.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from harness.analysis.attribution.causes import Cause, causes_in
from harness.analysis.attribution.evidence import Table
from harness.analysis.attribution.experiments import ROUNDS, affordable, due, suggested
from tests.analysis.attribution.truth import false_statements, findable, is_found
from tests.analysis.attribution.worlds import TOLERANCE, World, place_of

BLOCKS = 5
PER_BLOCK = 100
"""Worlds of each kind in a block: 4 kinds × 5 × 100 are 2000 tables."""

KINDS = {
    "complete": (True, 1.0),
    "complete, 40 % measured": (True, 0.4),
    "single changes": (False, 1.0),
    "single changes, 40 % measured": (False, 0.4),
}
"""Whether the axes have every combination of some settings, or the defaults and single changes to
them, and the share of the cells that was measured."""

FLOORS = {
    "complete": (0.95, 0.95),
    "complete, 40 % measured": (0.80, 0.93),
    "single changes": (0.40, 0.75),
    "single changes, 40 % measured": (0.20, 0.70),
}
"""Share of the causes to be found before and after experiments, in each block; on average they are
some percent more. Where only single changes were measured there are faults that no experiment of
few changes reaches."""

FRESH = random.SystemRandom().randrange(10**6, 10**9)


def tables(seed: int, *, complete: bool, share: float) -> tuple[World, Table, Table]:
    """Return a world with its table, before and after the experiments that it suggests."""
    world, rng = World(seed, complete=complete), random.Random(seed)
    records = [world.measure(place) for place in world.places if rng.random() < share]
    before = table = Table(records, TOLERANCE)
    left = affordable(len(records))
    for _ in range(ROUNDS):
        wanted = due([x for x in suggested(table) if not x.needs_build])[:left]
        left -= len(wanted)
        places = [world.experiment(place_of(x.base), x.change) for x in wanted]
        records += [world.measure(place, experiment=True) for place in places]
        table = Table(records, TOLERANCE)
    return world, before, table


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_nothing_false_is_said(kind: str, block: int) -> None:
    complete, share = KINDS[kind]
    goals, found = 0, [0, 0]
    for number in range(PER_BLOCK):
        # The last of each block is another one in each run.
        seed = block * PER_BLOCK + number if number < PER_BLOCK - 1 else FRESH + block
        world, *both = tables(seed, complete=complete, share=share)
        wanted = list(findable(world, both[0]))
        goals += len(wanted)
        for place, table in enumerate(both):
            causes = causes_in(table)
            wrong = list(false_statements(causes, table, world))
            assert not wrong, f"World({seed}, complete={complete}), share {share}: {wrong[0]}"
            found[place] += sum(is_found(*goal, causes) for goal in wanted)
    shares = [count / goals for count in found]
    print(f"{kind}: {goals} causes, found {shares[0]:.0%}, after experiments {shares[1]:.0%}")
    assert shares[0] >= FLOORS[kind][0]
    assert shares[1] >= FLOORS[kind][1]


@pytest.mark.parametrize("seed", range(30))
def test_neither_order_nor_names_change_anything(seed: int) -> None:
    _, _, table = tables(seed, complete=seed % 2 == 0, share=0.7)
    records = list(table.records.values())
    random.Random(seed).shuffle(records)
    assert causes_in(Table(records, TOLERANCE)) == causes_in(table)
    renamed = [
        record.model_copy(
            update={
                "cell": f"{record.cell}!",
                "flags": f"z{len(record.flags)}{record.flags[::-1]}",
                "run": record.run[::-1],
                "layers": tuple(
                    layer.model_copy(update={"name": layer.name[::-1], "blob": layer.blob[::-1]})
                    for layer in record.layers
                ),
            }
        )
        for record in records
    ]
    found = Counter(map(said, causes_in(Table(renamed, TOLERANCE))))
    assert found == Counter(map(said, causes_in(table)))


def said(cause: Cause) -> tuple[object, ...]:
    """Return what a cause says, without names that mean nothing."""
    fixes = frozenset((fix.change, fix.proved, len(fix.pairs)) for fix in cause.fixes)
    return (cause.level, len(cause.layers), len(cause.cells), fixes, cause.spans, cause.clean)
