from itertools import product
from typing import Any

import pytest

from harness.analysis.attribution.causes import attribute
from harness.domain.records import CellRecord, Failure, Verdict
from harness.domain.verdict import Tolerance
from harness.report.cause_text import (
    cause_head,
    cause_title,
    fix_evidence,
    fix_words,
    remedies,
    version_words,
)
from tests.records import cell, metrics

TOLERANCE = Tolerance(layer=4e-5)
ON = {"NCNN_AVX2": "ON", "NCNN_F16C": "ON"}
OFF = {"NCNN_AVX2": "ON", "NCNN_F16C": "OFF"}


def causes_of(records: list[CellRecord]) -> dict[str, list[str]]:
    """Return the words of all fixes that are proved by layer type."""
    found: dict[str, list[str]] = {}
    for cause in attribute(records, TOLERANCE):
        found.setdefault(cause.layer_type, []).extend(fix_words(r) for r in cause.fixes if r.proved)
    return found


def grid(
    error: dict[tuple[str, bool, bool], float], kind: str = "InnerProduct"
) -> list[CellRecord]:
    """Cells over F16C at build time, fp16 storage and packing at run time."""
    records = []
    for (f16c, fp16, packing), name in product(
        product(("ON", "OFF"), (True, False), (True, False)), ("short", "long")
    ):
        records.append(
            cell(
                {kind: error[f16c, fp16, packing]},
                flags=f"f16c-{f16c}",
                build={"NCNN_F16C": f16c},
                run=f"fp16-{fp16}-packing-{packing}",
                options={"use_fp16_storage": fp16, "use_packing_layout": packing},
                input_name=name,
            )
        )
    return records


def test_either_of_two_axes_clears_the_fault() -> None:
    settings = product(("ON", "OFF"), (True, False), (True, False))
    errors = {s: 2e-3 if s[0] == "ON" and s[1] else 3e-6 for s in settings}
    (cause,) = attribute(grid(errors), TOLERANCE)
    assert {fix_words(fix) for fix in cause.fixes} == {
        "NCNN_F16C=OFF at build time",
        "use_fp16_storage=false at run time",
    }
    assert [(len(fix.pairs), fix.proved, fix.untried) for fix in cause.fixes] == [(4, True, 0)] * 2
    (evidence,) = {fix_evidence(fix) for fix in cause.fixes}
    assert evidence == "2.0e-3 → 3.0e-6, in the chain 4.0e-3 → 6.0e-6, proved in 4 pairs"


def test_two_changes_needed_at_once() -> None:
    settings = product(("ON", "OFF"), (True, False), (True, False))
    errors = {s: 3e-6 if not s[1] and not s[2] else 2e-3 for s in settings}
    fixes = {fix_words(r): r for cause in attribute(grid(errors), TOLERANCE) for r in cause.fixes}
    both = fixes["use_fp16_storage=false together with use_packing_layout=false at run time"]
    assert both.proved
    assert len(both.pairs) == 4
    assert len(fixes["use_fp16_storage=false at run time"].pairs) == 4


def test_causes_of_different_layer_types_are_kept_apart() -> None:
    records = [
        cell({"A": 1e-3, "B": 1e-3}),
        cell({"A": 1e-7, "B": 1e-3}, run="x", options={"use_fp16_storage": False}),
        cell({"A": 1e-3, "B": 1e-7}, run="y", options={"use_packing_layout": False}),
    ]
    assert causes_of(records) == {
        "A": ["use_fp16_storage=false at run time"],
        "B": ["use_packing_layout=false at run time"],
    }


def test_only_the_smallest_change_counts() -> None:
    records = [
        cell({"A": 1e-3}, build=ON),
        cell({"A": 1e-7}, flags="nof16c", build=OFF),
        cell({"A": 1e-7}, flags="sse2", build={"NCNN_AVX2": "OFF", "NCNN_F16C": "OFF"}),
    ]
    assert causes_of(records) == {"A": ["NCNN_F16C=OFF at build time"]}


def test_version_is_compared_only_with_equal_requests() -> None:
    records = [
        cell({"A": 1e-7}, version="20220420", verdict=Verdict.OK),
        cell({"A": 1e-3}, version="20220729"),
        cell({"A": 1e-7}, version="20220420", run="other", options={"use_bf16_storage": True}),
    ]
    (cause,) = attribute(records, TOLERANCE)
    assert cause.fixes == ()
    assert version_words(cause) == "since 20220729, good in 20220420"
    assert remedies(cause) == ""


