from pathlib import Path

from harness.domain.records import Verdict
from harness.execution.run_directory import open_run
from harness.report.csv_tables import layer_table, matrix_table, write_tables
from tests.records import cell


def test_interrupted_run_is_continued_and_a_finished_one_is_not(tmp_path: Path) -> None:
    first = open_run(tmp_path, name="default", key="k", config="# c")
    first.append(cell({"A": 1e-3}))
    with first.cells.open("ab") as stream:
        stream.write(b'{"torn": ')
    second = open_run(tmp_path, name="default", key="k", config="# c")
    assert (second.path, second.resumed) == (first.path, True)
    assert [record.cell for record in second.records()] == ["20250503-avx2/default/short"]
    assert open_run(tmp_path, name="default", key="other", config="").path != first.path
    second.close()
    third = open_run(tmp_path, name="default", key="k", config="# c")
    assert (third.path != first.path, third.resumed) == (True, False)
    assert open_run(tmp_path, name="default", key="k", config="", fresh=True).path != third.path


def test_record_after_a_torn_line_is_read(tmp_path: Path) -> None:
    run = open_run(tmp_path, name="x", key="k", config="")
    with run.cells.open("ab") as stream:
        stream.write(b'{"torn": ')
    run.append(cell({"A": 1e-3}))
    assert len(run.records()) == 1


def test_tables(tmp_path: Path) -> None:
    records = [
        cell({"A": 1e-3, "B": 1e-6}),
        cell({}, run="bf16", verdict=Verdict.BROKEN, reason="SIGSEGV"),
    ]
    table = matrix_table(records)
    assert list(table["verdict"]) == ["drop", "broken"]
    assert table["worst_layer_type"][0] == "A"
    assert table["output_max_abs"][0] == 1e-3
    layers = layer_table(records)
    assert list(layers["alone_scale_relative"]) == [1e-3, 1e-6]
    run = open_run(tmp_path, name="x", key="k", config="")
    write_tables(run, records, "# s\n")
    assert {path.name for path in run.path.iterdir()} >= {"matrix.csv", "layers.csv", "summary.md"}
