import io

import pytest

from harness.util import bounded_log
from harness.util.bounded_log import BoundedLog


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (("HEAD_BYTES", 20), ("TAIL_BYTES", 10), ("ERRORS_BYTES", 60)):
        monkeypatch.setattr(bounded_log, name, size)


def logged(*pieces: bytes) -> bytes:
    stream = io.BytesIO()
    log = BoundedLog(stream)
    for piece in pieces:
        log.add(piece)
    log.end()
    return stream.getvalue()


@pytest.mark.parametrize("text", [b"", b"short\n", b"x" * 20, b"\0" * 25])
def test_what_fits_is_kept_as_it_is(text: bytes) -> None:
    assert logged(*(text[at : at + 1] for at in range(len(text)))) == text


def test_of_much_the_beginning_the_errors_and_the_end_are_kept() -> None:
    pieces = [b"the beginning\n", b"a note to fill up\n", b"f.cpp:1: error: lost?\n"]
    written = logged(*pieces, *[b"noise noise\n"] * 1000, b"the end\n")
    assert written.startswith(b"the beginning\n")
    assert b"f.cpp:1: error: lost?\n" in written
    assert written.endswith(b"the end\n")
    assert b"bytes are left out here" in written
    assert len(written) < 300


def test_errors_without_end_are_cut_too() -> None:
    assert len(logged(*[b"error: again\n"] * 10_000)) < 400


def test_the_last_line_is_known_at_any_time() -> None:
    log = BoundedLog(io.BytesIO())
    seen = []
    for piece in (b"[1/", b"2]", b" x\n", b"[2/2]"):
        log.add(piece)
        seen.append(log.last_line)
    assert seen == ["[1/", "[1/2]", "[1/2] x", "[2/2]"]


def test_a_full_disk_ends_nothing() -> None:
    with open("/dev/full", "wb", buffering=0) as stream:  # noqa: PTH123
        log = BoundedLog(stream)
        log.add(b"x" * 100)
        log.end()