def test_no_cause_without_a_pair() -> None:
    (cause,) = attribute([cell({"A": 1e-3})], TOLERANCE)
    assert cause.fixes == ()
    assert remedies(cause) == "No pair of cells shows what causes it."


def test_inputs_are_not_mixed() -> None:
    records = [
        cell({"A": 1e-3}, input_name="short"),
        cell({"A": 1e-7}, input_name="long", run="x", options={"use_fp16_storage": False}),
    ]
    assert attribute(records, TOLERANCE)[0].fixes == ()


def test_where_a_fix_was_tried_in_vain_there_is_another_cause() -> None:
    records = [
        cell({"A": error}, version=version, run=run, options={"use_fp16_storage": fp16})
        for version, run, fp16, error in (
            ("v1", "default", True, 1e-3),
            ("v1", "off", False, 1e-7),
            ("v2", "default", True, 1e-3),
            ("v2", "off", False, 1e-3),
        )
    ]
    first, *others = attribute(records, TOLERANCE)
    assert [fix.pairs for fix in first.fixes] == [(("v1-avx2/default/short", "v1-avx2/off/short"),)]
    assert first.cells == ("v1-avx2/default/short",)
    assert [cause.fixes for cause in others] == [()] * len(others)


@pytest.mark.parametrize("verdict", [Verdict.UNSTABLE, Verdict.SKIPPED, Verdict.BUILD_FAILED])
def test_cells_without_numbers_prove_nothing(verdict: Verdict) -> None:
    records = [
        cell({"A": 1e-3}),
        cell({"A": 1e-7}, run="x", options={"use_fp16_storage": False}, verdict=verdict),
    ]
    assert attribute(records, TOLERANCE)[0].fixes == ()


def test_clean_table_accuses_nobody() -> None:
    assert attribute([cell({"A": 1e-7, "B": 3e-5}, verdict=Verdict.OK)], TOLERANCE) == ()


def test_one_cause_speaks_for_all_layer_types_that_it_clears() -> None:
    records = [
        cell({"A": 1e-3, "B": 2e-3, "C": 1e-4, "D": 1e-4}),
        cell(
            {"A": 1e-7, "B": 1e-7, "C": 1e-7, "D": 1e-7},
            run="x",
            options={"use_bf16_storage": True},
        ),
    ]
    (cause,) = attribute(records, TOLERANCE)
    assert (cause.layer_type, cause.also) == ("B", ("A", "C", "D"))
    assert cause_head(cause) == "B (also A, C, D)"
    assert cause_title(cause).startswith("loses precision: ")


def test_wrong_values_are_no_loss_of_precision() -> None:
    records = [
        cell(
            {"InnerProduct": {"20220420": 1e-7}.get(version, error)},
            version=version,
            run=run,
            options={"use_fp16_storage": run == "default", "misread": run == "late"},
        )
        for version in ("20220420", "20220729")
        for run, error in (("default", 7e-4), ("late", 3e33), ("off", 5e-7))
    ]
    wrong, lossy = sorted(attribute(records, TOLERANCE), key=lambda cause: -cause.worst)
    assert (wrong.worst, lossy.worst) == (3e33, 7e-4)
    assert lossy.cells == ("20220729-avx2/default/short",)
    assert {fix_words(r) for r in lossy.fixes} == {"use_fp16_storage=false at run time"}
    assert {fix_words(r) for r in wrong.fixes} == {"misread=false at run time"}
    assert version_words(wrong) == "since 20220729, good in 20220420"


def test_how_wrong_values_are_means_nothing() -> None:
    records = [
        cell({"InnerProduct": error}, version=version, run="late", options={"misread": True})
        for version, error in (("20220420", 1e-7), ("20220729", 3e33), ("20221014", 2e12))
    ]
    (cause,) = attribute(records, TOLERANCE)
    assert version_words(cause) == "since 20220729, good in 20220420"
    assert not cause.easing


def test_what_makes_a_fault_much_smaller_is_told_too() -> None:
    errors = {(False, False): 1e-6, (True, False): 1.5e-3, (True, True): 8e-2}
    records = [
        cell(
            {"Softmax": error},
            run=f"packed-{packed}-arithmetic-{arithmetic}",
            options={"use_fp16_packed": packed, "use_fp16_arithmetic": arithmetic},
        )
        for (packed, arithmetic), error in errors.items()
    ]
    causes = {cause.cells: cause for cause in attribute(records, TOLERANCE)}
    eased = causes["20250503-avx2/packed-True-arithmetic-True/short",]
    (fix,) = eased.easing
    assert fix_words(fix) == "use_fp16_arithmetic=false at run time"
    assert (fix.error_before, fix.error_after) == (8e-2, 1.5e-3)


