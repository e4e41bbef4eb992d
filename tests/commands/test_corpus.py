"""The command `corpus`: what is chosen, and what is planned."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.__main__ import main
from harness.advisories.loading import load_corpus
from harness.analysis.bisection.history import index_point
from harness.analysis.corpus.trials import Role
from harness.commands import corpus
from harness.config.loading import load_config, toml_text
from harness.util.errors import EXIT_USAGE
from tests.advisories.entries import entry

CONFIG = Path(__file__).parents[2] / "configs" / "default.toml"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two advisories, for two sets of build flags."""
    entries = (
        entry(fix="num_threads=1"),
        entry(id="softmax-arm", flags="arm64", fix="NCNN_ARM82=OFF"),
    )
    text = "".join(f"[[advisory]]\n{toml_text(each)}" for each in entries)
    (tmp_path / "a.toml").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--only", "relu*"], "no advisory has such an id. There are softmax-tail, softmax-arm."),
        (["--flags", "sse2"], "none of these advisories. There are avx2, arm64."),
    ],
)
def test_what_chooses_nothing_is_refused(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["corpus", "--corpus", str(folder), "--config", str(CONFIG), *words]) == EXIT_USAGE
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("versions", "runs", "left_out"),
    [
        (
            [],
            [
                ("20250428", "avx2", "num_threads=2", Role.BAD),
                ("20250428", "avx2", "num_threads=2,num_threads=1", Role.FIX),
                ("20260113", "avx2", "num_threads=2", Role.GOOD),
                ("20250428", "arm64", "num_threads=2", Role.BAD),
                ("20260113", "arm64", "num_threads=2", Role.GOOD),
            ],
            ["20241226", "20250916"],
        ),
        (
            ["20260113", "20250916"],
            [
                ("20260113", "avx2", "num_threads=2", Role.GOOD),
                ("20260113", "arm64", "num_threads=2", Role.GOOD),
            ],
            ["20250916"],
        ),
    ],
)
def test_what_is_planned_without_a_clone(
    folder: Path,
    versions: list[str],
    runs: list[tuple[str, str, str, Role]],
    left_out: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known = [index_point(label) for label in ("20250428", "20260113", "20261020")]
    monkeypatch.setattr(corpus, "index_releases", lambda: known)
    planned, missing = corpus.planned(load_corpus(folder), load_config(CONFIG), None, versions)
    found = [(t.place.name, t.flags.name, t.run.name, t.role) for t in planned]
    assert found == runs
    assert [words.split()[0] for words in missing] == left_out
    assert all(names == ["softmax-tail", "softmax-arm"] for names in missing.values())


def test_an_entry_with_unknown_flags_is_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(corpus, "index_releases", lambda: [index_point("20250428")])
    (folder / "a.toml").write_text(f"[[advisory]]\n{toml_text(entry(flags='avx3'))}")
    words = ["--corpus", str(folder), "--config", str(CONFIG), "--builds", str(folder / "builds")]
    assert main(["corpus", *words]) == EXIT_USAGE
    assert "advisory softmax-tail: --flags avx3: give one of" in capsys.readouterr().err
