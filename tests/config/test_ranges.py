"""Configurations that nobody should write: one clear line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.config.cells import expand
from harness.config.loading import load_config
from harness.util.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

MATRIX = '[matrix]\nversions = ["20250503"]\nflags = ["avx2"]\nruns = ["default"]\n'
INPUT = "[inputs.a]\nrandom = 1\nshape = [1, 3]\n"


def limits(key: str, value: str) -> str:
    return f"{INPUT}{MATRIX}[limits]\n{key} = {value}\n"


def one_input(text: str) -> str:
    return f"[inputs.a]\n{text}\n{MATRIX}"


CASES = [
    (limits("memory_gib", "1e-9"), "limits.memory_gib: input should be greater than or equal to 0"),
    (limits("memory_gib", "inf"), "limits.memory_gib: inf is no number"),
    (limits("memory_gib", "1e300"), "limits.memory_gib: input should be less than or equal to"),
    (limits("memory_gib", "-1"), "limits.memory_gib: input should be greater"),
    (limits("memory_gib", "'much'"), "limits.memory_gib: input should be a valid number"),
    (limits("run_seconds", "0"), "limits.run_seconds: input should be greater than 0"),
    (limits("run_seconds", "nan"), "limits.run_seconds: nan is no number"),
    (limits("run_seconds", "1e300"), "limits.run_seconds: input should be less than or equal"),
    (limits("build_seconds", "-5"), "limits.build_seconds: input should be greater"),
    (limits("input_mib", "0"), "limits.input_mib: input should be greater"),
    (one_input("random = -1\nshape = [1]"), "inputs.a.random: input should be greater than or eq"),
    (one_input("random = 99999999999999999999\nshape = [1]"), "inputs.a.random: a number that do"),
    (one_input("random = 1\nshape = [0]"), "inputs.a.shape: an axis of 0"),
    (one_input("random = 1\nshape = [-3]"), "inputs.a.shape: an axis of -3"),
    (one_input("random = 1\nshape = [9999999999]"), "inputs.a.shape: an axis of 9999999999"),
    (one_input(f"random = 1\nshape = {[1] * 70}"), "inputs.a.shape: 70 axes, and 16 are the most"),
    (one_input("random = 1\nshape = [1, 3, 20000, 20000]"), "takes 4.58e+03 MiB, and 512 are the"),
    (one_input("random = 1\nshapes = {x = [2000000000, 2000000000]}"), "MiB, and 512 are the limi"),
    (one_input("random = 1\nshape = [1.5]"), "inputs.a.shape.0: input should be a valid integer"),
    (f"[inputs.'']\nrandom = 1\nshape = [1]\n{MATRIX}", "empty. Give a name"),
    (f"[inputs.{'a' * 300}]\nrandom = 1\nshape = [1]\n{MATRIX}", "300 characters, and names have"),
    (INPUT + MATRIX + r'[runs."a\u001bb"]', "has the control character"),
    (INPUT + MATRIX + "[runs.x]\nthreads = 99999", "runs.x.threads: input should be less than"),
    (INPUT + MATRIX + "[runs.x]\nthreads = true", "runs.x.threads: input should be a valid integ"),
    (INPUT + MATRIX + "[runs.x.options]\na = 'yes'", "runs.x.options.a"),
    (one_input("random = true\nshape = [1]"), "inputs.a.random: input should be a valid integer"),
    (one_input("image = 'i'\nshape = [1]\nmean = [1, 2]"), "inputs.a: mean has 2 numbers"),
    (INPUT + MATRIX + "[source]\ngit = 'ext::sh'", "source.git: names a program for git to talk"),
    (INPUT + MATRIX + "[source]\ngit = '-u'", "source.git: begins as an option does"),
    (INPUT + MATRIX + "[sources.a]\nrevision = '-o'", "sources.a.revision: begins as an option"),
    (INPUT + MATRIX + "[sources.'../x']\nrevision = 'o'", "a '/' separates the parts of an id"),
    (INPUT + MATRIX + "[flags.x]\nbase = 'x'", "flags.x: the bases x → x form a ring"),
    (INPUT + MATRIX + "[flags.x]\nbase = 'y'", "flags.x: no flag set 'y'"),
    (INPUT + MATRIX + "[flags.x]\ntarget = 'moon'", "flags.x: no target 'moon'"),
    (INPUT + MATRIX + "[runs.x.options]\na = 3000000000", "runs.x.options.a"),
    (INPUT + MATRIX + "[flags.x.options]\n'A B' = true", "flags.x.options.A B"),
    (INPUT + MATRIX + "[flags.x.options]\n'-DA' = true", "flags.x.options.-DA"),
    (INPUT + MATRIX + "[tolerance]\nlayer = inf", "tolerance.layer: inf is no number"),
    (INPUT + MATRIX + "[tolerance]\nlayer = 0", "tolerance.layer: input should be greater than 0"),
    (INPUT + MATRIX + "[bisect.rules]\napart = nan", "bisect.rules.apart: nan is no number"),
    (INPUT + MATRIX.replace('"20250503"', '""'), "matrix.versions.0: empty. Give a name"),
    (INPUT + MATRIX.replace('"20250503"', f'"{"9" * 300}"'), "matrix.versions.0: 300 characters"),
    (INPUT + MATRIX.replace('"20250503"', ""), "matrix.versions: tuple should have at least 1"),
    (INPUT + MATRIX + "".join(f"[a{at}]\n" for at in range(99)), "and 79 more mistakes"),
    (INPUT + MATRIX + f"[runs.x]\nsummary = {list(range(9999))}", "runs.x.summary: input should"),
    (
        f"[targets.x]\ncompiler='c'\nprocessor='p'\narch='../../x'\n{INPUT}{MATRIX}",
        "targets.x.arch: string should match",
    ),
]


@pytest.mark.parametrize(("text", "said"), CASES, ids=range(len(CASES)))
def test_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 4000
    assert all(line.startswith(f"{path}: ") for line in str(caught.value).splitlines())


def test_a_limit_can_be_raised(tmp_path: Path) -> None:
    large = one_input("random = 1\nshape = [1, 3, 20000, 20000]")
    (tmp_path / "c.toml").write_text(f"{large}[limits]\ninput_mib = 5000\n")
    assert load_config(tmp_path / "c.toml").limits.input_mib == 5000


def test_a_matrix_has_an_end(tmp_path: Path) -> None:
    names = [str(number) for number in range(1001)]
    axes = f"[matrix]\nversions = {names}\nflags = {['avx2'] * 1000}\nruns = ['default']\n"
    (tmp_path / "c.toml").write_text(INPUT + axes)
    with pytest.raises(ConfigError, match=r"1001000 cells, and 1000000 are the most"):
        expand(load_config(tmp_path / "c.toml"), base=tmp_path)
