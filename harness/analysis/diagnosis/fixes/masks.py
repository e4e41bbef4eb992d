"""Per-layer feature masks (`31=` in a `.param`, ncnn since 20221128): the smallest set of layers.

A set bit takes a feature from one layer, whatever the options say, so that the rest
keeps its speed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.delta_debugging import Result
from harness.analysis.diagnosis.fixes.minimal_set import USELESS, described, search
from harness.analysis.diagnosis.fixes.param_files import difference, with_file
from harness.analysis.diagnosis.layer_findings import TriedFix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.analysis.diagnosis.fixes.evaluator import FixEvaluator
    from harness.analysis.diagnosis.measurer import ConfiguredModel
    from harness.analysis.mechanisms.mechanism import Explanation
    from harness.model.param import Param

MASK_KEY = 31
FP16 = 1 << 0 | 1 << 1
BF16 = 1 << 2
INT8 = 1 << 3
SGEMM = 1 << 5
WINOGRAD = 1 << 6
ANY = FP16 | BF16 | INT8 | SGEMM | WINOGRAD


def mask_for(explanation: Explanation | None) -> int:
    """Return the bits that take away what a mechanism names; all of them if it is not known."""
    words = explanation.words if explanation and explanation.explained else ""
    bits = (FP16 if "fp16" in words else 0) | (BF16 if "bf16" in words else 0)
    return bits or ANY


def masked(graph: Param, masks: Mapping[str, int]) -> Param:
    """Return a graph with bits set in the masks of some layers, those set before kept."""
    for name, bits in masks.items():
        layer = graph.layer(name)
        graph = graph.set_param(name, MASK_KEY, layer.integer(MASK_KEY, 0) | bits)
    return graph


def mask_fixes(
    evaluator: FixEvaluator, explanations: Mapping[str, Explanation]
) -> Iterator[TriedFix]:
    """Yield the smallest set of masked layers that does as much as masking all layers at fault."""
    at_fault = evaluator.before.at_fault
    bits = {
        layer.name: mask_for(explanations.get(blob))
        for layer in evaluator.subject.graph.layers
        for blob in layer.outputs
        if blob in at_fault
    }
    if not bits:
        yield TriedFix(kind="masks", change="none", note="no layer is at fault")
        return
    everything = evaluator.run(_masked_subject(evaluator, bits), f"masks in {len(bits)} layers")
    # What is still at fault under its mask does not need one.
    freed = {
        layer.name: bits[layer.name]
        for layer in evaluator.subject.graph.layers
        if layer.name in bits and everything.at_fault.isdisjoint(layer.outputs)
    }
    if everything.failure or not freed:
        yield evaluator.fix("masks", _words(bits), everything, USELESS)
        return
    best = evaluator.chain(_masked_subject(evaluator, freed), f"masks in {len(freed)} layers")

    def fixes(names: frozenset[str]) -> Result:
        chosen = {name: mask for name, mask in freed.items() if name in names}
        after = evaluator.chain(
            _masked_subject(evaluator, chosen), f"masks in {len(chosen)} layers"
        )
        return Result.FAIL if after.is_as_good_as(best) else Result.PASS

    found = search(list(freed), fixes)
    if found is None:
        yield evaluator.fix("masks", _words(freed), everything, USELESS)
        return
    chosen = {name: bits[name] for name in found.items}
    subject = _masked_subject(evaluator, chosen, "masks")
    after = evaluator.run(subject, "the smallest set of masks")
    note = f"{described(found)}, of {len(bits)} layers at fault"
    if after.at_fault:
        note += f"; still at fault: {', '.join(after.score().at_fault)}"
    fix = evaluator.fix("masks", _words(chosen), after, note)
    diff = difference(evaluator.subject.graph, subject.graph, "masks")
    yield fix.model_copy(update={"param": subject.job.param, "diff": diff})


def _masked_subject(
    evaluator: FixEvaluator, masks: Mapping[str, int], name: str = ""
) -> ConfiguredModel:
    return with_file(evaluator, masked(evaluator.subject.graph, masks), name)


def _words(masks: Mapping[str, int]) -> str:
    pairs = ", ".join(f"{name} {MASK_KEY}={mask}" for name, mask in masks.items())
    return f"{len(masks)} layers: {pairs}"
