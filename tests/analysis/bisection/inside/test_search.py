"""The search inside a change, on made-up libraries that nobody has to compile."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.analysis.bisection.criterion import Criterion, Metric
from harness.analysis.bisection.inside.search import InsideSearch
from harness.config.rules import Rules
from harness.domain.outcomes import Event, Outcome
from tests.analysis.bisection.fake import FakeTester, point, subject, variant

if TYPE_CHECKING:
    from harness.analysis.bisection.bed import Variant
    from harness.analysis.bisection.history import Point
    from harness.analysis.bisection.inside.answer import InsideAnswer

GOOD, BAD = 1e-7, 1e-3
FAULTS = Callable[[set[str]], bool | Event]
"""What a library does with the words that its source has: whether it is bad, or what happens."""


def tree(root: Path, files: dict[str, list[str]]) -> Path:
    (root / "cmake").mkdir(parents=True)
    (root / "CMakeLists.txt").write_text("")
    for name, words in files.items():
        path = root / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        # What differs is far from each other, so that each word is a hunk of its own.
        path.write_text("".join(f"{word}\nkept\n" for word in words))
    return root


def words_of(root: Path) -> set[str]:
    text = "\n".join(path.read_text() for path in (root / "src").rglob("*.cpp"))
    return set(re.findall(r"\w+", text))


def searched(
    tmp_path: Path,
    older: dict[str, list[str]],
    newer: dict[str, list[str]],
    faults: FAULTS,
    becomes: Outcome = Outcome.BAD,
) -> tuple[InsideAnswer, FakeTester]:
    def value(where: Point, how: Variant, alone: bool) -> float | Event:
        del how, alone
        found = faults(words_of(Path(where.revision.name)))
        return found if isinstance(found, Event) else BAD if found else GOOD

    tester = FakeTester(value=value)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    search = InsideSearch(
        tester=tester.real,
        subject=subject(alone=True),
        variant=variant(),
        criterion=Criterion(metric=Metric.SCALE_RELATIVE, threshold=1e-5, rules=Rules()),
        trees=(tree(tmp_path / "older", older), tree(tmp_path / "newer", newer)),
        after=point(7),
        becomes=becomes,
        scratch=scratch,
        say=lambda _: None,
    )
    answer = search.run()
    assert list(scratch.iterdir()) == []
    return answer, tester


def changed(count: int, files: int = 3) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Return a library before and after a change of so many words in each of some files."""
    older = {f"f{n}.cpp": [f"old_{n}_{i}" for i in range(count)] for n in range(files)}
    newer = {f"f{n}.cpp": [f"new_{n}_{i}" for i in range(count)] for n in range(files)}
    return older, newer


def test_one_line_of_many_is_found(tmp_path: Path) -> None:
    older, newer = changed(20, files=8)
    answer, tester = searched(tmp_path, older, newer, lambda words: "new_5_13" in words)
    assert (answer.level, answer.parts) == ("hunks", ("src/f5.cpp:27",))
    assert "-old_5_13\n+new_5_13" in answer.diff
    assert "new_5_12" not in answer.diff.replace(" new_5_12", "")
    assert answer.evidence[0].startswith("without src/f5.cpp:27: good")
    assert answer.evidence[1].startswith("with nothing else of the change: bad")
    assert (answer.of_hunks, answer.of_files) == (160, 8)
    assert answer.measurements == tester.measurements <= 30


def test_three_faults_that_only_together_show_in_two_files(tmp_path: Path) -> None:
    older, newer = changed(12)
    guilty = {"new_0_3", "new_0_9", "new_2_4"}
    answer, _ = searched(tmp_path, older, newer, lambda words: guilty <= words)
    # Taking any of them back is enough, and none of them does it alone.
    assert answer.level == "hunks"
    assert answer.parts == ("src/f0.cpp:7", "src/f0.cpp:19", "src/f2.cpp:9")
    assert "with src/f0.cpp, src/f2.cpp and nothing else: bad" in answer.evidence[2]
    assert answer.evidence[-1].startswith("without any of these: good")


