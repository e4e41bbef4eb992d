from pathlib import Path

import pytest

from harness.analysis.bisection.preparation import variant_of
from harness.config.loading import load_config
from harness.config.tables import Config
from harness.util.errors import UsageError
from tests.commands.test_bisect import CONFIG


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "c.toml").write_text(CONFIG)
    return load_config(tmp_path / "c.toml")


def test_sets_by_name_and_by_pairs(config: Config) -> None:
    plain = variant_of(config, "avx2", "bf16")
    assert (plain.flags.name, plain.run.name) == ("avx2", "bf16")
    edited = variant_of(config, "avx2, NCNN_F16C=OFF", "use_bf16_storage=on,num=3")
    assert dict(edited.flags.options) == dict(plain.flags.options) | {"NCNN_F16C": "OFF"}
    assert edited.flags.name.startswith("avx2-")
    assert dict(edited.run.options) == {"use_bf16_storage": True, "num": 3}


@pytest.mark.parametrize(
    ("flags", "run", "words"),
    [
        ("avx3", "default", "--flags avx3: give one of"),
        ("avx2,sse2", "default", "give one of"),
        ("NCNN_AVX2=ON", "default", "Begin with one"),
        ("avx2", "fast", "--run fast: give one of"),
        ("avx2", "use_bf16_storage=maybe", "true, false or an integer"),
    ],
)
def test_sets_that_are_none(config: Config, flags: str, run: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        variant_of(config, flags, run)
