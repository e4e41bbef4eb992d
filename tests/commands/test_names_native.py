"""The whole way on real ncnn with names that lead elsewhere: nothing is written there."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import pytest

from harness.__main__ import main
from harness.build.toolchain import missing_features
from harness.domain.records import Verdict, read_records
from tests import one_layer

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """
title = "../../t"
[model]
name = "../../m"
onnx = "m.onnx"
param = "m.param"
bin = "m.bin"
names = { "/model/x" = "x", "../../y" = "y" }
[inputs.".."]
random = 1
shape = [1, 40, 120]
[sources.".."]
revision = "20250503"
[flags.".."]
base = "avx2"
[runs.".."]
options = { use_fp16_storage = false }
[matrix]
versions = [".."]
flags = [".."]
runs = [".."]
"""

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(bool(missing_features(["avx2", "fma", "f16c"])), reason="no AVX2"),
]


def test_names_lead_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "a" / "b" / "c"
    scratch = tmp_path / "scratch"
    for folder in (project, scratch):
        folder.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    one_layer.write_model(project)
    text = (project / "m.param").read_text()
    text = text.replace(" fc ", " ../../fc ").replace(" x", " /model/x").replace(" y ", " ../../y ")
    (project / "m.param").write_text(text)
    (project / "c.toml").write_text(CONFIG)
    before = {path.name for path in project.iterdir()}
    places = {"config": "c.toml", "builds": "builds", "results": "results"}
    words = [f"--{key}={project / name}" for key, name in places.items()]
    assert main(["matrix", *words]) == 0
    (folder,) = (project / "results").iterdir()
    (record,) = read_records([folder / "cells.jsonl"])
    assert record.verdict is Verdict.OK
    assert record.cell == "..-../../.."
    assert [layer.blob for layer in record.layers] == ["/model/x", "../../y"]
    assert {path.name for path in project.iterdir()} == before | {"builds", "results"}
    assert [path.name for path in (project / "builds" / "modules").glob("name-*-name-*")]
    for above in (project.parent, project.parent.parent):
        assert len(list(above.iterdir())) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"a", "scratch"}
