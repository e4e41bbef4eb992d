"""Which layer a bisection is about, where the user does not say: the one with the worst error."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.domain.verdict import own_excess

if TYPE_CHECKING:
    from harness.analysis.bisection.criterion import Metric
    from harness.analysis.bisection.measurement import Measurement
    from harness.config.rules import Rules
    from harness.domain.verdict import Tolerance


def worst_beyond(bad: Measurement, tolerance: Tolerance) -> str | None:
    """Return the layer with the largest own error at the bad end, if it is beyond its limit."""
    layers = {layer.name: layer for layer in bad.layers}
    found = {
        name: error.scale_relative
        for name, error in bad.errors().items()
        if own_excess(layers[name], error, tolerance) > 1
    }
    return max(found, key=found.__getitem__, default=None)


def grown_layer(
    good: Measurement, bad: Measurement, *, metric: Metric, rules: Rules, tolerance: Tolerance
) -> str | None:
    """Return the layer whose own error differs most between the ends, if by `rules.apart`.

    Only layers count that are beyond their limit at the bad end. Of layers that crash or give NaN
    at one end only there is no ratio; they are not considered.
    """
    before, after = good.errors(), bad.errors()
    ratios = {}
    layers = {layer.name: layer for layer in bad.layers}
    for name in before.keys() & after.keys():
        if own_excess(layers[name], after[name], tolerance) <= 1:
            continue
        pair = [
            max(metric.error(float(getattr(each, metric.value))), rules.floor)
            for each in (before[name], after[name])
        ]
        ratios[name] = pair[1] / pair[0]
    best = max(sorted(ratios), key=ratios.__getitem__, default=None)
    return best if best is not None and ratios[best] >= rules.apart else None
