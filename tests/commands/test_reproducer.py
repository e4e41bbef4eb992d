"""`reproducer`: what is written, and what it does not take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.__main__ import main
from harness.util.errors import EXIT_OK, EXIT_USAGE

if TYPE_CHECKING:
    from pathlib import Path

CASE = "--case=Softmax:0=0:3x7"


def reproducer(tmp_path: Path, *arguments: str) -> int:
    words = ["--no-check", "--out", str(tmp_path / "out"), "--builds", str(tmp_path / "builds")]
    return main(["reproducer", *arguments, *words])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--bad=20250503"], "either --case or --layer"),
        (["--bad=20250503", CASE, "--layer=fc"], "either --case or --layer"),
        (["--bad=20250503", "--good=20250503", CASE], "Both sides are the same"),
        (["--bad=20250503", "--good-run=default", CASE], "Both sides are the same"),
        (["--bad=20250503", "--good-run=fp15-off", CASE], "--run fp15-off"),
        (["--bad=20250503", "--flags=avx3", CASE], "--flags avx3"),
        (["--bad=20250503", "--case=Softmax:0=0:0"], "no shape"),
        (["--bad=20250503", "--case=InnerProduct:0=128,2=16384:128"], "more than 64"),
        (["--bad=20250503", CASE, "--run=vulkan-fp16s"], "for the CPU"),
    ],
)
def test_usage(
    tmp_path: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reproducer(tmp_path, *arguments) == EXIT_USAGE
    assert words in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "out").exists()


def test_files(tmp_path: Path) -> None:
    versions = ["--good=20241226", "--bad=20250503", "--flags=avx2", "--run=num_threads=2"]
    more = ["--repo", str(tmp_path / "ncnn"), "--commit=0123abc", "--name=tail"]
    assert reproducer(tmp_path, CASE, *versions, *more) == EXIT_OK
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "README.md",
        "layer.bin",
        "layer.param",
        "softmax_tail.cpp",
        "test_softmax_tail.cpp",
    ]
    for name in ("README.md", "softmax_tail.cpp", "test_softmax_tail.cpp"):
        text = (out / name).read_text()
        assert "0123abc" in text
        # Nobody else has this machine's folders.
        assert str(tmp_path) not in text
        assert (
            "nox -s reproducer -- --case Softmax:0=0:3x7 --good 20241226 --bad 20250503 "
            "--flags avx2 --run num_threads=2 --repo ncnn" in text
        )
    assert "not tried" in (out / "README.md").read_text()


def test_two_sets_of_options_of_one_version(tmp_path: Path) -> None:
    assert reproducer(tmp_path, CASE, "--bad=20250503", "--good-run=fp16-off") == EXIT_OK
    text = (tmp_path / "out" / "README.md").read_text()
    good, bad = (line for line in text.splitlines() if line.startswith(("| good", "| bad")))
    assert "| 20250503 |" in good
    assert "use_fp16_storage=false" in good
    assert "`num_threads=1`" in bad
