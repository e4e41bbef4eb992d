from __future__ import annotations

import pytest

from harness.domain.records import CellRecord, Verdict
from harness.domain.verdict import Tolerance
from harness.report.advice import recommend, verdict_sentence
from harness.report.dataset import scopes
from harness.report.model import assemble
from tests.report.synthetic import cell, matrix

NEW, OLD = "20261020", "20220420"


def some(*places: tuple[str, str, str]) -> list[CellRecord]:
    return [cell(*place, item, layers=7) for place in places for item in ("short", "long")]


def faster(record: CellRecord, milliseconds: float) -> CellRecord:
    return record.model_copy(update={"latency_ms": milliseconds})


def sentence(records: list[CellRecord]) -> str:
    (scope,) = scopes(records)
    return verdict_sentence(scope)


def test_fastest_precise_configuration_of_the_newest_version_is_recommended() -> None:
    best = recommend(matrix(layers=7))
    assert best is not None
    assert (best.version, best.flags, best.run) == (NEW, "avx512", "fp16-off")
    assert best.error == pytest.approx(3.6e-6 * 1.3 / 8)
    assert best.latency_ms == pytest.approx(9.8)
    assert best.options == {
        "use_fp16_arithmetic": False,
        "use_fp16_packed": False,
        "use_fp16_storage": False,
    }
    assert [record.input for record in best.records] == ["short", "long"]
    assert {(r.flags, r.run) for r in best.rival} == {("avx512", "default")}
    assert {(r.flags, r.run) for r in best.plain} == {("avx512", "default")}
    assert best.plain_ms is not None
    assert best.latency_ms is not None
    assert best.plain_ms < best.latency_ms


def test_one_input_that_drops_disqualifies() -> None:
    records = some((NEW, "sse2", "default"), (NEW, "avx2-nof16c", "default"))
    records[2] = records[2].model_copy(update={"verdict": Verdict.DROP})
    best = recommend(records)
    assert best is not None
    assert best.flags == "sse2"


def test_a_missing_input_disqualifies() -> None:
    records = some((NEW, "sse2", "default"), (NEW, "avx2-nof16c", "default"))[:-1]
    best = recommend(records)
    assert best is not None
    assert best.flags == "sse2"


def test_an_older_version_is_recommended_where_the_newest_has_nothing() -> None:
    best = recommend(some((NEW, "avx2", "default"), (OLD, "avx2", "default")))
    assert best is not None
    assert (best.version, best.newest) == (OLD, NEW)


def test_within_noise_the_configuration_that_changes_least_wins() -> None:
    plain = [faster(r, 10.3) for r in some((NEW, "sse2", "default"))]
    changed = [faster(r, 10.0) for r in some((NEW, "sse2", "fp16-off"))]
    best = recommend(plain + changed)
    assert best is not None
    assert best.run == "default"
    best = recommend([faster(r, 13.0) for r in plain] + changed)
    assert best is not None
    assert best.run == "fp16-off"


def test_nothing_is_recommended_where_nothing_is_precise() -> None:
    assert recommend(some((NEW, "avx2", "default"))) is None


def test_latencies_of_two_machines_are_not_compared() -> None:
    with pytest.raises(ValueError, match="unpack"):
        recommend([*some((NEW, "sse2", "default")), cell(NEW, "sse2", "default", "x", machine="m")])


def test_sentence_names_run_options_build_and_clean_versions() -> None:
    assert sentence(matrix(layers=7)) == (
        "20261020: use it with use_fp16_arithmetic, use_fp16_packed and use_fp16_storage set to "
        "false, or build it as avx2-nof16c (NCNN_F16C=OFF); 20220420 is clean by default"
    )


def test_sentence_of_a_precise_version_says_what_to_avoid() -> None:
    records = some((NEW, "sse2", "default"), (NEW, "sse2", "bf16"))
    assert sentence(records) == (
        "20261020: precise with ncnn's default options in the build; avoid bf16"
    )


def test_sentence_says_where_a_run_option_is_not_enough() -> None:
    records = some(
        (NEW, "avx2", "default"),
        (NEW, "avx2", "fp16-off"),
        (NEW, "avx512", "default"),
    )
    assert sentence(records).endswith("set to false (enough for avx2)")


def test_sentence_where_nothing_is_precise() -> None:
    records = some((NEW, "avx2", "default"))
    assert sentence(records) == "20261020: no configuration tried here is precise"
    records += some((OLD, "avx2", "fp16-off"))
    assert sentence(records).endswith("precise; use 20220420 built as avx2 and run with fp16-off")


def test_sentence_where_only_a_combination_is_precise() -> None:
    records = some((NEW, "avx2", "default"), (NEW, "avx2-nof16c", "packing-off"))
    assert "only in some configurations, the fastest of them built as avx2-nof16c" in sentence(
        records
    )


def test_sentence_where_nothing_was_measured() -> None:
    assert sentence(some((OLD, "avx512", "default"))) == "20220420: nothing could be measured"


def test_causes_of_the_newest_version_come_first() -> None:
    (part,) = assemble(matrix(layers=7), title="", tolerance=Tolerance()).parts
    past = [part.is_past(cause) for cause in part.causes]
    assert past == sorted(past)
    assert set(part.causes) == set(part.summary.causes)


def test_texts_are_counted() -> None:
    record = matrix(layers=1)[0]
    good = record.model_copy(update={"text": "识别", "reference_text": "识别"})
    bad = good.model_copy(update={"cell": "other", "text": "识"})
    (part,) = assemble([good, bad], title="", tolerance=Tolerance()).parts
    assert part.texts == "same text as ONNX Runtime in 1 of 2 cells"
    plain = record.model_copy(update={"text": "", "reference_text": ""})
    (part,) = assemble([plain], title="", tolerance=Tolerance()).parts
    assert part.texts == ""


def test_files_of_another_model_come_first() -> None:
    fine = next(record for record in matrix() if record.verdict is Verdict.OK)
    records = [fine.model_copy(update={"verdict": Verdict.MODEL_DIFFERS})]
    assert verdict_sentence(scopes(records)[0]).startswith(
        "The .param and .bin are not the ONNX model. "
    )
    nothing = [record.model_copy(update={"output": None}) for record in records]
    assert "could not be compared" in verdict_sentence(scopes(nothing)[0])


def test_what_was_compared_with_nothing_is_not_recommended() -> None:
    fine = next(record for record in matrix() if record.verdict is Verdict.OK)
    differs = fine.model_copy(update={"verdict": Verdict.MODEL_DIFFERS})
    assert recommend([differs]) is not None
    assert recommend([differs.model_copy(update={"output": None})]) is None
