"""The command `audit`: text, JSON and exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.__main__ import main
from harness.config.loading import toml_text
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, EXIT_SUSPECTS, EXIT_USAGE
from tests.advisories.entries import entry

CONFIG = Path(__file__).parents[2] / "configs" / "default.toml"
MODEL = """7767517
4 4
Input            data   0 1 data
Convolution      conv   1 1 data a 0=6 1=3 6=162
Softmax          first  1 1 a b 0=0 1=1
Softmax          second 1 1 b out 0=2 1=1
"""
Audit = Callable[..., tuple[int, str, str]]


@pytest.fixture
def audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Audit:
    (tmp_path / "my.param").write_text(MODEL)

    def run(*words: str, entries: tuple[dict[str, Any], ...] = (entry(),)) -> tuple[int, str, str]:
        corpus = tmp_path / "corpus"
        corpus.mkdir(exist_ok=True)
        text = "".join(f"[[advisory]]\n{toml_text(each)}" for each in entries)
        (corpus / "a.toml").write_text(text)
        given = ["--version", "20250503", *words] if "--version" not in words else words
        model = ["--param", str(tmp_path / "my.param"), "--corpus", str(corpus)]
        code = main(["audit", *model, "--config", str(CONFIG), "--arch", "x86", *given])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def test_a_fault_that_is_met(audit: Audit) -> None:
    code, out, _ = audit("--shape", "1,3,9,11", "--threads", "2")
    assert code == EXIT_FINDINGS
    assert out.splitlines() == [
        "softmax-tail: Softmax leaves the last elements uncomputed",
        "  20250428 to 20250916, repaired in 20260113 (commit 07267f261 to c18cc6de6); broken",
        "  Use one thread.",
        "  Softmax first (6x7x9), second (6x7x9)",
        "",
        "1 known fault in 2 layers",
    ]


def test_what_was_not_told_is_asked_for(audit: Audit) -> None:
    code, out, _ = audit()
    assert code == EXIT_SUSPECTS
    assert out.splitlines() == [
        "perhaps softmax-tail: Softmax leaves the last elements uncomputed",
        "  20250428 to 20250916, repaired in 20260113 (commit 07267f261 to c18cc6de6); broken",
        "  Use one thread.",
        "  Softmax first (shape unknown), second (shape unknown)",
        "  not known: the number of threads (--threads); the shape of input data (--shape)",
        "",
        "no known fault for certain; 1 more perhaps",
    ]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--shape", "3x9x11", "--threads", "2"], EXIT_FINDINGS),
        (["--shape", "data=3x9x11", "--run", "num_threads=2"], EXIT_FINDINGS),
        (["--shape", "3x9x11", "--run", "threads-2"], EXIT_FINDINGS),
        (["--shape", "3x9x11", "--run", "num_threads=2", "--threads", "1"], EXIT_OK),
        (["--shape", "3x9x11", "--run", "num_threads=1"], EXIT_OK),
        (["--shape", "3x9x11"], EXIT_SUSPECTS),
        (["--shape", "3x9x12", "--threads", "2"], EXIT_OK),
        (["--shape", "3x9x12", "--shape", "3x9x11", "--threads", "2"], EXIT_FINDINGS),
        (["--threads", "1"], EXIT_OK),
        (["--threads", "2"], EXIT_SUSPECTS),
        (["--version", "20260113", "--threads", "2"], EXIT_OK),
        (["--version", "20251001", "--shape", "3x9x11", "--threads", "2"], EXIT_SUSPECTS),
        (["--arch", "arm", "--shape", "3x9x11", "--threads", "2"], EXIT_OK),
        (["--flags", "arm64", "--shape", "3x9x11", "--threads", "2"], EXIT_FINDINGS),
    ],
)
def test_exit_codes(audit: Audit, words: list[str], code: int) -> None:
    # `--arch x86` comes first: it holds against the flags' own.
    assert audit(*words)[0] == code


def test_layers_that_meet_it_for_certain_come_before_those_that_perhaps_do(audit: Audit) -> None:
    known = entry(when="p0 == 2 or w % 2", defaults={"p0": 0}, cause="")
    code, out, _ = audit(entries=(entry(id="perhaps"), known))
    assert code == EXIT_FINDINGS
    lines = out.splitlines()
    assert lines[0].startswith("softmax-tail: ")
    assert lines[3:6] == [
        "  Softmax second (shape unknown)",
        "  perhaps also Softmax first (shape unknown)",
        "  not known: the shape of input data (--shape)",
    ]
    assert lines[7].startswith("perhaps perhaps: ")
    assert lines[-1] == "1 known fault in 1 layer; 1 more perhaps"


def test_for_machines(audit: Audit) -> None:
    code, out, _ = audit("--shape", "3x9x11", "--threads", "2", "--json")
    data = json.loads(out)
    assert code == EXIT_FINDINGS
    assert (data["version"], data["threads"], data["arch"]) == ("20250503", 2, "x86")
    (met,) = data["advisories"]
    assert (met["id"], met["certain"]) == ("softmax-tail", True)
    assert met["layers"] == [
        {"name": "first", "shapes": ["6x7x9"], "missing": []},
        {"name": "second", "shapes": ["6x7x9"], "missing": []},
    ]
    assert audit("--threads", "1", "--json")[1].count('"advisories": []') == 1


def test_how_weights_are_stored_is_in_the_bin_file(audit: Audit, tmp_path: Path) -> None:
    needs_fp16 = entry(layer="Convolution", case="Convolution:0=6,1=3,6=162:3x9x11")
    needs_fp16 |= {"when": "store == 'fp16'", "run": ""}
    half = (0x01306B47).to_bytes(4, "little") + bytes(162 * 2)
    full = bytes(4) + bytes(162 * 4)
    weights = tmp_path / "my.bin"
    assert audit(entries=(needs_fp16,))[0] == EXIT_SUSPECTS
    for content, code in ((half, EXIT_FINDINGS), (full, EXIT_OK)):
        weights.write_bytes(content)
        assert audit("--bin", str(weights), entries=(needs_fp16,))[0] == code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--version", "main"], "--version main: give a release of ncnn by its date"),
        (["--shape", "b=3x9x11"], "--shape b=3x9x11: the model has no such input. It has data."),
        (["--shape", "3x9,11"], "--shape 3x9,11: give 1,3,224,224 (as in ONNX) or 3x224x224"),
        (["--shape", "2,1,3,9,11"], "ncnn's blobs have no more than 4 axes"),
        (["--threads", "0"], "--threads: '0': give a whole number from 1 to 1024"),
        (["--run", "bf61"], "--run bf61: give one of"),
        (["--run", "fp16-off-after-model"], "sets options after-model, when some no longer"),
        (["--flags", "avx3"], "--flags avx3: give one of"),
    ],
)
def test_wrong_usage(audit: Audit, words: list[str], message: str) -> None:
    code, _, err = audit(*words)
    assert code == EXIT_USAGE
    assert message in err
