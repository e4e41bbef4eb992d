from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from harness.domain.spec import InputSpec
from harness.reference.array_files import read_npy, read_npz
from harness.reference.inputs import make_input
from harness.util.errors import ModelError

LIMIT = 1 << 20
ANY_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


def promising(shape: str, kind: str = "<f4") -> bytes:
    """Return a file whose header promises a shape, with 24 bytes behind it."""
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)


GOOD = npy(np.arange(6, dtype=np.float32).reshape(2, 3))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f8", ">f4", "<i2", "|b1"])
def test_arrays_come_back(order: str, kind: str, tmp_path: Path) -> None:
    array = np.asarray(np.arange(12).reshape(3, 4) % 2, dtype=kind, order=order)  # type: ignore[call-overload]
    (tmp_path / "x.npy").write_bytes(npy(array))
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy", limit=LIMIT), array)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not readable"),
        (GOOD[:-1], "takes 24 bytes, and 23 are there"),
        (GOOD + b"\0", "takes 24 bytes, and 25 are there"),
        (promising("(1, 3, 20000, 20000)"), "larger than the 1 MiB"),
        (promising("(99999999999, 99999999999, 99999999999)"), "larger than the 1 MiB"),
        (promising("(-2, -3)"), "its shape is"),
        (promising("(" + "1, " * 70 + ")"), "its shape is"),
        (promising("(3,)", "O"), "its type is object"),
        (promising("(3,)", "|V8"), "its type is"),
        (promising("(" * 900), "not readable"),
        (promising("(1.5,)"), "not readable"),
        (b"PK\x03\x04", "an archive of several arrays"),
        (b"\x80\x04]\x94.", "not readable"),
    ],
    ids=range(13),
)
def test_what_no_array_is(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(ModelError, match=rf"x\.npy: .*{message}"):
        read_npy(tmp_path / "x.npy", limit=LIMIT)


def archive(members: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK", "not a readable .npz file"),
        (archive({"a.npy": GOOD})[:-30], "not a readable .npz file"),
        (archive({"a.npy": npy(np.zeros(1 << 20, np.float32))}), "larger than the 1 MiB"),
        (archive({f"{n}.npy": npy(np.zeros(1 << 17, np.float32)) for n in "abc"}), "larger than"),
        (archive({"a.npy": GOOD, "a": GOOD}), "two arrays are named a"),
        (archive({"a.txt": b"hello"}), "a.txt: not readable"),
    ],
    ids=range(6),
)
def test_what_no_archive_is(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(ModelError, match=rf"x\.npz: .*{message}"):
        read_npz(tmp_path / "x.npz", limit=LIMIT)


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (5, 4), (1, 2, 3)).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("key", ["image", "npy"])
def test_pipes_are_refused(key: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    spec = InputSpec(name="x", **{key: str(tmp_path / "pipe")})  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"input x: .*pipe: not a regular file"):
        make_input(spec, base=Path())


def test_a_large_picture_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (3000, 3000)).save(tmp_path / "x.png")
    spec = InputSpec(name="x", image=str(tmp_path / "x.png"))
    with pytest.raises(ModelError, match="3000 × 3000 pixels take 103 MiB, and 1 are the limit"):
        make_input(spec, base=Path(), limit=LIMIT)


@pytest.mark.parametrize("key", ["text", "random", "image", "npy"])
@pytest.mark.parametrize("shape", [(1, 3, 20000, 20000), (2**40, 2**40), (1,) * 70])
def test_shapes_are_looked_at_before_anything_is_made(key: str, shape: tuple[int, ...]) -> None:
    spec = InputSpec(name="x", shape=shape, **{key: 1 if key == "random" else "x"})  # type: ignore[arg-type]
    with pytest.raises(ModelError, match=r"input x: shape .* (axes|MiB)"):
        make_input(spec, base=Path())


@ANY_FILE
@given(
    st.sampled_from([GOOD, archive({"a.npy": GOOD}), picture("PNG"), picture("GIF"), b""]),
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 9), st.binary(max_size=4)), max_size=4),
)
def test_damaged_files_are_read_or_refused(
    tmp_path: Path, data: bytes, edits: list[tuple[int, int, bytes]]
) -> None:
    for at, length, new in edits:
        data = data[:at] + new + data[at + length :]
    path = tmp_path / "x"
    path.write_bytes(data)
    for read in (
        lambda: read_npy(path, limit=LIMIT),
        lambda: read_npz(path, limit=LIMIT),
        lambda: make_input(InputSpec(name="x", image=str(path)), base=Path(), limit=LIMIT),
    ):
        try:
            read()
        except ModelError as error:
            assert str(path) in str(error)  # noqa: PT017
