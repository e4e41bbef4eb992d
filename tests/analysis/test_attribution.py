from itertools import product

import pytest

from harness.analysis.attribution import Cause, attribute
from harness.domain.records import CellRecord, Verdict
from harness.domain.verdict import Tolerance
from harness.report.cause_text import cause_title, fix_evidence, fix_words, remedies
from tests.records import cell

TOLERANCE = Tolerance(layer=4e-5, absolute=0)
ON = {"NCNN_AVX2": "ON", "NCNN_F16C": "ON"}
OFF = {"NCNN_AVX2": "ON", "NCNN_F16C": "OFF"}


def causes_of(records: list[CellRecord]) -> dict[str, list[str]]:
    """Return the words of all fixes by layer type."""
    found: dict[str, list[str]] = {}
    for cause in attribute(records, TOLERANCE):
        found.setdefault(cause.layer_type, []).extend(fix_words(r) for r in cause.fixes)
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
    assert [(fix.supporting, fix.contradicting) for fix in cause.fixes] == [(4, 0)] * 2
    assert not any(fix.together for fix in cause.fixes)
    (evidence,) = {fix_evidence(fix) for fix in cause.fixes}
    assert evidence == "2.0e-3 → 3.0e-6, in the chain 4.0e-3 → 6.0e-6, 4 of 4 pairs"


def test_two_changes_needed_at_once() -> None:
    settings = product(("ON", "OFF"), (True, False), (True, False))
    errors = {s: 3e-6 if not s[1] and not s[2] else 2e-3 for s in settings}
    fixes = {fix_words(r): r for cause in attribute(grid(errors), TOLERANCE) for r in cause.fixes}
    both = fixes["use_fp16_storage=false together with use_packing_layout=false at run time"]
    assert both.together
    assert both.supporting == 4
    assert not fixes["use_fp16_storage=false at run time"].together


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
    assert causes_of(records) == {"A": ["ncnn is 20220420 instead of 20220729"]}


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


def test_exceptions_are_counted_and_named() -> None:
    records = [
        cell({"A": error}, version=version, run=run, options={"use_fp16_storage": fp16})
        for version, run, fp16, error in (
            ("v1", "default", True, 1e-3),
            ("v1", "off", False, 1e-7),
            ("v2", "default", True, 1e-3),
            ("v2", "off", False, 1e-3),
        )
    ]
    cause: Cause = next(c for c in attribute(records, TOLERANCE) if c.fixes)
    fix = next(r for r in cause.fixes if {s.axis for s in r.change} == {"run"})
    assert fix_evidence(fix).endswith("1 of 2 pairs; not enough in v2-avx2/off/short")


@pytest.mark.parametrize("verdict", [Verdict.BROKEN, Verdict.SKIPPED, Verdict.BUILD_FAILED])
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
    assert cause_title(cause).startswith(" (also A, C, D) loses precision: ")


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
    assert "use_fp16_storage=false at run time" in {fix_words(r) for r in lossy.fixes}
    assert "misread=false at run time" in {fix_words(r) for r in wrong.fixes}


def test_how_wrong_values_are_means_nothing() -> None:
    records = [
        cell({"InnerProduct": error}, version=version, run="late", options={"misread": True})
        for version, error in (("20220420", 1e-7), ("20220729", 3e33), ("20221014", 2e12))
    ]
    fixes = [r for cause in attribute(records, TOLERANCE) for r in cause.fixes]
    assert {r.error_after for r in fixes} == {1e-7}


def test_what_makes_a_fault_much_worse_is_a_cause_too() -> None:
    errors = {(False, False): 1e-6, (True, False): 1.5e-3, (True, True): 8e-2}
    records = [
        cell(
            {"Softmax": error},
            run=f"packed-{packed}-arithmetic-{arithmetic}",
            options={"use_fp16_packed": packed, "use_fp16_arithmetic": arithmetic},
        )
        for (packed, arithmetic), error in errors.items()
    ]
    first, second = attribute(records, TOLERANCE)
    assert [fix_words(r) for r in first.fixes] == ["use_fp16_packed=false at run time"]
    assert len(first.cells) == 2
    assert [fix_words(r) for r in second.fixes] == ["use_fp16_arithmetic=false at run time"]
    assert (second.fixes[0].error_before, second.fixes[0].error_after) == (8e-2, 1.5e-3)


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
    """Whatever makes a cell `ok` excuses its layers: the noise floor, the absolute allowance."""
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


@pytest.mark.parametrize(
    ("floor", "absolute", "found"),
    [(None, 0.0, True), (1e-3, 0.0, False), (None, 1e-2, False)],
)
def test_faults_are_judged_as_verdicts_are(
    floor: float | None, absolute: float, found: bool
) -> None:
    (layer,) = cell({"A": 1e-3}).layers
    noisy = layer.model_copy(update={"floor": floor})
    records = [
        cell({"A": 1e-3}).model_copy(update={"layers": (noisy,)}),
        cell({"A": 1e-7}, run="off", options={"use_fp16_storage": False}),
    ]
    tolerance = TOLERANCE.model_copy(update={"absolute": absolute})
    assert bool(attribute(records, tolerance)) is found


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