def test_what_does_not_hold_on_both_sides_ends_at_files(tmp_path: Path) -> None:
    older, newer = changed(8)

    def faults(words: set[str]) -> bool:
        # Each of two pairs is enough, and they share nothing.
        return {"new_0_1", "new_0_5"} <= words or {"new_0_2", "new_0_6"} <= words

    answer, _ = searched(tmp_path, older, newer, faults)
    assert (answer.level, answer.parts) == ("files", ("src/f0.cpp",))
    assert answer.evidence[-1].startswith("without any of these: bad")


def test_three_faults_that_each_show_are_all_named(tmp_path: Path) -> None:
    older, newer = changed(12)
    guilty = {"new_0_3", "new_0_9", "new_2_4"}
    answer, _ = searched(tmp_path, older, newer, lambda words: bool(guilty & words))
    assert answer.level == "hunks"
    assert answer.parts == ("src/f0.cpp:7", "src/f0.cpp:19", "src/f2.cpp:9")


def test_what_does_not_compile_alone_is_named_with_what_it_needs(tmp_path: Path) -> None:
    older, newer = changed(10)

    def faults(words: set[str]) -> bool | Event:
        if "new_1_4" in words and "new_2_0" not in words:
            return Event.BUILD_FAILED
        return "new_1_4" in words

    answer, _ = searched(tmp_path, older, newer, faults)
    assert (answer.level, answer.parts) == ("hunks", ("src/f1.cpp:9",))
    assert "build-failed" in answer.evidence[1] or "build" in answer.evidence[1]
    assert answer.evidence[2].startswith("with src/f1.cpp and nothing else: skip")


def test_a_new_file_and_the_line_that_calls_it(tmp_path: Path) -> None:
    older, newer = changed(6)
    newer["kernel.cpp"] = ["kernel"]

    def faults(words: set[str]) -> bool | Event:
        if "new_1_2" in words and "kernel" not in words:
            return Event.BUILD_FAILED
        return "new_1_2" in words

    answer, _ = searched(tmp_path, older, newer, faults)
    assert (answer.level, answer.parts) == ("hunks", ("src/f1.cpp:5",))


def test_what_repaired_it_is_found_as_well(tmp_path: Path) -> None:
    older, newer = changed(9)
    answer, _ = searched(
        tmp_path, older, newer, lambda words: "new_1_7" not in words, becomes=Outcome.GOOD
    )
    assert (answer.level, answer.parts) == ("hunks", ("src/f1.cpp:15",))
    assert answer.evidence[0].startswith("without src/f1.cpp:15: bad")


def test_where_what_is_built_does_not_differ_as_told_nothing_is_accused(tmp_path: Path) -> None:
    older, newer = changed(3)
    answer, _ = searched(tmp_path, older, newer, lambda _: False)
    assert answer.parts == ()
    assert answer.note.startswith("not looked inside: in what is built, before is good")


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_named_is_what_the_change_does(tmp_path: Path, seed: int) -> None:
    """Both sides of an answer hold in the made-up library itself."""
    import random

    chance = random.Random(seed)
    older, newer = changed(chance.randint(1, 12), files=chance.randint(1, 4))
    new = sorted(word for words in newer.values() for word in words)
    sets = [set(chance.sample(new, min(len(new), chance.randint(1, 3)))) for _ in range(2)]
    needs = dict(
        zip(chance.sample(new, len(new) // 3), chance.sample(new, len(new) // 3), strict=False)
    )

    def faults(words: set[str]) -> bool | Event:
        if any(word in words and other not in words for word, other in needs.items()):
            return Event.BUILD_FAILED
        return any(guilty <= words for guilty in sets)

    answer, _ = searched(tmp_path, older, newer, faults)
    named = {line[1:] for line in answer.diff.splitlines() if line.startswith("+new")}
    everything = set(new)
    assert faults(everything - named) is False
    if answer.level != "hunks":
        assert faults(named) is True
