"""What a case should give, how far honest arithmetic may be off, and what is not judged."""

from pathlib import Path

import numpy as np
import pytest

from harness.cases.expectation import NotDefinedError, expect
from harness.cases.judgement import CaseOutcome, CaseVerdict, judge_case
from harness.cases.layer_case import parse_case
from harness.cases.project import write_project
from harness.cases.sample import sample_of
from harness.config.loading import load_config
from harness.domain.verdict import Tolerance

FP16 = {"use_fp16_storage": True}


def verdict(text: str, factor: float = 1.0, **options: bool) -> CaseVerdict:
    """Return what is said of a build that is off by a factor."""
    expectation = expect(sample_of(parse_case(text)))
    outputs = [(each.value * factor).astype(np.float32) for each in expectation.outputs]
    return judge_case(expectation, [outputs, outputs], options, Tolerance())


@pytest.mark.parametrize(
    ("factor", "options", "outcome", "narrow"),
    [
        (1.0, {}, CaseOutcome.OK, ""),
        (1 + 1e-6, {}, CaseOutcome.OK, ""),
        (1 + 3e-4, {}, CaseOutcome.DROP, ""),
        (1 + 3e-4, FP16, CaseOutcome.DROP, "fp16"),
        (1 + 3e-2, FP16, CaseOutcome.DROP, ""),
        (1 + 3e-3, {"use_bf16_storage": True}, CaseOutcome.DROP, "bf16"),
        (0.0, {}, CaseOutcome.BROKEN, ""),
        (np.nan, FP16, CaseOutcome.BROKEN, ""),
    ],
)
def test_verdicts(
    factor: float, options: dict[str, bool], outcome: CaseOutcome, narrow: str
) -> None:
    found = verdict("InnerProduct:0=8,2=128:16", factor, **options)
    assert (found.outcome, found.narrow) == (outcome, narrow)


def test_another_shape_is_told() -> None:
    expectation = expect(sample_of(parse_case("Permute:0=1:3x4x5")))
    wrong = [expectation.outputs[0].value.transpose(2, 0, 1)]
    assert judge_case(expectation, [wrong], {}, Tolerance()).outcome is CaseOutcome.SHAPE


def test_passes_that_differ_are_unstable_whatever_they_give() -> None:
    expectation = expect(sample_of(parse_case("ReLU::4x5")))
    value = expectation.outputs[0].value
    found = judge_case(expectation, [[value], [value + 1]], {}, Tolerance())
    assert found.outcome is CaseOutcome.UNSTABLE
    assert found.error > 0


def test_a_single_bad_channel_counts() -> None:
    expectation = expect(sample_of(parse_case("ReLU::6x40:x=outlier")))
    value = expectation.outputs[0].value
    calm = int(np.argmin(np.abs(value).max(axis=1)))
    outputs = [value.copy()]
    outputs[0][calm] *= 1.02
    found = judge_case(expectation, [outputs], {}, Tolerance())
    assert (found.outcome, f"channel {calm}" in found.reason) == (CaseOutcome.DROP, True)


@pytest.mark.parametrize(
    "text",
    [
        "UnaryOp:0=7:8x8:x=huge",  # exp: all overflows or vanishes
        "ReLU::8x8:x=denormal",  # flushed to zero by default
        "LayerNorm:0=7:3x7:x=denormal",
    ],
)
def test_what_honest_arithmetic_may_lose_is_not_judged_or_not_wrong(text: str) -> None:
    expectation = expect(sample_of(parse_case(text)))
    flushed = [
        np.where(np.abs(each.value) < 2.0**-126, 0, np.minimum(each.value, 3.4e38))
        for each in expectation.outputs
    ]
    found = judge_case(expectation, [flushed], {}, Tolerance())
    assert found.outcome in (CaseOutcome.OK, CaseOutcome.UNJUDGED)


def test_a_step_of_int8_is_no_drop() -> None:
    text = "InnerProduct:0=5,2=120,8=2:24"
    assert verdict(text, 1 + 1e-2).outcome is CaseOutcome.OK
    assert verdict(text, 1 + 0.1).outcome is CaseOutcome.DROP


@pytest.mark.parametrize(
    ("text", "ill_formed"), [("Proposal::3x4", False), ("Permute:0=1:3x4x5+3", True)]
)
def test_what_has_no_definition_says_why(text: str, ill_formed: bool) -> None:
    with pytest.raises(NotDefinedError) as error:
        expect(sample_of(parse_case(text)))
    assert error.value.ill_formed is ill_formed


def test_samples_are_the_same_each_time_and_differ_by_seed() -> None:
    one, same, other = (
        sample_of(parse_case(f"Convolution:0=4,1=3,6=108:3x6x6{more}"))
        for more in ("", "", ":seed=1")
    )
    np.testing.assert_array_equal(one.inputs[0], same.inputs[0])
    np.testing.assert_array_equal(one.tensors["weight"], same.tensors["weight"])
    assert not np.array_equal(one.inputs[0], other.inputs[0])
    # A pin on the numbers themselves: an id means the same with every version of NumPy.
    assert one.inputs[0].ravel()[:2] == pytest.approx(PINNED)


PINNED = [0.1798478066921234, 0.6097168922424316]


@pytest.mark.parametrize(
    ("text", "dtype"),
    [
        ("Convolution:0=4,1=1,6=32,8=2:8x3x3", np.int8),
        ("Convolution:0=4,1=1,6=32:8x3x3:store=fp16", np.float16),
        ("Convolution:0=4,1=1,6=32:8x3x3", np.float32),
    ],
)
def test_weights_are_stored_as_the_case_says(text: str, dtype: type) -> None:
    assert sample_of(parse_case(text)).tensors["weight"].dtype == dtype


def test_a_case_is_a_configuration_of_its_own(tmp_path: Path) -> None:
    case = parse_case("BinaryOp:0=0:4x5+4x5")
    path = write_project(case, tmp_path, versions=["1", "2"], flags="avx2", run="default")
    config = load_config(path)
    assert (config.model.reference, config.matrix.versions) == ("ncnn", ("1", "2"))
    with np.load(tmp_path / config.inputs["case"].npy) as archive:
        assert {name: archive[name].shape for name in archive.files} == {
            "in0": (1, 4, 5),
            "in1": (1, 4, 5),
        }


@pytest.mark.parametrize(
    ("given", "outcome"), [(np.nan, CaseOutcome.OK), (1.0, CaseOutcome.UNJUDGED)]
)
def test_a_definition_without_a_number_asks_for_none(given: float, outcome: CaseOutcome) -> None:
    expectation = expect(sample_of(parse_case("BinaryOp:0=3:5x7+5x7:x=zeros")))
    (expected,) = expectation.outputs
    assert np.isnan(expected.value).all()
    outputs = [np.full_like(expected.value, given)]
    assert judge_case(expectation, [outputs, outputs], {}, Tolerance()).outcome is outcome