def test_layers_of_one_type_are_told_apart() -> None:
    """A 3×3 Convolution by Winograd, a 1×1 one by sgemm: each has a switch of its own."""

    def one(winograd: bool, sgemm: bool) -> CellRecord:
        errors = {"A": 1e-3 if winograd else 1e-7, "B": 2e-3 if sgemm else 1e-7}
        options = {"use_winograd_convolution": winograd, "use_sgemm_convolution": sgemm}
        record = cell(errors, run=f"{winograd}-{sgemm}", options=options)
        layers = (layer.model_copy(update={"type": "Convolution"}) for layer in record.layers)
        return record.model_copy(update={"layers": tuple(layers)})

    causes = attribute([one(*both) for both in product((True, False), repeat=2)], TOLERANCE)
    assert {c.layers: [fix_words(f) for f in c.fixes] for c in causes} == {
        ("A_0",): ["use_winograd_convolution=false at run time"],
        ("B_1",): ["use_sgemm_convolution=false at run time"],
    }


def test_a_cell_that_dies_has_a_cause() -> None:
    dead = cell({}, run="bf16", options={"use_bf16_storage": True}, verdict=Verdict.BROKEN)
    dead = dead.model_copy(update={"failure": Failure.RUN, "reason": "SIGSEGV"})
    (cause,) = attribute([dead, cell({"A": 1e-7}, verdict=Verdict.OK)], TOLERANCE)
    assert cause_head(cause) == "The run"
    assert cause_title(cause) == "ends with SIGSEGV in 1 cell"
    assert [fix_words(fix) for fix in cause.fixes] == ["use_bf16_storage=false at run time"]


def test_a_layer_with_nan_is_at_fault_and_not_one_that_is_a_little_off() -> None:
    broken = cell({"A": 0.0, "B": 5e-5}, run="bf16", options={"use_bf16_storage": True})
    nan, other = broken.layers
    layers = (nan.model_copy(update={"alone": metrics(0.0, nan=3)}), other)
    broken = broken.model_copy(update={"layers": layers, "verdict": Verdict.BROKEN})
    clean = cell({"A": 1e-7, "B": 4.9e-5})
    causes = {c.layer_type: c for c in attribute([broken, clean], TOLERANCE)}
    assert cause_title(causes["A"]) == "gives NaN or infinities in 1 cell, 1 layer"
    assert [fix_words(fix) for fix in causes["A"].fixes] == ["use_bf16_storage=false at run time"]
    assert causes["B"].fixes == ()


def test_an_output_that_is_off_without_a_guilty_layer_has_a_cause() -> None:
    def one(error: float, **how: Any) -> CellRecord:
        record = cell({"A": 1e-7}, **how)
        return record.model_copy(update={"outputs": {"out": metrics(error)}})

    bad = one(1e-2)
    good = one(1e-7, run="x", options={"use_fp16_storage": False}, verdict=Verdict.OK)
    (cause,) = attribute([bad, good], TOLERANCE)
    assert cause_head(cause) == "The output"
    assert "though no layer is beyond its limit by itself" in cause_title(cause)
    assert [fix_words(fix) for fix in cause.fixes] == ["use_fp16_storage=false at run time"]


def test_versions_are_summed_up_as_intervals() -> None:
    errors = {
        "20220420": 1e-7,
        "20220729": 1e-3,
        "20221128": 1e-3,
        "20240102": 1e-3,
        "20250503": 1e-7,
        "20261020": 1e-7,
    }
    records = [
        cell({"A": e}, version=v, verdict=Verdict.DROP if e > 1e-4 else Verdict.OK)
        for v, e in errors.items()
    ]
    (cause,) = attribute(records, TOLERANCE)
    words = "from 20220729 to 20240102 (good in 20220420 and from 20250503)"
    assert version_words(cause) == words
    (until,) = attribute(records[1:], TOLERANCE)
    assert version_words(until) == "until 20240102, good from 20250503"


def test_cells_that_differ_in_nothing_known_prove_nothing() -> None:
    records = [
        cell({"A": 1e-3}, run="one"),
        cell({"A": 1e-7}, run="two"),
        cell({"A": 1e-7}, run="off", options={"use_fp16_storage": False}),
    ]
    assert attribute(records, TOLERANCE) == ()


