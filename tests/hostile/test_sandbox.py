"""What proves that nothing is written elsewhere proves it: what does write is stopped and told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.hostile import namespace
from tests.hostile.case import Hostile
from tests.hostile.judging import faults
from tests.hostile.sandbox import Sandbox
from tests.hostile.table.records import LINE, run

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = Sandbox(tmp_path_factory.mktemp("hostile"))
    yield made
    made.close()


def report(to: str, **more: object) -> Hostile:
    words = ("report", "results/r", "--out", to)
    return Hostile(id="x", kind="x", words=words, make=run(f"{LINE}\n"), **more)  # type: ignore[arg-type]


def test_what_is_written_in_its_place_is_fine(sandbox: Sandbox) -> None:
    case = report("results/r/x.html", ends=frozenset({0}))
    assert not list(faults(case, sandbox.run(case)))
    assert (sandbox.place / "results" / "r" / "x.html").is_file()


@pytest.mark.parametrize("elsewhere", ["{here}/x.html", "{here}/home/.x/y.html"])
@pytest.mark.parametrize("program", [False, True])
def test_what_is_written_elsewhere_is_stopped(
    sandbox: Sandbox, elsewhere: str, program: bool
) -> None:
    if not namespace.is_possible():
        pytest.skip("this system lets users have no mount namespaces")
    case = report(elsewhere, ends=frozenset({0, 3}), program=program)
    happened = sandbox.run(case)
    assert any("tried to write" in fault for fault in faults(case, happened))
    assert not (sandbox.place / "x.html").exists()
    assert not (sandbox.place / "home" / ".x").exists()


def test_what_is_written_elsewhere_is_told_without_mounts_too(sandbox: Sandbox) -> None:
    case = report("{here}/x.html", ends=frozenset({0, 3}))
    assert f"write {sandbox.place}" in " ".join(sandbox.run(case).events)


def test_what_takes_too_long_is_ended(sandbox: Sandbox) -> None:
    case = report("results/x.html", seconds=0.01)
    assert "still runs after 0 s" in list(faults(case, sandbox.run(case)))
