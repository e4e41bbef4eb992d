"""`.npy` and `.npz` files of other people: looked at before anything is made of them.

NumPy takes memory for what a header promises, whether or not the file has it, and unpacks what is
small in an archive and large outside.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.util.codes import Code
from harness.util.errors import ModelError
from harness.util.reading import read_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

MAX_AXES = 32
"""What every release of NumPy has."""
MAX_MEMBERS = 1000
WIDEST = 8
"""Bytes of the widest type of number, float64."""
_HEADER = 1 << 16
_ARCHIVE = b"PK"


def read_npy(path: Path, *, limit: int) -> Array:
    """Return the array in a `.npy` file, of the type that it has.

    Args:
        path: the file.
        limit: bytes that it may take in single precision.

    Raises:
        ModelError: it is no such file, not complete, too large, or holds no numbers.
    """
    data = read_bytes(path, limit=_largest(limit), error=ModelError)
    if data.startswith(_ARCHIVE):
        raise ModelError(
            f"{path}: it is an archive of several arrays. Give one `.npy` file.",
            code=Code.INPUT_CONTENT,
        )
    return _parsed(data, str(path), limit)


def read_npz(path: Path, *, limit: int) -> dict[str, Array]:
    """Return the arrays in a `.npz` file by name; `limit` is for all of them together.

    Raises:
        ModelError: as `read_npy`.
    """
    data = read_bytes(path, limit=_largest(limit), error=ModelError)
    found: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MAX_MEMBERS or sum(m.file_size for m in members) > _largest(limit):
                raise ModelError(_too_large(str(path), limit), code=Code.LIMIT)
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in found:
                    raise ModelError(
                        f"{path}: two arrays are named {name[:80]}. Save it again.",
                        code=Code.INPUT_CONTENT,
                    )
                # It may unpack to more than it says.
                content = archive.open(member).read(member.file_size + 1)
                found[name] = _parsed(content, f"{path}: {name[:80]}", limit)
    except ModelError:
        raise
    except Exception as error:  # whatever a damaged archive runs the decompressors into
        raise ModelError(
            f"{path}: not a readable .npz file ({_reason(error)}). Replace it by one saved with "
            "numpy.savez.",
            code=Code.INPUT_CONTENT,
        ) from error
    if 4 * sum(array.size for array in found.values()) > limit:
        raise ModelError(_too_large(str(path), limit), code=Code.LIMIT)
    return found


def _largest(limit: int) -> int:
    return limit // 4 * WIDEST + _HEADER


def _too_large(place: str, limit: int) -> str:
    return (
        f"{place}: larger than the {limit / 2**20:g} MiB that an input may take. Give a smaller "
        "one, or raise `input_mib` in [limits]."
    )


def _parsed(data: bytes, place: str, limit: int) -> Array:
    stream = io.BytesIO(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of files that Python 2 wrote
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            else:
                shape, fortran, dtype = np.lib.format.read_array_header_2_0(stream)
    except Exception as error:  # whatever a damaged header runs Python's parser into
        raise ModelError(
            f"{place}: not readable ({_reason(error)}). Replace it by a tensor saved with "
            "numpy.save.",
            code=Code.INPUT_CONTENT,
        ) from error
    if dtype.kind not in "fiub":
        raise ModelError(
            f"{place}: its type is {str(dtype)[:80]}. Save real numbers, float32 at best.",
            code=Code.INPUT_CONTENT,
        )
    count = math.prod(shape)
    if len(shape) > MAX_AXES or min(shape, default=1) < 0:
        raise ModelError(
            f"{place}: its shape is {list(shape[:8])}, … . Save another tensor.",
            code=Code.INPUT_CONTENT,
        )
    if 4 * count > limit:
        raise ModelError(_too_large(place, limit), code=Code.LIMIT)
    needed, present = count * dtype.itemsize, len(data) - stream.tell()
    if needed != present:
        raise ModelError(
            f"{place}: not readable (its shape {list(shape)} takes {needed} bytes, and {present} "
            "are there). Replace it by a tensor saved with numpy.save.",
            code=Code.INPUT_CONTENT,
        )
    array = np.frombuffer(data, dtype, count, stream.tell())
    return array.reshape(shape, order="F" if fortran else "C")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
