"""How commands end that did not end well."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from harness.commands.ending import ending_of, save_traceback
from harness.util.errors import ModelError, OutputClosedError
from harness.util.interruption import OutOfTimeError

if TYPE_CHECKING:
    from pathlib import Path


def tidied_up(first: Exception) -> Exception:
    """An error while another one is tidied up."""
    second = RuntimeError("cannot join thread before it is started")
    second.__context__ = first
    return second


def disk(code: int, name: str | None = None) -> OSError:
    return OSError(code, os.strerror(code), name)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ModelError("m.param: torn. Restore it."), 2, "error[M01]: m.param: torn. Restore it."),
        (ModelError("a\x1b[2Jb\x07"), 2, "error[M01]: a\\x1b[2Jb\\x07"),
        (tidied_up(MemoryError()), 3, "error[E12]: there is not enough memory"),
        (tidied_up(RuntimeError("can't start new thread")), 3, "error[E12]: there is not enough"),
        (tidied_up(ValueError()), 70, "internal error[X01]: RuntimeError: cannot join"),
        (KeyboardInterrupt(), 130, "interrupted; the same command continues"),
        (OutOfTimeError(), 3, "error[E12]: the processor time that this shell allows"),
        (OutputClosedError("gone"), 141, ""),
        (disk(errno.ENOSPC), 3, "no space left on the disk"),
        (disk(errno.EDQUOT), 3, "no space left on the disk"),
        (disk(errno.EACCES, "/x"), 3, "/x: not writable"),
        (disk(errno.EROFS, "/x"), 3, "/x: not writable"),
        (disk(errno.EFBIG, "/x"), 3, "ulimit -f"),
        (disk(errno.EMFILE), 3, "ulimit -n"),
        (disk(errno.ENFILE), 3, "too many files are open"),
        (disk(errno.ENAMETOOLONG, "/x"), 3, "/x: the name is too long"),
        (disk(errno.ENOTDIR, "/x"), 3, "/x: something else is in its place"),
        (disk(errno.EIO, "/x"), 3, "/x: the file system reports an error"),
        (MemoryError(), 3, "not enough memory"),
        (RecursionError("deep"), 70, "internal error[X01]: RecursionError: deep"),
        (ValueError("a\n b" + "c" * 5000), 70, "internal error[X01]: ValueError: a b"),
        (disk(errno.ENOENT, "/x"), 70, "internal error[X01]: FileNotFoundError"),
        (AssertionError(), 70, "internal error[X01]: AssertionError. This is"),
    ],
)
def test_each_kind(error: BaseException, code: int, said: str, tmp_path: Path) -> None:
    ending = ending_of(error, ["matrix"], tmp_path)
    assert ending.code == code
    assert said in ending.line
    assert len(ending.line) < 1000
    saved = list(tmp_path.iterdir())
    assert bool(saved) == (code == 70 or "not enough" in said)
    assert all(str(path) in ending.line for path in saved)


def test_a_traceback_has_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    try:
        raise ValueError("https://me:s3cret@host/x failed")
    except ValueError as error:
        path = save_traceback(error, ["matrix", "--repo", "https://me:s3cret@host/x"], tmp_path)
    assert path
    text = path.read_text()
    assert "s3cret" not in text
    assert "--repo https://…@host/x" in text
    assert "test_ending.py" in text


def test_where_results_cannot_be_written_it_goes_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    path = save_traceback(ValueError("x"), [], tmp_path / "file")
    assert path
    assert path.parent != tmp_path / "file"
    path.unlink()
