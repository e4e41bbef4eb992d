"""The model's inputs: rendered text, images, tensors from files, random numbers."""

from __future__ import annotations

import io
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from harness.reference.array_files import read_npy
from harness.util.codes import Code
from harness.util.errors import ModelError
from harness.util.reading import read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.domain.spec import InputSpec
    from harness.model.input_shapes import GraphInput

    Tensor = NDArray[np.float32]

MAX_TEXT = 1000
"""Characters of a line; it is drawn before it is squeezed."""
_CHANNELS = {"RGB": 3, "BGR": 3, "GRAY": 1}
LIMIT = 512 << 20
"""Bytes that an input may take in single precision, if nothing else is said."""
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Of images. Pillow would start other programs for some of the rest."""
MAX_AXES = 16
"""More than any model has."""


def make_input(spec: InputSpec, *, base: Path, limit: int = LIMIT) -> Tensor:
    """Return the input tensor, float32, in the shape the ONNX model takes.

    Args:
        spec: which input; see `InputSpec`.
        base: directory that relative paths in `spec` start from.
        limit: bytes that it may take.

    Raises:
        ModelError: a file is missing, truncated or of another shape or type than `spec` says,
            the input is too large, or the text cannot be rendered.
    """
    if spec.shape:
        check_size({spec.name: spec.shape}, f"input {spec.name}", limit)
    if spec.text:
        return _text(spec, limit)
    if spec.image:
        return _image(spec, base / spec.image, limit)
    if spec.npy:
        return _npy(spec, base / spec.npy, limit)
    if spec.random is not None:
        values = np.random.default_rng(spec.random).uniform(-1, 1, size=_fixed_shape(spec))
        return values.astype(np.float32)
    raise ModelError(
        f"input {spec.name}: no content. Set `text`, `image`, `npy` or `random`.",
        code=Code.INPUT_CONTENT,
    )


def check_size(shapes: Mapping[str, Sequence[int]], place: str, limit: int) -> None:
    """Make sure that tensors have a sane number of axes and elements, before they are made.

    Raises:
        ModelError: they have not.
    """
    for shape in shapes.values():
        if len(shape) > MAX_AXES:
            raise ModelError(
                f"{place}: shape {list(shape[:4])}, … has {len(shape)} axes. Set `shape` to the "
                "model's input shape, such as [1, 3, 48, 320].",
                code=Code.INPUT_SHAPE,
            )
    size = 4 * sum(math.prod(shape) for shape in shapes.values())
    if size > limit:
        words = ", ".join(str(list(shape)) for shape in shapes.values())
        raise ModelError(
            f"{place}: shape {words[:200]} takes {size / 2**20:.4g} MiB, and {limit / 2**20:g} are "
            "the limit. Give a smaller one, or raise `input_mib` in [limits].",
            code=Code.LIMIT,
        )


def random_tensors(
    inputs: Sequence[GraphInput],
    shapes: Mapping[str, tuple[int, ...]],
    seed: int,
    limit: int = LIMIT,
) -> dict[str, NDArray[Any]]:
    """Return a tensor for each input of a model, in the types that it declares but for floats.

    Floats are float32 and uniform in [-1, 1]; integers are those that the model surely takes;
    masks let everything through.

    Raises:
        ModelError: together they take more than `limit` bytes.
    """
    check_size(shapes, "random input", limit)
    generator = np.random.default_rng(seed)
    tensors: dict[str, NDArray[Any]] = {}
    for source in inputs:
        shape = shapes[source.name]
        if source.dtype.kind == "f":
            tensors[source.name] = generator.uniform(-1, 1, size=shape).astype(np.float32)
        elif "mask" in source.name.lower():
            tensors[source.name] = np.ones(shape, source.dtype)
        else:
            numbers = generator.integers(0, max(1, source.below), size=shape)
            tensors[source.name] = np.asarray(numbers, dtype=source.dtype)
    return tensors


def _fixed_shape(spec: InputSpec) -> tuple[int, ...]:
    if not spec.shape or min(spec.shape) < 1:
        raise ModelError(
            f"input {spec.name}: shape {list(spec.shape)} is not a list of sizes from 1 on. "
            "Set `shape` to the model's input shape, such as [1, 3, 48, 320].",
            code=Code.INPUT_SHAPE,
        )
    return spec.shape


def _image_shape(spec: InputSpec, channels: Sequence[int]) -> tuple[int, int, int]:
    """Return channels, height, width of an input that is made from pixels."""
    shape = _fixed_shape(spec)
    if len(shape) != 4 or shape[0] != 1 or shape[1] not in channels:
        expected = " or ".join(str(count) for count in channels)
        raise ModelError(
            f"input {spec.name}: shape {list(shape)} does not fit an image. "
            f"Set `shape` to [1, {expected}, height, width], or give the tensor as `npy`.",
            code=Code.INPUT_SHAPE,
        )
    return shape[1:]


def _text(spec: InputSpec, limit: int) -> Tensor:
    """Render black on white as PaddleOCR feeds its recognisers.

    The line is resized to the model's height, squeezed if it is then wider than the model's width,
    normalised to [-1, 1] and padded with zeros (not with white) on the right.
    """
    channels, height, width = _image_shape(spec, (1, 3))
    if len(spec.text) * height * height > limit:
        raise ModelError(
            f"input {spec.name}: text of {len(spec.text)} characters, {height} pixels high. "
            "Shorten it.",
            code=Code.INPUT_CONTENT,
        )
    line = _render(spec, height)
    line_width = min(width, math.ceil(line.width * height / line.height))
    pixels = np.asarray(
        line.resize((line_width, height), Image.Resampling.BILINEAR), dtype=np.float32
    )
    tensor = np.zeros((1, channels, height, width), np.float32)
    tensor[..., :line_width] = (pixels / 255 - 0.5) / 0.5
    return tensor


def _render(spec: InputSpec, height: int) -> Image.Image:
    """Draw the text with a margin as a text detector would cut it out."""
    if len(spec.text) > MAX_TEXT:
        raise ModelError(
            f"input {spec.name}: text of {len(spec.text)} characters, and {MAX_TEXT} are the most. "
            "Give a shorter one: it is squeezed into the width of the shape."
        )
    font = ImageFont.load_default(float(height))
    missing = {
        character
        for character in spec.text
        if not character.isspace() and _ink(font, character) == _ink(font, "\uffff")
    }
    if missing or not spec.text.strip() or not spec.text.isprintable():
        what = f"the built-in font lacks {sorted(missing)}" if missing else "no printable line"
        raise ModelError(
            f"input {spec.name}: text {spec.text!r}: {what}. "
            "Use one line of Latin text, or give an `image` of the text instead.",
            code=Code.INPUT_CONTENT,
        )
    left, top, right, bottom = (round(edge) for edge in font.getbbox(spec.text))
    margin = max(1, height // 8)
    size = (right - left + 2 * margin, bottom - top + 2 * margin)
    line = Image.new("L", size, 255)
    ImageDraw.Draw(line).text((margin - left, margin - top), spec.text, fill=0, font=font)
    return line


def _ink(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, character: str) -> bytes:
    return bytes(font.getmask(character))


def _image(spec: InputSpec, path: Path, limit: int) -> Tensor:
    """Read an image, resize it to the shape's height and width, apply mean and scale."""
    channels = _CHANNELS[spec.order]
    data = _content(spec, path, limit)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of size, which is looked at here
            with Image.open(io.BytesIO(data), formats=FORMATS) as file:
                size = 4 * channels * file.width * file.height
                pixels_fit = size <= limit
                picture = (
                    file.convert("L" if spec.order == "GRAY" else "RGB") if pixels_fit else file
                )
    except Exception as error:  # whatever a damaged file runs the decoders into
        raise _wrong(
            spec,
            path,
            f"not readable ({' '.join(str(error).split())[:200]})",
            f"Replace it by an image that Pillow reads: {', '.join(FORMATS)}",
        ) from error
    if not pixels_fit:
        raise _wrong(
            spec,
            path,
            f"{picture.width} × {picture.height} pixels take {size / 2**20:.4g} MiB, and "
            f"{limit / 2**20:g} are the limit",
            "Give a smaller one, or raise `input_mib` in [limits]",
        )
    if spec.shape:
        _, height, width = _image_shape(spec, (channels,))
        picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(picture, dtype=np.float32).reshape(picture.height, picture.width, channels)
    if spec.order == "BGR":
        pixels = pixels[..., ::-1]
    mean = _per_channel(spec, "mean", spec.mean, channels, default=0)
    scale = _per_channel(spec, "scale", spec.scale, channels, default=1)
    with np.errstate(all="ignore"):
        tensor = ((pixels - mean) * scale).transpose(2, 0, 1)[np.newaxis]
    return np.ascontiguousarray(as_float32(spec, path, tensor))


