"""Fixes on a bench whose builds are simulated: a blob's error follows from options and masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from harness.analysis.diagnosis.fixes.evaluator import FixEvaluator
from harness.analysis.diagnosis.fixes.masks import ANY, BF16, FP16, mask_fixes, mask_for, masked
from harness.analysis.diagnosis.fixes.rewrite import rewrite_fixes, rewritten
from harness.analysis.diagnosis.fixes.run_options import option_fixes
from harness.analysis.diagnosis.layer_findings import InputFinding, LayerFinding, Status, TriedFix
from harness.analysis.diagnosis.measurer import ConfiguredModel, Measured, Measurer, Truth
from harness.analysis.mechanisms.mechanism import Explanation
from harness.execution.job import Job
from harness.model.param import Param, parse
from tests.records import metrics

LIMIT = 4e-5
CHAIN = parse(
    "7767517\n5 5\n"
    "Input in 0 1 x\n"
    "InnerProduct a 1 1 x 1 0=4 1=1 2=16\n"
    "LayerNorm n 1 1 1 2 0=4 1=1e-5\n"
    "InnerProduct b 1 1 2 3 0=4 1=1 2=16\n"
    "Softmax s 1 1 3 y 0=0 1=1\n"
)
SE_BLOCK = parse(
    "7767517\n9 10\n"
    "Input in 0 1 x\n"
    "Split sp 1 2 x x0 x1\n"
    "Pooling p 1 1 x0 p 0=1 4=1\n"
    "InnerProduct f 1 1 p f 0=2 1=1 2=8 9=1\n"
    "ReLU r 1 1 f r\n"
    "InnerProduct g 1 1 r g 0=4 1=1 2=8\n"
    "HardSigmoid h 1 1 g h 0=1.666667e-01 1=0.5\n"
    "BinaryOp m 2 1 x1 h m 0=2\n"
    "Softmax s 1 1 m y\n"
)


Errors = Callable[[ConfiguredModel], dict[str, float]]


@dataclass
class Simulation:
    """A measurer without builds: `errors` gives each layer's own error."""

    errors: Errors
    runs: list[ConfiguredModel] = field(default_factory=list)

    def measure(
        self,
        subject: ConfiguredModel,
        truth: Truth,
        folder: Path,
        only: frozenset[str] | None = None,
    ) -> Measured:
        self.runs.append(subject)
        own = self.errors(subject)
        carried, layers = 0.0, []
        for index, layer in enumerate(subject.graph.layers):
            alone = own.get(layer.name, 1e-7)
            carried = max(carried, alone)
            status = Status.AT_FAULT if alone > LIMIT and only is None else Status.CLEAN
            layers.append(
                LayerFinding(
                    index=index, name=layer.name, type=layer.type, blob=layer.outputs[0],
                    aligned="name", status=status, chain=metrics(carried),
                    alone=metrics(alone) if only is None else None, chain_limit=LIMIT,
                )
            )  # fmt: skip
        finding = InputFinding(
            name="x", output=metrics(carried), output_limit=LIMIT, layers=tuple(layers)
        )
        return Measured(
            subject=subject,
            truth=truth,
            finding=finding,
            result=cast("Any", None),
        )


def evaluator(errors: Errors, folder: Path, graph: Param = CHAIN) -> FixEvaluator:
    job = Job(binding="", core="core", param="", bin="", inputs=(), outputs=("y",))
    return FixEvaluator(
        subject=ConfiguredModel(job=job, model=cast("Any", None), graph=graph, initialisers={}),
        truths=[Truth(name="x", tensors={}, exact=cast("Any", None), single=cast("Any", None))],
        measurer=cast("Measurer", Simulation(errors)),
        folder=folder,
        scratch=folder / "scratch",
        notify=lambda _: None,
    )


def is_masked(subject: ConfiguredModel, name: str, bits: int) -> bool:
    return subject.graph.layer(name).integer(31, 0) & bits == bits


def only(fixes: Sequence[TriedFix]) -> TriedFix:
    (fix,) = fixes
    return fix


def test_smallest_set_of_options_is_found_and_proved(tmp_path: Path) -> None:
    def errors(subject: ConfiguredModel) -> dict[str, float]:
        options = subject.job.options
        return {
            "a": 1e-3 if options.get("use_fp16_storage", True) else 1e-7,
            "n": 2e-4 if options.get("use_packing_layout", True) else 1e-7,
        }

    in_force = {
        "use_fp16_packed": True,
        "use_fp16_storage": True,
        "use_bf16_storage": False,
        "use_packing_layout": True,
        "use_winograd_convolution": True,
        "lightmode": True,
        "num_threads": 1,
    }
    fix = only(list(option_fixes(evaluator(errors, tmp_path), in_force)))
    assert fix.change == "use_fp16_storage = false, use_packing_layout = false"
    assert fix.outcome == "fixed"
    assert fix.before is not None
    assert fix.before.at_fault == ("InnerProduct a", "LayerNorm n")
    assert fix.by_type["LayerNorm"] == ((2e-4, 1e-7), (1e-3, 1e-7))
    assert "2 of 2 proved" in fix.note


