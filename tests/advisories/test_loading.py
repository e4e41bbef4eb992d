"""Files of advisories: what is refused, and what is said of it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from harness.advisories.loading import corpus_folder, load_corpus, load_file
from harness.config.loading import toml_text
from harness.util.errors import ConfigError
from tests.advisories.entries import entry

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, *entries: dict[str, Any]) -> Path:
    path.write_text("".join(f"[[advisory]]\n{toml_text(each)}" for each in entries))
    return path


def test_a_valid_file_is_read_in_its_order(tmp_path: Path) -> None:
    path = written(tmp_path / "a.toml", entry(id="b"), entry(id="a"))
    assert [each.id for each in load_file(path)] == ["b", "a"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"titel": "x"}, "titel: unknown key, did you mean 'title'?"),
        ({"id": "Softmax Tail"}, "id: string should match"),
        ({"id": None}, "number 1: id: missing. Add it."),
        ({"title": ""}, "title: string should have at least 1 character"),
        ({"case": "Softmax:0=0:3x"}, "case: case 'Softmax:0=0:3x': '3x' is no shape"),
        ({"case": "ReLU::7"}, "case is of another type than Softmax"),
        ({"expect": "bad"}, "expect: input should be 'broken', 'drop'"),
        ({"error": "1.5"}, "error: input should be a valid number, not '1.5'"),
        ({"error": 0.0}, "error: input should be greater than 0"),
        ({"bad": ["2025"]}, "bad.0: give a release of ncnn by its date, such as 20250503"),
        ({"bad": "20250503"}, "bad: input should be a valid"),
        ({"bad": ["20250916", "20250428"]}, "bad: sort the releases, each once"),
        ({"bad": ["20250428", "20250428"]}, "bad: sort the releases, each once"),
        ({"bad": ["20241226", "20250428"]}, "a release is both in bad and in good"),
        ({"bad": []}, "bad is missing: name a release that has it"),
        ({"good": []}, "good is missing"),
        ({"measured": ["20250503"]}, "measured has more than bad and good"),
        ({"expect": "ok"}, 'expect = "ok" goes without bad'),
        ({"introduced": "main"}, "introduced: give a commit by 7 to 40 hexadecimal digits"),
        ({"advice": ""}, "advice is missing: say what to do"),
        ({"arch": []}, "arch: tuple should have at least 1 item"),
        ({"arch": ["x64"]}, "arch.0: input should be 'x86', 'arm', 'vulkan' or 'any'"),
        ({"when": "w %"}, "when: 'w %' is no expression"),
        ({"when": "thread > 1"}, "when: there is no name thread, did you mean threads?"),
        ({"when": "opt.use_packing"}, "there is no name opt.use_packing, did you mean opt.use_"),
        ({"when": "open('x')"}, "when: there is no function open; use min, max, abs, len"),
        ({"when": "p3 > 1"}, "defaults.p3 is missing: `when` asks for p3"),
        ({"when": "p11 > 1", "defaults": {"p11": "p1"}}, "defaults.p1 is missing"),
        ({"when": "n > 1", "let": {"n": "p3"}}, "defaults.p3 is missing"),
        ({"when": "a", "let": {"a": "b", "b": "w"}}, "a: uses a later one"),
        ({"when": "w", "let": {"w": "h"}}, "w: is a name already"),
    ],
)
def test_a_mistake_is_told_with_file_entry_and_key(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    path = written(tmp_path / "a.toml", entry(**changes))
    with pytest.raises(ConfigError) as refused:
        load_file(path)
    assert re.match(rf"{path}: advisory (softmax-tail|Softmax Tail|number 1): ", str(refused.value))
    assert words in str(refused.value)


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.toml", entry(id="a", title=""), entry(id="b", advice=None, error=0)
    )
    with pytest.raises(ConfigError) as refused:
        load_file(path)
    assert [line.split(": ")[1:3] for line in str(refused.value).splitlines()] == [
        ["advisory a", "title"],
        ["advisory b", "error"],
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("advisory = 1", "advisory: not known here"),
        ("[advisories]", "advisories: not known here. Write tables of the form [[advisory]]"),
        ("[[advisory]", "not valid TOML"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(words)):
        load_file(path)


def test_ids_are_unique_in_all_files(tmp_path: Path) -> None:
    first, second = (written(tmp_path / f"{name}.toml", entry()) for name in "ab")
    with pytest.raises(ConfigError, match=f"{second}: advisory softmax-tail: id: {first} has"):
        load_corpus(tmp_path)


def test_an_empty_folder_is_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no \.toml files there"):
        load_corpus(tmp_path)


def test_the_corpus_of_the_project_is_found() -> None:
    assert load_corpus() == load_corpus(corpus_folder())
