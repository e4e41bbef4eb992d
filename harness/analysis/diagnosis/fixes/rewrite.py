"""The graph rewrite: InnerProduct after global Pooling as a 1x1 Convolution after adaptive Pooling.

Both compute the same sums; they are different code in ncnn. The `.bin` file stays as it is: an
InnerProduct and a 1x1 Convolution keep the same tensors in the same order.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.analysis.diagnosis.fixes.param_files import difference, with_file
from harness.analysis.diagnosis.layer_findings import TriedFix
from harness.domain.formatting import assignments, number
from harness.model.param import Layer, Param
from harness.model.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from harness.analysis.diagnosis.fixes.evaluator import FixEvaluator
    from harness.analysis.diagnosis.measurer import ConfiguredModel
    from harness.build.builder import Build

NO_OPTIONS: Mapping[str, bool] = MappingProxyType({})
POINTWISE = frozenset(
    {"ReLU", "PReLU", "Clip", "ELU", "SELU", "GELU", "Sigmoid", "Swish", "TanH", "Mish", "Dropout",
     "HardSigmoid", "HardSwish", "Split", "UnaryOp"}
)  # fmt: skip
"""Layers for which a vector and a blob of 1x1 channels are the same."""
ENDS = frozenset({"BinaryOp", "Eltwise", "Scale"})
"""Layers that take either beside a blob with channels, and where the rewrite may stop."""


def rewritten(graph: Param) -> tuple[Param, tuple[str, ...]]:
    """Return the graph with every such chain rewritten, and the names of the changed layers."""
    changes: dict[str, Layer] = {}
    for layer in graph.layers:
        if layer.type == "Pooling" and layer.integer(4, 0):
            chain = _chain(graph, layer)
            products = [each for each in chain if each.type == "InnerProduct"]
            if products:
                changes[layer.name] = _adaptive(layer)
                changes |= {each.name: _convolution(each) for each in products}
    layers = tuple(changes.get(layer.name, layer) for layer in graph.layers)
    return Param(layers), tuple(changes)


def _chain(graph: Param, pooling: Layer) -> list[Layer]:
    """Return the layers behind a pooling up to where channels meet again; none if that fails."""
    chain: list[Layer] = []
    blobs = set(pooling.outputs)
    consumed: set[str] = set()
    for layer in graph.layers:
        taken = blobs & set(layer.inputs)
        if not taken:
            continue
        consumed |= taken
        if layer.type in ENDS:
            continue
        if layer.type not in POINTWISE and not _is_plain_product(layer):
            return []
        chain.append(layer)
        blobs |= set(layer.outputs)
    # An output of the model has to keep its shape.
    return chain if blobs <= consumed else []


def _is_plain_product(layer: Layer) -> bool:
    return layer.type == "InnerProduct" and not layer.integer(8, 0)


def _adaptive(layer: Layer) -> Layer:
    """Return global pooling as adaptive pooling to one pixel."""
    kept = tuple((key, value) for key, value in layer.params if key == 0)
    one = Value.of(1)
    return replace(layer, params=(*kept, (7, one), (8, one), (18, one)))


def _convolution(layer: Layer) -> Layer:
    """Return an InnerProduct as a 1x1 Convolution; bias, size and activation have other ids."""
    moved = {0: 0, 1: 5, 2: 6, 9: 9, 10: 10, 31: 31}
    pairs = [(moved[key], value) for key, value in layer.params if key in moved]
    return replace(layer, type="Convolution", params=tuple(sorted([*pairs, (1, Value.of(1))])))


def rewrite_fixes(
    evaluator: FixEvaluator,
    build_for: Callable[[frozenset[str]], Build],
    fixing: Mapping[str, bool] = NO_OPTIONS,
) -> Iterator[TriedFix]:
    """Yield the result of rewriting all such chains.

    Args:
        bench: the subject.
        build_for: returns a build like the subject's that has these layer types as well.
        fixing: run options that fix without it, if that is known: is the rewrite needless then?
    """
    graph, changed = rewritten(evaluator.subject.graph)
    change = "global Pooling + InnerProduct → adaptive Pooling + 1x1 Convolution"
    if not changed:
        note = "the model has no InnerProduct behind a global Pooling"
        yield TriedFix(kind="rewrite", change=change, note=note)
        return
    subject = with_file(evaluator, graph, "rewrite")
    # A trimmed build may lack what the new layers need.
    build = build_for(graph.layer_types() | evaluator.subject.graph.layer_types())
    subject = replace(subject, job=subject.job.model_copy(update={"core": str(build.core)}))
    after = evaluator.run(subject, "rewritten graph")
    note = _beside(evaluator, subject, fixing) if fixing and not after.failure else ""
    fix = evaluator.fix("rewrite", f"{change} in {', '.join(changed)}", after, note)
    diff = difference(evaluator.subject.graph, graph, "rewrite")
    yield fix.model_copy(update={"param": subject.job.param, "diff": diff})


def _beside(evaluator: FixEvaluator, rewritten: ConfiguredModel, fixing: Mapping[str, bool]) -> str:
    """Say what the rewrite adds to run options that fix by themselves."""
    plain = evaluator.run(evaluator.subject.with_options(fixing), "the options that fix").score()
    both = evaluator.run(rewritten.with_options(fixing), "these options and the rewrite").score()
    words = ", ".join(assignments(fixing))
    needed = (
        "it still helps" if both.output_max_abs < plain.output_max_abs / 2 else "it is needless"
    )
    return (
        f"with {words} {needed}: output max abs {number(plain.output_max_abs)} without it, "
        f"{number(both.output_max_abs)} with it"
    )
