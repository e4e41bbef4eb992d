from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from harness.domain.spec import InputSpec
from harness.reference.inputs import make_input
from harness.util.errors import ModelError

LINE = (1, 3, 48, 320)
NOWHERE = Path("nowhere")


def test_short_text_is_padded_with_zeros() -> None:
    tensor = make_input(InputSpec(name="short", text="ncnn", shape=LINE), base=NOWHERE)
    assert tensor.dtype == np.float32
    assert tensor.shape == LINE
    assert tensor.min() == -1
    assert tensor.max() == 1
    assert np.all(tensor[..., 200:] == 0)
    assert np.all(tensor[..., 100] != 0)
    assert np.array_equal(tensor[:, 0], tensor[:, 2])


def test_long_text_is_squeezed_to_the_width() -> None:
    text = "InnerProduct 20220420"
    tensor = make_input(InputSpec(name="long", text=text, shape=LINE), base=NOWHERE)
    assert np.any(tensor[..., -24:] < 0)
    assert np.all(tensor[0, 0, 0] == 1)
    assert np.all(tensor[..., -1] != 0)


def test_text_keeps_its_aspect_ratio_when_the_model_is_wider() -> None:
    narrow, wide = (
        make_input(InputSpec(name="t", text="fp16", shape=(1, 1, 48, width)), base=NOWHERE)
        for width in (320, 640)
    )
    assert np.array_equal(narrow, wide[..., :320])


@pytest.mark.parametrize("text", ["\u6587\u5b57 ncnn", " ", "two\nlines"])
def test_text_that_cannot_be_rendered(text: str) -> None:
    with pytest.raises(ModelError, match=r"input t: text .*give an `image`"):
        make_input(InputSpec(name="t", text=text, shape=LINE), base=NOWHERE)


@pytest.mark.parametrize("shape", [(), (1, 3, 48, -1), (3, 48, 320), (1, 4, 48, 320)])
def test_text_needs_an_image_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"input t: shape .* Set `shape` to "):
        make_input(InputSpec(name="t", text="a", shape=shape), base=NOWHERE)


def test_random_depends_on_the_seed_only() -> None:
    one, same, other = (
        make_input(InputSpec(name="r", random=seed, shape=(2, 50)), base=NOWHERE)
        for seed in (0, 0, 1)
    )
    assert one.dtype == np.float32
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)
    assert -1 <= one.min() < -0.9
    assert 0.9 < one.max() <= 1


def test_no_content() -> None:
    with pytest.raises(ModelError, match="Set `text`, `image`, `npy` or `random`"):
        make_input(InputSpec(name="x", shape=(1,)), base=NOWHERE)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """2 pixels high, 4 wide, one colour: R 10, G 20, B 30."""
    path = tmp_path / "picture.png"
    Image.new("RGB", (4, 2), (10, 20, 30)).save(path)
    return path


@pytest.mark.parametrize(
    ("settings", "shape", "channels"),
    [
        ({}, (1, 3, 2, 4), [10, 20, 30]),
        ({"order": "BGR"}, (1, 3, 2, 4), [30, 20, 10]),
        ({"shape": (1, 3, 6, 5)}, (1, 3, 6, 5), [10, 20, 30]),
        ({"mean": (10,), "scale": (0.5,)}, (1, 3, 2, 4), [0, 5, 10]),
        (
            {"order": "BGR", "mean": (1, 2, 3), "scale": (1, 2, 3)},
            (1, 3, 2, 4),
            [29, 36, 21],
        ),
        ({"order": "GRAY"}, (1, 1, 2, 4), [18]),
    ],
)
def test_image(
    picture: Path, settings: dict[str, Any], shape: tuple[int, ...], channels: list[float]
) -> None:
    spec = InputSpec(name="i", image=picture.name, **settings)
    tensor = make_input(spec, base=picture.parent)
    assert tensor.dtype == np.float32
    assert tensor.shape == shape
    assert tensor.flags.c_contiguous
    expected = np.array(channels, np.float32).reshape(1, -1, 1, 1)
    assert np.array_equal(tensor, np.broadcast_to(expected, shape))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": (1, 2)}, "`mean` has 2 values for order RGB"),
        ({"shape": (1, 1, 2, 4)}, r"Set `shape` to \[1, 3, height, width\]"),
    ],
)
def test_image_settings_must_fit(picture: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_input(InputSpec(name="i", image=str(picture), **settings), base=NOWHERE)


def test_truncated_image(picture: Path) -> None:
    picture.write_bytes(picture.read_bytes()[:50])
    with pytest.raises(ModelError, match=r"picture\.png: not readable .* Pillow reads"):
        make_input(InputSpec(name="i", image=str(picture)), base=NOWHERE)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int64", "uint8", "bool"])
def test_npy(tmp_path: Path, dtype: str) -> None:
    np.save(tmp_path / "x.npy", np.array([[0, 1, 1]], dtype))
    tensor = make_input(InputSpec(name="x", npy="x.npy", shape=(1, 3)), base=tmp_path)
    assert tensor.dtype == np.float32
    assert tensor.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 1)), r"its shape is \[3, 1\], not \[1, 3\]"),
        (np.zeros((1, 3), np.complex64), "its type is complex64"),
        (np.array([["a", "b", "c"]]), "its type is <U1"),
        (np.array([[0, np.nan, 1e300]]), "2 of its 3 values are NaN or infinite"),
        (np.array([[0, 1, None]]), "its type is object"),
    ],
)
def test_npy_with_wrong_content(tmp_path: Path, array: Any, message: str) -> None:
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(ModelError, match=rf"input x: .*x\.npy: {message}"):
        make_input(InputSpec(name="x", npy="x.npy", shape=(1, 3)), base=tmp_path)


def test_truncated_npy(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    np.save(path, np.zeros(100))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ModelError, match=r"x\.npy: not readable .*numpy\.save"):
        make_input(InputSpec(name="x", npy=str(path)), base=NOWHERE)


def test_archive_of_arrays(tmp_path: Path) -> None:
    with (tmp_path / "x.npz").open("wb") as stream:
        np.savez(stream, a=np.zeros(1))
    with pytest.raises(ModelError, match="several arrays"):
        make_input(InputSpec(name="x", npy="x.npz"), base=tmp_path)


@pytest.mark.parametrize("key", ["image", "npy"])
def test_missing_file(key: str) -> None:
    settings: dict[str, Any] = {key: "gone"}
    with pytest.raises(ModelError, match=r"nowhere/gone: cannot be read .*Correct the path"):
        make_input(InputSpec(name="x", **settings), base=NOWHERE)