def test_options_that_change_nothing_are_reported_as_such(tmp_path: Path) -> None:
    fix = only(list(option_fixes(evaluator(lambda _: {"a": 1e-3}, tmp_path), {"use_fp16_x": True})))
    assert fix.outcome == "did not help"
    assert "change nothing" in fix.note


def explained(mechanism: str) -> Explanation:
    return Explanation(
        mechanism=mechanism, side="ncnn", error=1, residual=0, noise=0, at_noise_floor=True
    )


@pytest.mark.parametrize(
    ("mechanism", "bits"),
    [
        ("weights rounded to fp16, towards zero", FP16),
        ("weights and outputs rounded to bf16", BF16),
        ("unexplained", ANY),
        ("bias left out", ANY),
    ],
)
def test_mask_takes_away_what_the_mechanism_names(mechanism: str, bits: int) -> None:
    assert mask_for(explained(mechanism)) == bits


def test_masks_keep_bits_that_are_there() -> None:
    graph = masked(CHAIN.set_param("a", 31, 64), {"a": 3})
    assert graph.layer("a").get(31) == 67


def test_smallest_set_of_masked_layers(tmp_path: Path) -> None:
    """`b` is at fault by itself, but behind `a` and `n` its error does not show."""

    def errors(subject: ConfiguredModel) -> dict[str, float]:
        return {
            "a": 1e-7 if is_masked(subject, "a", FP16) else 1e-3,
            "n": 5e-4,
            "b": 1e-7 if is_masked(subject, "b", FP16) else 1e-4,
        }

    explanations = {"1": explained("weights rounded to fp16")}
    fix = only(list(mask_fixes(evaluator(errors, tmp_path), explanations)))
    assert fix.change == "1 layers: a 31=3"
    assert fix.outcome == "helped"
    assert "LayerNorm n" in fix.note
    written = (tmp_path / "model.masks.param").read_text()
    assert "31=3" in written
    assert fix.diff.count("\n+InnerProduct") == 1


def test_masks_that_change_nothing_are_reported_as_such(tmp_path: Path) -> None:
    fix = only(list(mask_fixes(evaluator(lambda _: {"n": 1e-3}, tmp_path), {})))
    assert fix.outcome == "did not help"
    assert fix.diff == ""


def test_rewrite_of_a_squeeze_and_excite_block() -> None:
    graph, changed = rewritten(SE_BLOCK)
    assert changed == ("p", "f", "g")
    types = {layer.name: layer.type for layer in graph.layers}
    assert (types["f"], types["g"]) == ("Convolution", "Convolution")
    pooling, product = graph.layer("p"), graph.layer("f")
    assert [pooling.get(key) for key in (0, 4, 7, 8, 18)] == [1, None, 1, 1, 1]
    assert {key: product.get(key) for key in (0, 1, 5, 6, 9)} == {0: 2, 1: 1, 5: 1, 6: 8, 9: 1}
    assert graph.layer("h") == SE_BLOCK.layer("h")


@pytest.mark.parametrize(
    ("name", "replacement"),
    [
        ("h", "Reshape"),  # a vector is not the same for this layer
        ("p", "Noop"),
    ],
)
def test_rewrite_leaves_alone_what_it_would_break(name: str, replacement: str) -> None:
    old = SE_BLOCK.layer(name)
    graph = SE_BLOCK.replace_layer(name, type(old)(replacement, name, old.inputs, old.outputs))
    assert rewritten(graph) == (graph, ())


def test_rewrite_leaves_an_output_of_the_model_alone() -> None:
    graph = SE_BLOCK.replace_layer("m").replace_layer("s")
    assert rewritten(graph)[1] == ()


def test_needless_rewrite_is_reported_as_such(tmp_path: Path) -> None:
    asked: list[frozenset[str]] = []

    def build_for(types: frozenset[str]) -> Any:
        asked.append(types)
        return type("Build", (), {"core": Path("other")})()

    fix = only(list(rewrite_fixes(evaluator(lambda _: {"s": 1e-3}, tmp_path, SE_BLOCK), build_for)))
    assert fix.outcome == "did not help"
    assert {"Convolution", "InnerProduct", "ReLU"} <= asked[0]
    assert "+Convolution" in fix.diff


def test_rewrite_beside_options_that_cure_is_needless(tmp_path: Path) -> None:
    def errors(subject: ConfiguredModel) -> dict[str, float]:
        narrow = subject.job.options.get("use_fp16_storage", True)
        return {
            layer.name: 1e-3 if narrow and layer.type == "InnerProduct" else 1e-7
            for layer in subject.graph.layers
        }

    found = evaluator(errors, tmp_path, SE_BLOCK)
    build = type("Build", (), {"core": Path("other")})()
    fix = only(list(rewrite_fixes(found, lambda _: build, {"use_fp16_storage": False})))
    assert fix.outcome == "fixed"
    assert "with use_fp16_storage=false it is needless: output max abs 1.0e-7" in fix.note


def test_rewrite_of_a_model_without_such_a_chain(tmp_path: Path) -> None:
    fix = only(list(rewrite_fixes(evaluator(lambda _: {}, tmp_path), lambda _: cast("Any", None))))
    assert fix.outcome == "not tried"
