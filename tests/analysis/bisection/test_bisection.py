"""A bisection from beginning to end, without a compiler: what each revision gives is a function."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.analysis.bisection import bisection as module
from harness.analysis.bisection.bisection import Bisection
from harness.analysis.bisection.search_driver import Terms
from harness.domain.outcomes import Event
from harness.domain.spec import RunSpec
from harness.domain.verdict import Tolerance
from harness.util.errors import NotReproducibleError, UsageError
from tests.analysis.bisection.fake import FakeResolver, FakeTester, points, subject, variant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.submodel import Subject

GOOD, BAD = 1e-7, 1e-3
ON: dict[str, bool | int] = {
    "use_fp16_storage": True,
    "use_packing_layout": True,
    "lightmode": True,
}


def bisection(tester: FakeTester, said: list[str], **changes: Any) -> Bisection:
    plain = Bisection(
        tester=tester.real,
        variant=variant(NCNN_AVX2="ON"),
        terms=Terms(),
        layer="",
        whole_model=False,
        explain=False,
        clone=None,
        listener=lambda _: None,
        say=said.append,
        compared=lambda _: None,
    )
    return replace(plain, **changes)


def since(first: int, bad: Callable[[Variant], bool] = lambda _: True) -> Any:
    """Return values that are bad from a revision on, where the variant is as `bad` says."""

    def value(where: Point, how: Variant, alone: bool) -> float:
        del alone
        return BAD if int(where.id) >= first and bad(how) else GOOD

    return value


def run_option(how: Variant, name: str) -> bool:
    return bool(dict(how.run.options).get(name, True))


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Replace what writes a part of a model to disk; the list has the layers asked for."""
    asked: list[tuple[str, ...]] = []

    def part_of(whole: Subject, names: Any, *_: Any) -> Subject:
        del whole
        asked.append(tuple(names))
        return subject(alone=True)

    monkeypatch.setattr(module, "part_of", part_of)
    return asked


def test_layer_at_fault_is_found_by_itself_and_measured_alone(
    parts: list[tuple[str, ...]],
) -> None:
    said: list[str] = []
    found = bisection(FakeTester(since(5)), said).among(points(12))
    assert (found.found, found.release, found.becomes) == (
        True,
        points(12)[5].revision.label,
        "bad",
    )
    assert parts == [("fc",)]
    assert any("running the whole model" in line for line in said)


def test_without_a_layer_beyond_its_limit_the_output_is_measured(
    parts: list[tuple[str, ...]],
) -> None:
    lenient = Terms(tolerance=Tolerance(layer=1.0))
    said: list[str] = []
    found = bisection(FakeTester(since(3)), said, terms=lenient).among(points(8))
    assert found.subject == "the whole model"
    assert parts == []
    assert any("no layer is beyond tolerance" in line for line in said)


def test_layer_that_is_alike_at_both_ends_gives_way_to_the_one_that_grew(
    parts: list[tuple[str, ...]],
) -> None:
    def value(where: Point, _: Variant, alone: bool) -> float:
        # Alone, the first choice is as bad everywhere; in the whole model the layer grows.
        return BAD if (alone and len(parts) == 1) or int(where.id) >= 4 else GOOD

    said: list[str] = []
    tester = FakeTester(value, by_setting=True)
    found = bisection(tester, said).among(points(9))
    assert found.release == points(9)[4].revision.label
    assert len(parts) == 2
    assert any("alike at both ends" in line for line in said)


@pytest.mark.usefixtures("parts")
def test_conditions_and_fix_are_those_that_the_error_needs() -> None:
    tester = FakeTester(
        since(2, lambda how: run_option(how, "use_fp16_storage")), by_setting=True, options=ON
    )
    found = bisection(tester, []).among(points(6))
    assert found.needs == ("use_fp16_storage=true",)
    assert found.enough == (("use_fp16_storage=true",),)
    assert found.cures == (("use_fp16_storage=false",),)
    assert found.run_cure == "use_fp16_storage=false"


@pytest.mark.usefixtures("parts")
def test_of_two_options_that_suffice_none_is_needed_and_both_are_the_cure() -> None:
    def bad(how: Variant) -> bool:
        return run_option(how, "use_fp16_storage") or run_option(how, "use_packing_layout")

    tester = FakeTester(since(2, bad), by_setting=True, options=ON)
    found = bisection(tester, []).among(points(6))
    assert found.needs == ()
    assert found.enough == (("use_fp16_storage=true",), ("use_packing_layout=true",))
    assert found.cures == (("use_fp16_storage=false", "use_packing_layout=false"),)
    assert found.run_cure == "use_fp16_storage=false,use_packing_layout=false"


@pytest.mark.usefixtures("parts")
def test_threads_are_among_the_conditions() -> None:
    tester = FakeTester(since(2, lambda how: how.run.threads == 2), by_setting=True, options=ON)
    two = replace(variant(), run=RunSpec(name="two", threads=2))
    found = bisection(tester, [], variant=two).among(points(6))
    assert (found.needs, found.cures) == (("num_threads=2",), (("num_threads=1",),))
    assert found.run_cure == ""  # not an option of ncnn that `--run` takes


