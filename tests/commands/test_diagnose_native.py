"""The whole command on real ncnn: a model of one InnerProduct whose weights become fp16."""

import json
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster

from harness.__main__ import main
from harness.analysis.diagnosis.layer_findings import Diagnosis, Status
from harness.build.toolchain import missing_features
from tests import one_layer

CONFIG = (
    one_layer.CONFIG
    + """
[matrix]
versions = ["20250503"]
flags = ["avx2"]
runs = ["default", "fp16-off"]
"""
)

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(bool(missing_features(["avx2", "fma", "f16c"])), reason="no AVX2"),
]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    one_layer.write_model(folder)
    (folder / "c.toml").write_text(CONFIG)
    return folder


def diagnose(project: Path, *arguments: str) -> tuple[int, Path]:
    places = {"config": "c.toml", "builds": "builds", "results": "results"}
    common = [f"--{key}={project / name}" for key, name in places.items()]
    before = set((project / "results").glob("*"))
    code = main(["diagnose", *common, *arguments])
    (folder,) = set((project / "results").glob("*")) - before
    return code, folder


def read(folder: Path) -> Diagnosis:
    return Diagnosis.model_validate(json.loads((folder / "diagnosis.json").read_text()))


@pytest.fixture(scope="module")
def faulty(project: Path) -> Path:
    code, folder = diagnose(
        project, "--cell=20250503-avx2/default", "--fix=options,masks", f"--dump={project / 'd'}"
    )
    assert code == 1
    return folder


def test_report_tells_the_diagnosis(faulty: Path) -> None:
    text = (faulty / "report.md").read_text()
    assert "# Diagnosis of 20250503-avx2/default" in text
    assert "| options | fixed |" in text
    assert "Measure it again" in text or "nothing can be recommended" in text
    assert (faulty / "report.html").stat().st_size > 10_000
    report = json.loads((faulty / "report.json").read_text())
    before, after = report["parts"][0]["cells"]
    assert before["cell"] == "20250503-avx2/default/random"
    assert after["cell"] == "20250503-avx2/default,use_fp16_storage=false/random"
    assert (before["verdict"], after["verdict"]) == ("drop", "ok")
    assert report["parts"][0]["recommendation"]["options"] == {"use_fp16_storage": False}
    assert main(["report", str(faulty)]) == 0


def test_mechanism_is_proved(faulty: Path) -> None:
    (at_fault,) = read(faulty).at_fault
    assert (at_fault.type, at_fault.status) == ("InnerProduct", Status.AT_FAULT)
    explanation = at_fault.explanation
    assert explanation is not None
    assert explanation.mechanism.startswith("weights rounded to fp16")
    assert explanation.at_noise_floor
    assert explanation.residual < explanation.error / 100


def test_fixes_cure_it(faulty: Path) -> None:
    options, masks = read(faulty).fixes
    assert (options.outcome, options.change) == ("fixed", "use_fp16_storage = false")
    assert (masks.outcome, masks.change) == ("fixed", "1 layers: fc 31=3")
    assert "31=3" in (faulty / "model.masks.param").read_text()


@pytest.mark.filterwarnings("ignore")  # Dask's own
def test_a_worker_finds_the_same(
    project: Path, faulty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Its builds are there already: compiling is not what this is about.
    monkeypatch.setenv("NCNN_MATRIX_BUILDS", str(project / "builds"))
    with LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address=":0", silence_logs=100
    ) as cluster:
        code, folder = diagnose(
            project,
            "--cell=20250503-avx2/default",
            "--fix=options,masks",
            f"--scheduler={cluster.scheduler_address}",
        )
    assert code == 1
    assert timeless(folder) == timeless(faulty)
    masks = read(folder).fixes[1]
    assert masks.param == str(folder / "model.masks.param")
    for name in ("model.param", "model.masks.param", "layers.csv"):
        assert (folder / name).read_bytes() == (faulty / name).read_bytes()
    records = [json.loads(line) for line in (folder / "cells.jsonl").read_text().splitlines()]
    assert all(record["machine"]["worker"] for record in records)
    assert [bool(record["command"]) for record in records] == [False, True]


def timeless(folder: Path) -> object:
    """Return what was found without times and the directory that it is in."""

    def without(value: object) -> object:
        if isinstance(value, dict):
            return {k: without(v) for k, v in value.items() if k != "latency_ms"}
        return [without(each) for each in value] if isinstance(value, list) else value

    text = (folder / "diagnosis.json").read_text().replace(str(folder), "")
    return without(json.loads(text))


def test_dump_holds_both_sides(project: Path, faulty: Path) -> None:
    manifest = json.loads((project / "d" / "manifest.json").read_text())
    found = {(entry["archive"], entry["name"]): entry for entry in manifest["arrays"]}
    assert found["random/ncnn-blobs.npz", "y"]["value"] == "y"

    def array(archive: str, name: str) -> np.ndarray:
        with np.load(project / "d" / archive) as stored:
            return np.asarray(stored[found[archive, name]["member"]])

    weight = array("ncnn-weights.npz", "weight")
    np.testing.assert_array_equal(weight, array("onnx-weights.npz", "w").T)
    x, y = (array("random/onnx-values.npz", name)[0] for name in "xy")
    np.testing.assert_allclose(x @ weight.T + array("ncnn-weights.npz", "bias"), y, atol=1e-4)
    assert np.abs(array("random/ncnn-blobs.npz", "y") - y).max() > 1e-3
    assert ("onnx-values.npz", "product") not in found
    assert ("random/onnx-values.npz", "product") in found


def test_clean_cell_accuses_nobody(project: Path, faulty: Path) -> None:
    code, folder = diagnose(project, "--cell=20250503-avx2/fp16-off")
    assert (code, read(folder).at_fault) == (0, ())


def test_renamed_blobs_are_found_by_value(project: Path, faulty: Path) -> None:
    text = (project / "m.param").read_text()
    text = text.replace(" 0 1 x", " 0 1 in0").replace(" 1 1 x y", " 1 1 in0 1")
    text = text.replace("\n2 2\n", "\n3 3\n") + "Permute turn 1 1 1 out0 0=1\n"
    (project / "renamed.param").write_text(text)
    config = CONFIG.replace("m.param", "renamed.param")
    (project / "c2.toml").write_text(config)
    code, folder = diagnose(
        project, "--cell=20250503-avx2/default", f"--config={project / 'c2.toml'}"
    )
    found = {layer.name: layer for layer in read(folder).layers}
    assert code == 1
    assert (found["fc"].value, found["fc"].aligned) == ("y", "value")
    assert "over 2 inputs" in found["fc"].sure
    assert (found["fc"].status, found["turn"].status) == (Status.AT_FAULT, Status.PASSES_ON)
