"""Seeds and what fuzzing found once: each is read, or refused as documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.parsers import PARSERS, run

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())
MOST_BYTES = 1 << 20


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_replay(path: Path) -> None:
    run(path.parent.name, path.read_bytes())


def test_every_parser_has_a_corpus_and_all_is_small() -> None:
    assert {path.parent.name for path in FILES} == set(PARSERS)
    assert sum(path.stat().st_size for path in FILES) < MOST_BYTES