@pytest.mark.usefixtures("parts")
def test_what_cures_the_change_and_not_the_bad_end_is_no_cure() -> None:
    def value(where: Point, how: Variant, alone: bool) -> float:
        if int(where.id) >= 5 and not run_option(how, "use_packing_layout"):
            return BAD
        bad = int(where.id) >= 2 and run_option(how, "use_packing_layout")
        return BAD if bad else GOOD

    found = bisection(FakeTester(value, by_setting=True, options=ON), []).among(points(6))
    assert found.needs == ("use_packing_layout=true",)
    assert (found.cures, found.run_cure) == ((), "")
    assert f"no cure: use_packing_layout=false: 1e-7, at the worse end {BAD:g}" in found.evidence


@pytest.mark.usefixtures("parts")
def test_cure_is_within_tolerance_whatever_the_threshold() -> None:
    def value(where: Point, how: Variant, _: bool) -> float:
        worse = 1.0 if run_option(how, "use_packing_layout") else 5e-3
        return worse if int(where.id) >= 2 else 1e-3

    tester = FakeTester(value, by_setting=True, options=ON)
    found = bisection(tester, []).among(points(6))
    assert found.threshold == pytest.approx(1e-3**0.5)
    assert found.needs == ("use_packing_layout=true",)
    assert found.cures == ()


@pytest.mark.usefixtures("parts")
def test_what_no_run_option_changes_says_so() -> None:
    found = bisection(FakeTester(since(2), by_setting=True, options=ON), []).among(points(6))
    assert (found.needs, found.enough, found.cures, found.run_cure) == ((), (), (), "")
    (line,) = found.evidence
    assert line == "with every run option switched off and one thread it shows, too: 0.001"


@pytest.mark.usefixtures("parts")
def test_explaining_looks_at_build_options_too(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text("option(NCNN_AVX2 x)\noption(NCNN_VULKAN x)\n")
    tester = FakeTester(
        since(2, lambda how: ("NCNN_AVX2", "ON") in how.flags.options),
        by_setting=True,
        resolver=FakeResolver(tree=tmp_path),
    )
    asked = variant(NCNN_AVX2="ON", NCNN_VULKAN="ON")
    found = bisection(tester, [], explain=True, variant=asked).among(points(6))
    # Without Vulkan there would be no device to run on: it is none of the differences.
    assert found.needs == ("NCNN_AVX2=ON",)


@pytest.mark.usefixtures("parts")
def test_releases_alone_are_gone_through_backwards() -> None:
    said: list[str] = []
    found = bisection(FakeTester(since(9)), said).releases(points(12))
    assert found.release == points(12)[9].revision.label
    tried = [line for line in said if "scale_relative" in line]
    assert len(tried) < 6  # doubling steps, not every release


@pytest.mark.usefixtures("parts")
def test_releases_that_were_never_better_are_an_error() -> None:
    with pytest.raises(NotReproducibleError, match="no release before"):
        bisection(FakeTester(since(0)), []).releases(points(5))


@pytest.mark.usefixtures("parts")
def test_a_crash_at_the_bad_end_is_what_is_looked_for() -> None:
    def value(where: Point, _: Variant, __: bool) -> float | Event:
        return Event.RUN_FAILED if int(where.id) >= 3 else GOOD

    said: list[str] = []
    found = bisection(FakeTester(value), said).among(points(7))
    assert found.release == points(7)[3].revision.label
    assert any("no layer can be told there" in line for line in said)


@pytest.mark.usefixtures("parts")
def test_two_configurations_of_one_version_are_compared(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text("option(NCNN_AVX2 x)\n")
    tester = FakeTester(
        since(0, lambda how: run_option(how, "use_fp16_storage")),
        by_setting=True,
        options=ON,
        resolver=FakeResolver(tree=tmp_path),
    )
    off = RunSpec(name="off", options=(("lightmode", False), ("use_fp16_storage", False)))
    plain = bisection(tester, [])
    _, compared = plain.compare(points(1)[0], replace(plain.variant, run=off))
    assert [str(item) for item in compared.sets[0].items] == ["use_fp16_storage=true"]
    assert len(compared.differences) == 2


@pytest.mark.usefixtures("parts")
def test_configurations_for_different_machines_cannot_be_mixed(tmp_path: Path) -> None:
    (tmp_path / "CMakeLists.txt").write_text("option(NCNN_AVX2 x)\n")
    tester = FakeTester(since(0), by_setting=True, resolver=FakeResolver(tree=tmp_path))
    plain = bisection(tester, [])
    from tests.build.test_plan import BOARD

    other = replace(plain.variant, flags=replace(plain.variant.flags, target=BOARD))
    with pytest.raises(UsageError, match="for different machines"):
        plain.compare(points(1)[0], other)