def _per_channel(
    spec: InputSpec, key: str, values: Sequence[float], channels: int, *, default: float
) -> Tensor:
    if len(values) not in (0, 1, channels):
        raise ModelError(
            f"input {spec.name}: `{key}` has {len(values)} values for order {spec.order}. "
            f"Give one value, or {channels}, one per channel.",
            code=Code.INPUT_CONTENT,
        )
    return np.asarray(values or [default], dtype=np.float32)


def _content(spec: InputSpec, path: Path, limit: int) -> bytes:
    try:
        return read_bytes(path, limit=limit, error=ModelError)
    except ModelError as error:
        raise ModelError(f"input {spec.name}: {error}", code=Code.INPUT_CONTENT) from error


def _npy(spec: InputSpec, path: Path, limit: int) -> Tensor:
    try:
        array = read_npy(path, limit=limit)
    except ModelError as error:
        raise ModelError(f"input {spec.name}: {error}", code=Code.INPUT_CONTENT) from error
    if spec.shape and array.shape != spec.shape:
        raise _wrong(
            spec,
            path,
            f"its shape is {list(array.shape)}, not {list(spec.shape)}",
            "Save it in the shape the ONNX model takes, or correct `shape`",
        )
    if not array.size:
        raise _wrong(spec, path, "it has no elements", "Save it in the shape the ONNX model takes")
    return as_float32(spec, path, array)


def as_float32(spec: InputSpec, path: Path, array: NDArray[Any]) -> Tensor:
    """Return numbers in single precision.

    Raises:
        ModelError: some are not finite there.
    """
    with np.errstate(over="ignore"):
        tensor = array.astype(np.float32)
    if not np.isfinite(tensor).all():
        count = int(np.count_nonzero(~np.isfinite(tensor)))
        raise _wrong(
            spec,
            path,
            f"{count} of its {tensor.size} values are NaN or infinite in float32",
            "Save finite values",
        )
    return tensor


def _wrong(spec: InputSpec, path: Path, what: str, remedy: str) -> ModelError:
    return ModelError(f"input {spec.name}: {path}: {what}. {remedy}.", code=Code.INPUT_CONTENT)
