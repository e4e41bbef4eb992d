import json
from pathlib import Path

import pytest

from harness.execution.run_directory import STATE, open_run
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


def test_name_is_no_path_and_is_kept_as_it_is(tmp_path: Path) -> None:
    run = open_run(tmp_path / "results", name="../../x", key="k", config="")
    assert run.path.parent == tmp_path / "results"
    assert json.loads((run.path / STATE).read_text())["name"] == "../../x"


def test_record_after_a_torn_line_is_read(tmp_path: Path) -> None:
    run = open_run(tmp_path, name="x", key="k", config="")
    with run.cells.open("ab") as stream:
        stream.write(b'{"torn": ')
    run.append(cell({"A": 1e-3}))
    assert len(run.records()) == 1


DAMAGED = [b"", b"null", b"[]", b"5", b"\xff", b"{", b"[" * 100_000, b'{"key": 5}', b'{"a": ']


@pytest.mark.parametrize("state", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_run_is_not_continued_and_stays(state: bytes, tmp_path: Path) -> None:
    first = open_run(tmp_path, name="x", key="k", config="")
    (first.path / STATE).write_bytes(state)
    second = open_run(tmp_path, name="x", key="k", config="")
    assert second.path != first.path
    assert (first.path / STATE).read_bytes() == state
    (second.path / STATE).write_bytes(state)
    second.close()
    assert open_run(tmp_path, name="x", key="k", config="").path not in (first.path, second.path)
