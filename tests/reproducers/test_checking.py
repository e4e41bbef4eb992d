"""Which builds a reproducer is tried on, and what becomes of those that cannot be made."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.build.programs import BothRan, Program, Ran
from harness.reproducers import checking
from harness.reproducers.checking import Checker
from harness.reproducers.texts import files_of
from harness.util.build_store import Store
from harness.util.errors import BuildError, MachineError
from tests.reproducers.sides import SIDES, TWO, reproducer, run, side

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.domain.spec import BuildSpec, FlagSet
    from harness.reproducers.outcome import SideOutcome
    from harness.reproducers.reproducer import Side

OK = "[{}] out0: max error 1e-08 (limit 3.9e-05) at [0], 1 instead of 1: ok\n"
FAIL = OK.replace("ok", "FAIL")


@dataclass
class FakeResolver:
    """Plans what it is asked for, as it is."""

    store: Store
    builder: object = None
    lacks: str = ""
    asked: list[BuildSpec] = field(default_factory=list)

    def lacking(self, flags: FlagSet) -> str:
        return self.lacks

    def plan(self, spec: BuildSpec) -> BuildSpec:
        self.asked.append(spec)
        return spec


def check(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sides: tuple[Side, ...],
    said: Mapping[str, str],
    lacks: str = "",
) -> tuple[list[SideOutcome], list[BuildSpec]]:
    """Return what is found where programs say something on each version, and what was built."""
    resolver = FakeResolver(store=Store(root=tmp_path), lacks=lacks)

    def compile_and_run(_: Any, plan: Any, program: Program, **more: Any) -> BothRan:
        output = said[plan.revision.label]
        if not output:
            raise BuildError("it failed", first_error="x.cpp: error")
        assert program.layer == "Softmax"
        ran = Ran(output=output, fate="exit code 0")
        return BothRan(alone=ran, test=ran if more["tests"] else None)

    monkeypatch.setattr(checking, "compile_and_run", compile_and_run)
    monkeypatch.setattr(checking, "_command_of", lambda *_: None)
    monkeypatch.setattr(
        checking,
        "obtain_tests",
        lambda revision, **_: Path("t") if revision.kind == "git" else None,
    )
    made = reproducer("Softmax:0=0:3x7", *sides)
    checker = Checker(resolver=resolver, logs=tmp_path)  # type: ignore[arg-type]
    return checker.check(made, files_of(made, b"", kib=64)), resolver.asked


def test_each_side_has_its_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "num_threads=2"
    said = {"20241226": OK.format(name), "20250503": FAIL.format(name)}
    found, asked = check(tmp_path, monkeypatch, SIDES, said)
    assert [(each.alone.fate, each.test.fate) for each in found] == [
        ("passes", "passes"),
        ("fails", "fails"),
    ]
    assert [spec.revision.label for spec in asked] == ["20241226", "20250503"]
    assert all(("NCNN_BUILD_TESTS", "ON") in spec.flags.options for spec in asked)
    assert all(spec.layers == frozenset({"Input", "Softmax"}) for spec in asked)


def test_two_sets_of_options_share_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = (side("1", run("off", lightmode=False)), side("1", run("on"), bad=True))
    output = OK.format("num_threads=1,lightmode=false") + FAIL.format("num_threads=1")
    found, asked = check(tmp_path, monkeypatch, sides, {"1": output})
    assert [each.alone.fate for each in found] == ["passes", "fails"]
    assert len(asked) == 1


def test_releases_of_the_index_have_no_tests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = (side("1", TWO, bad=True, kind="index"),)
    (found,), (asked,) = check(tmp_path, monkeypatch, sides, {"1": FAIL.format("num_threads=2")})
    assert (found.alone.fate, found.test.fate) == ("fails", "not tried")
    assert "--repo" in found.test.detail
    assert asked.flags == sides[0].flags


def test_ncnn_that_does_not_compile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = check(tmp_path, monkeypatch, SIDES, {"20241226": "", "20250503": "x"})
    assert found[0].alone.fate == found[0].test.fate == "not compiled"
    assert found[0].alone.detail == "ncnn itself: x.cpp: error"
    assert found[1].alone.fate == "crashes"


def test_a_cpu_that_lacks_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = replace(SIDES[1], flags=replace(SIDES[1].flags, name="avx512"))
    with pytest.raises(MachineError, match="avx512: this CPU lacks avx512f"):
        check(tmp_path, monkeypatch, (lacking,), {}, "this CPU lacks avx512f")
