import pytest

from harness.analysis.bisection.bed import Variant
from harness.analysis.bisection.configurations import (
    Comparison,
    ComparisonResult,
    differences,
    evidence,
    mixed,
)
from harness.analysis.bisection.history import Point
from harness.analysis.bisection.search_driver import Terms
from harness.domain.spec import FlagSet, RunSpec
from harness.util.errors import NotReproducibleError, UsageError
from tests.analysis.bisection.fake import FakeTester, point, subject

KNOWN = frozenset({"NCNN_SSE2", "NCNN_AVX", "NCNN_AVX2", "NCNN_F16C"})
DEFAULTS = {"use_fp16_storage": True, "use_packing_layout": True, "num_threads": 1}


def a_setting(flags: str, run: dict[str, bool], *, threads: int = 1) -> Variant:
    options = {name: "ON" if name[5:] in flags.split() else "OFF" for name in KNOWN}
    options["NCNN_UNHEARD_OF"] = flags
    return Variant(
        flags=FlagSet(name=flags or "none", options=tuple(sorted(options.items()))),
        run=RunSpec(name="r", options=tuple(sorted(run.items())), threads=threads),
    )


GOOD = a_setting("SSE2", {"use_fp16_storage": False, "use_packing_layout": False})
BAD = a_setting("SSE2 AVX AVX2 F16C", {}, threads=2)


def compare(*names: str, good: Variant = GOOD, bad: Variant = BAD) -> ComparisonResult:
    """Search where only these settings together, as the bad side has them, make an error."""

    def value(_: Point, how: Variant, __: bool) -> float:
        run = {**DEFAULTS, **dict(how.run.options), "num_threads": how.run.threads}
        options = dict(how.flags.options)
        active = {name for name in names if options.get(name) == "ON"}
        active |= {name for name in names if run.get(name) is True or run.get(name) == 2}
        return 1e-2 if active == set(names) else 1e-6

    return Comparison(
        tester=FakeTester(value, by_setting=True).real,
        subject=subject(alone=True),
        point=point(0),
        good=good,
        bad=bad,
        terms=Terms(),
        listener=lambda _: None,
    ).run(differences(good, bad, known=KNOWN, defaults=DEFAULTS))


def test_differences_are_those_that_the_version_knows() -> None:
    found = differences(GOOD, BAD, known=KNOWN, defaults=DEFAULTS)
    assert [(each.kind, str(each), each.fix) for each in found] == [
        ("run", "use_fp16_storage=true", "use_fp16_storage=false"),
        ("run", "use_packing_layout=true", "use_packing_layout=false"),
        ("run", "num_threads=2", "num_threads=1"),
        ("build", "NCNN_AVX=ON", "NCNN_AVX=OFF"),
        ("build", "NCNN_AVX2=ON", "NCNN_AVX2=OFF"),
        ("build", "NCNN_F16C=ON", "NCNN_F16C=OFF"),
    ]


@pytest.mark.parametrize(
    "needed",
    [("NCNN_F16C", "use_fp16_storage"), ("num_threads",), ("NCNN_AVX", "NCNN_AVX2", "NCNN_F16C")],
)
def test_what_is_needed_is_found_together(needed: tuple[str, ...]) -> None:
    compared = compare(*needed)
    assert len(compared.sets) == 1
    assert {item.name for item in compared.sets[0].items} == set(needed)
    assert {each.items[0].name for each in compared.reverts} == set(needed)
    lines = evidence(compared)
    assert lines[0].endswith("applied: 0.01")
    assert all(line.endswith("1e-6, good") for line in lines[1:])
    assert len(lines) == 1 + len(needed)


def test_mixtures_keep_the_builds_of_the_ends() -> None:
    every = differences(GOOD, BAD, known=KNOWN, defaults=DEFAULTS)
    run_only = [each for each in every if each.kind == "run"]
    assert mixed(GOOD, BAD, run_only).flags == GOOD.flags
    assert mixed(GOOD, BAD, run_only).run.threads == 2
    assert mixed(GOOD, BAD, run_only).run.options == ()
    half = mixed(GOOD, BAD, [every[-1]])
    assert dict(half.flags.options)["NCNN_F16C"] == "ON"
    assert dict(half.flags.options)["NCNN_AVX2"] == "OFF"
    assert half.run.options == GOOD.run.options
    assert half.flags.name != mixed(GOOD, BAD, [every[-2]]).flags.name


def test_configurations_that_answer_nothing() -> None:
    with pytest.raises(UsageError, match="same settings"):
        compare("NCNN_F16C", bad=GOOD)
    with pytest.raises(UsageError, match="worse than the bad"):
        compare("NCNN_F16C", good=BAD, bad=GOOD)
    with pytest.raises(NotReproducibleError, match="1e-6"):
        compare("NCNN_SSE2", "NCNN_RARE")
