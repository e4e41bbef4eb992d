"""Command lines that nobody should write: one line each, and nothing is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.__main__ import main

LONG = "a" * 5000
NAME = "a" * 300

REFUSED = [
    ("matrix --jobs 0", "argument --jobs: '0': give a whole number from 1 to 1024"),
    ("matrix --jobs -1", "'-1': give a whole number"),
    ("matrix --jobs 1e3", "'1e3': give a whole number"),
    ("matrix --jobs 1_0", "'1_0': give a whole number"),
    ("matrix --jobs ١", "give a whole number"),
    ("matrix --jobs 99999999999999999999", "give a whole number"),
    (f"matrix --config {LONG}", "argument 3, 'aaa"),
    (f"matrix --config {NAME}", "longer than the 255 bytes of a name"),
    (f"matrix --version {NAME}", "300 characters, and names have 255 at most"),
    ("matrix --version a\x1b[2J", "has the control character '\\x1b'"),
    ("matrix --version a\0b", "has the control character '\\x00'"),
    ("matrix --version \udcff", "not in UTF-8"),
    ("matrix --version ../../x", "a '/' separates the parts"),
    ("matrix --config=", "empty. Leave the option out"),
    ("matrix --flags=", "empty. Leave the option out"),
    ("matrix --flags avx2,-DX=1", "'-DX' is no name of a CMake option"),
    ("matrix --flags avx2,=1", "'' is no name of a CMake option"),
    ("matrix --run num_threads=0", "greater than or equal to 1"),
    ("matrix --run num_threads=99999", "less than or equal to 1024"),
    ("matrix --run num_threads=x", "give true, false or an integer"),
    ("matrix --run use_x=99999999999", "less than or equal to 2147483647"),
    ("matrix --run use_x=٣", "give true, false or an integer"),
    ("matrix --run use_x=1_0", "give true, false or an integer"),
    ("matrix --run =3", "empty. Give a name"),
    ("matrix --repo ~nosuchuser/x", "no usable path"),
    (f"matrix --repo {NAME}", "longer than the 255 bytes"),
    ("matrix --repo ext::sh", "names a program for git to talk to"),
    ("matrix --repo fd::0", "names a program for git to talk to"),
    ("matrix --repo ext::sh://x", "names a program for git to talk to"),
    ("matrix --repo=-uxx", "begins as an option does"),
    ("matrix --repo=--upload-pack=x:y", "begins as an option does"),
    ("matrix --repo ssh://-oProxyCommand=x/y", "begins as an option does"),
    ("matrix --repo ftp://host/x", "ftp: is none of https"),
    ("matrix --version=-x", "begins as an option does"),
    ("matrix --results /dev/null", "'/dev/null': not a directory"),
    ("matrix --results FILE", "not a directory"),
    ("matrix --results FILE/below", "FILE is not a directory"),
    (f"matrix --results {'g/' * 1900}", "1900 folders within each other, and 200 are the most"),
    (f"matrix --config /{'g/' * 200}", "201 folders within each other"),
    (f"report --out {'g/' * 200}x", "201 folders within each other"),
    ("matrix --config m.lock", "m.lock: names that end in .lock are those of lock files"),
    ("lock --config m.lock", "Name the configuration, or call it m.toml."),
    ("matrix --builds /dev/full", "not a directory"),
    ("matrix --onnx ~nosuchuser/x", "no usable path"),
    ("matrix --onnx /", "/"),
    ("matrix --skip *", "no cell is left of the matrix"),
    *(
        (f"matrix --shard={text}", "give a shard such as 2/4")
        for text in ("0/1", "2/1", "1/0", "1", "1/", "/1", "-1/2", "1/257", "1/٢", "1.0/2", "1/2/3")
    ),
    ("matrix --shard=", "empty. Leave the option out"),
    ("matrix --shard 1/2", "1 build for 2 shards, and a build is in one of them only"),
    ("matrix --shard 1/1 --skip *", "no cell is left of the matrix"),
    ("matrix --shard 1/1 --only x", "matches none of 1 cells"),
    ("ci-matrix --shards 0", "give a whole number from 1 to 256"),
    ("ci-matrix --shards 257", "give a whole number from 1 to 256"),
    ("ci-matrix --shards 1/2", "give a whole number"),
    ("ci-matrix --runner a,b", "give a runner's label"),
    ("ci-matrix --runner ${{x}}", "give a runner's label"),
    ("ci-matrix --skip *", "no cell is left of the matrix"),
    ("ci-matrix --version ../../x", "a '/' separates the parts"),
    ("ci-matrix --jobs 1", "unrecognized arguments: --jobs"),
    ("matrix --converter x", "give pnnx with or without a version"),
    ("matrix --nosuch", "unrecognized arguments: --nosuch"),
    ("nosuch", "invalid choice: 'nosuch'"),
    ("store --limit nan", "'nan': give a number from 0 to 1048576"),
    ("store --limit inf", "give a number"),
    ("store --limit -1", "give a number"),
    ("store --limit 1e400", "give a number"),
    ("store --limit 1_0", "give a number"),
    ("store --prune-to x", "give a number"),
    ("store --builds FILE", "not a directory"),
    ("sweep --seed -1", "give a whole number from 0 to 9223372036854775807"),
    ("sweep --seed 99999999999999999999999", "give a whole number"),
    ("sweep --cases 0", "give a whole number from 1 to 1000000"),
    ("sweep --budget nan", "give a time such as 90s"),
    ("sweep --budget 99999999h", "of 30 days at most"),
    ("report --out /dev/null", "no regular file"),
    ("report --out -", "'-': standard output is no file. Name one; --markdown prints"),
    ("report --junit -", "'-': standard output is no file"),
    ("report --junit .", "a directory. Name a file"),
    ("report --junit FILE/x", "not a directory"),
    ("report --fail-on x", "choose one of drop, broken, never"),
    ("bisect --threshold nan", "give a number from -1e+30 to 1e+30"),
    ("bisect --threshold 0", "no value of scale_relative is worse, or none is better"),
    ("bisect --threshold=-3", "no value of scale_relative"),
    ("bisect --metric snr_db --threshold=-1e9", "no value of snr_db"),
    ("bisect --metric cosine --threshold=2", "no value of cosine"),
    ("bisect --scan -1", "give a whole number from 0 to 100000"),
    ("bisect --metric x", "choose one of max_abs"),
    ("bisect --target x", "choose one of last, first, all"),
    (f"bisect --good {NAME}", "names have 255 at most"),
    ("audit --version 20250503 --threads 0", "give a whole number"),
    ("reproducer --bad x --case y --limit nan", "give a number from 1e-30"),
    ("reproducer --bad x --case y --max-kib 0", "give a whole number"),
    ("reproducer --bad x --case y --out FILE", "not a directory"),
    ("reproducer --bad x --case y --commit $(id)", "by 7 to 40 hexadecimal digits"),
    ("store --builds configs --prune-to=0", "configs: no build store"),
    ("diagnose --dump FILE", "not a directory"),
]


@pytest.mark.parametrize(("line", "said"), REFUSED, ids=range(len(REFUSED)))
def test_refused(
    line: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    config = Path("configs/default.toml")
    config.parent.mkdir()
    config.write_text(
        '[matrix]\nversions = ["1"]\nflags = ["avx2"]\nruns = ["default"]\n'
        "[inputs.a]\nrandom = 1\nshape = [3]\n"
    )
    Path("FILE").write_text("")

    assert main([word.replace("FILE", f"{tmp_path}/FILE") for word in line.split(" ")]) == 2
    told = capsys.readouterr().err
    assert told.startswith("error[")
    assert said in told.replace(f"{tmp_path}/", "")
    assert told.count("\n") == 1
    assert sorted(map(str, Path().iterdir())) == ["FILE", "configs"]


@pytest.mark.parametrize(
    "line", ["bisect-step --nosuch", "bisect-step --config /dev/zero --threshold 1"]
)
def test_git_bisect_takes_no_mistake_for_a_verdict(line: str) -> None:
    assert main(line.split(" ")) == 128 + 2
