"""What a run said is told in the same words on every machine and at every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from faults.trial import steady

ROOT = Path("/work/stage")


@pytest.mark.parametrize(
    ("line", "same"),
    [
        ("15:44:15 /work/stage/store/x: set aside", "STAGE/store/x: set aside"),
        ("nothing at 15:44:15 sharp", "nothing at 15:44:15 sharp"),
        ("results/20261127-183621-one/run.json", "results/…-one/run.json"),
        ("references/0123456789abcdef: damaged", "references/…: damaged"),
        ("/work/stage/tmp/ncnn-matrix-cell-k_wwueul/first", "STAGE/tmp/ncnn-matrix-cell-…/first"),
        ("http://127.0.0.1:40123/simple: 12.5 s, 3 MiB", "http://127.0.0.1:…/simple: … s, … MiB"),
        ("SHA-256 of 2574 bytes", "SHA-256 of 2574 bytes"),
    ],
)
def test_what_differs_from_run_to_run_is_left_out(line: str, same: str) -> None:
    assert steady(line, ROOT) == same