def test_faults_that_meet_in_one_cell_stay_two_causes() -> None:
    def one(fp16: bool, bf16: bool, error: float) -> CellRecord:
        options = {"use_fp16_storage": fp16, "use_bf16_storage": bf16}
        return cell({"A": error}, run=f"{fp16}-{bf16}", options=options)

    records = [one(True, False, 1e-3), one(False, False, 1e-7), one(False, True, 2e-3)]
    both = one(True, True, 3e-3)
    words = [
        tuple(fix_words(r) for r in cause.fixes) for cause in attribute([*records, both], TOLERANCE)
    ]
    assert sorted(words) == [
        ("use_bf16_storage=false at run time",),
        ("use_bf16_storage=false together with use_fp16_storage=false at run time",),
        ("use_fp16_storage=false at run time",),
    ]


def test_a_table_of_ok_cells_has_no_causes() -> None:
    """Whatever makes a cell `ok` excuses its layers."""
    records = [
        cell({"A": 1e-3}, run="default", verdict=Verdict.OK),
        cell({"A": 1e-7}, run="off", options={"use_fp16_storage": False}, verdict=Verdict.OK),
    ]
    assert attribute(records, TOLERANCE) == ()


def test_an_ok_cell_with_an_error_of_its_own_is_no_proof_either() -> None:
    records = [
        cell({"A": 1e-3}, run="default"),
        cell({"A": 9e-4}, run="off", options={"use_fp16_storage": False}, verdict=Verdict.OK),
    ]
    (cause,) = attribute(records, TOLERANCE)
    assert cause.fixes == ()


@pytest.mark.parametrize(("floor", "found"), [(None, True), (1e-3, False)])
def test_faults_are_judged_as_verdicts_are(floor: float | None, found: bool) -> None:
    (layer,) = cell({"A": 1e-3}).layers
    noisy = layer.model_copy(update={"floor": floor})
    records = [
        cell({"A": 1e-3}).model_copy(update={"layers": (noisy,)}),
        cell({"A": 1e-7}, run="off", options={"use_fp16_storage": False}),
    ]
    assert bool(attribute(records, TOLERANCE)) is found


def test_the_converter_is_a_setting_like_others() -> None:
    records = [
        cell({"A": 1e-3}, converter="pnnx 20240819"),
        cell({"A": 1e-3}, converter="pnnx 20240819", run="x", options={"use_fp16_storage": False}),
        cell({"A": 1e-7}, converter="pnnx 20250530"),
        cell({"A": 1e-7}, converter="pnnx 20250530", run="x", options={"use_fp16_storage": False}),
    ]
    assert causes_of(records) == {
        "A": ["the model converted by pnnx 20250530 instead of converted by pnnx 20240819"]
    }


def test_versions_are_compared_with_the_same_converter() -> None:
    records = [
        cell({"A": 1e-3}, converter="pnnx 20240819"),
        cell({"A": 1e-7}, converter="pnnx 20250530", version="20261020"),
    ]
    assert causes_of(records) == {"A": []}


def test_a_layer_that_was_not_measured_by_itself_is_not_accused() -> None:
    """What it has in the chain may have come in from anywhere."""
    records = [
        cell({"A": 1e-3}, run="default", alone=False),
        cell({"A": 1e-7}, run="fp16-off", options={"use_fp16_storage": False}),
    ]
    assert causes_of(records) == {}


@pytest.mark.parametrize(("left", "told"), [(3.9e-5, False), (2.6e-5, False), (2e-5, True)])
def test_what_another_order_of_sums_may_do_is_no_evidence(left: float, told: bool) -> None:
    records = [
        cell({"A": 4.1e-5}),
        cell({"A": left}, run="x", options={"use_fp16_storage": False}, verdict=Verdict.OK),
    ]
    (cause,) = attribute(records, TOLERANCE)
    assert bool(cause.fixes) == told


def test_outputs_of_one_layer_are_told_apart() -> None:
    """The first of two outputs is wrong; the second, of the same layer, is as good as ever."""
    records = [
        record.model_copy(
            update={
                "layers": tuple(
                    layer.model_copy(update={"name": "a", "type": "A"}) for layer in record.layers
                )
            }
        )
        for record in (
            cell({"A": 1e-3, "B": 1e-7}),
            cell({"A": 1e-7, "B": 1e-7}, run="x", options={"use_fp16_storage": False}),
        )
    ]
    assert causes_of(records) == {"A": ["use_fp16_storage=false at run time"]}
