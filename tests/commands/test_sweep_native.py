"""A sweep on real ncnn: a release with a fault that nobody tells it, found with its cause."""

from pathlib import Path

import pytest

from harness.__main__ import main
from harness.analysis.sweep.finding import SweepFinding
from harness.build.toolchain import missing_features
from harness.domain.records import read_records
from harness.util.kept import kept_lines

pytestmark = [
    pytest.mark.native,
    pytest.mark.skipif(bool(missing_features(["avx2", "fma", "f16c"])), reason="no AVX2"),
]
CONFIG = Path(__file__).parents[2] / "configs" / "default.toml"


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("sweep")
    places = {"config": CONFIG, "builds": folder / "builds", "results": folder / "results"}
    wanted = ["--versions", "20250503", "--layers=Softmax,ReLU", "--cases=30"]
    return ["sweep", *(f"--{key}={path}" for key, path in places.items()), *wanted]


@pytest.fixture(scope="module")
def run(arguments: list[str]) -> Path:
    assert main(arguments) == 1
    results = Path(next(w for w in arguments if w.startswith("--results")).partition("=")[2])
    (folder,) = results.iterdir()
    return folder


def test_the_tail_that_threads_leave_is_found_with_its_cause(run: Path) -> None:
    found = kept_lines(run / "findings.jsonl", SweepFinding.model_validate_json)
    tail = [each for each in found if each.run.startswith("num_threads=")]
    assert {each.layer for each in found} == {"Softmax"}
    assert tail
    assert len(tail[0].case) <= len("Softmax:0=-1,1=1:3x7:x=positive,seed=50")
    cells = {record.cell: record for record in read_records([run / "finding-cells.jsonl"])}
    mine = [cells[cell] for cell in tail[0].cells if cell in cells]
    assert {r.threads for r in mine if r.verdict == "ok"} >= {1}


def test_it_is_found_again_by_its_id(run: Path, arguments: list[str]) -> None:
    first = kept_lines(run / "findings.jsonl", SweepFinding.model_validate_json)[0]
    kept = [word for word in arguments if not word.startswith(("--layers", "--cases"))]
    assert main([*kept, "--case", first.case]) == 1


def test_a_version_beside_itself_shows_no_change(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for word in arguments if word != "20250503"]
    place = words.index("--versions") + 1
    main([*words[:place], "20250503", "20250503", *words[place:], "--cases=12"])
    assert "0 changes" in capsys.readouterr().out
