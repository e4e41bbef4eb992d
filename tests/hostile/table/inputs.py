"""Inputs of the model: `.npy` files, images and texts."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from tests.hostile.case import FETCHED, USAGE, Hostile
from tests.hostile.making import (
    MATRIX,
    MATRIX_RUN,
    MODEL,
    at,
    directory,
    fifo,
    files,
    link,
    sparse,
    then,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.hostile.making import Make


def _config(lines: str) -> str:
    return f"{MODEL}[inputs.a]\n{lines}\n{MATRIX}"


def _case(
    kind: str, name: str, lines: str, make: Make, *names: str, ends: frozenset[int] = USAGE
) -> Hostile:
    return Hostile(
        id=f"{kind.strip('.')}/{name}",
        kind=kind,
        words=MATRIX_RUN,
        make=then(at(c__toml=_config(lines)), make),
        shown=lines if kind == "text" else name,
        names=names,
        ends=ends,
        seconds=60.0,
    )


def _npy(data: bytes) -> Make:
    return files(i__npy=data)


def _header(text: str, *, version: bytes = b"\x01\x00", size: int | None = None) -> bytes:
    data = text.encode("latin-1")
    return b"\x93NUMPY" + version + struct.pack("<H", len(data) if size is None else size) + data


def _dict(descr: str, shape: str, order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def _saved(array: object, *, pickled: bool = False) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.asarray(array), allow_pickle=pickled)
    return stream.getvalue()


class _Trap:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("builds/pwned", "w"))  # type: ignore[return-value]


def _trap() -> bytes:
    array = np.empty(1, object)
    array[0] = _Trap()
    return _saved(array, pickled=True)


GOOD = _saved(np.zeros((1, 3), np.float32))
_ARRAYS: Mapping[str, bytes | Callable[[], bytes]] = {
    "empty": b"",
    "magic-alone": b"\x93NUMPY",
    "other-magic": b"\x93NUMPX" + GOOD[6:],
    "version-9": _header(_dict("'<f4'", "(1, 3)"), version=b"\x09\x00") + bytes(12),
    "header-beyond": _header(_dict("'<f4'", "(1, 3)"), size=65535),
    "header-is-code": _header("__import__('os').system('touch builds/pwned')\n") + bytes(12),
    "header-deep": _header("(" * 5000 + ")" * 5000 + "\n") + bytes(12),
    "header-list": _header("[1, 2]\n") + bytes(12),
    "header-nul": _header("\0" * 100) + bytes(12),
    "no-shape": _header("{'descr': '<f4', 'fortran_order': False}\n") + bytes(12),
    "negative": _header(_dict("'<f4'", "(1, -3)")) + bytes(12),
    "huge": _header(_dict("'<f4'", f"({2**40}, {2**20})")) + bytes(12),
    "wraps": _header(_dict("'<f4'", f"({2**32}, {2**32})")) + bytes(12),
    "4-gib": _header(_dict("'<f4'", f"(1, {2**30})")) + bytes(12),
    "seventy-axes": _header(_dict("'<f4'", f"({'1, ' * 70})")) + bytes(4),
    "digits": _header(_dict("'<f4'", f"(1, {'9' * 5000})")) + bytes(12),
    "half": _header(_dict("'<f4'", "(1, 1.5)")) + bytes(12),
    "type-nonsense": _header(_dict("'<q99'", "(1, 3)")) + bytes(12),
    "type-void": _header(_dict("'|V1000000000'", "(1, 3)")) + bytes(12),
    "type-record": _header(_dict("[('a', '<f4'), ('b', '|O')]", "(3,)")) + bytes(36),
    "pickle": _trap,
    "objects": _saved(np.array([None]), pickled=True),
    "strings": _saved(["a", "b", "c"]),
    "complex": _saved(np.zeros((1, 3), np.complex64)),
    "dates": _saved(np.zeros((1, 3), "datetime64[s]")),
    "nan": _saved(np.full((1, 3), np.nan, np.float32)),
    "infinite": _saved(np.full((1, 3), np.inf, np.float32)),
    "overflow": _saved(np.full((1, 3), 1e300)),
    "no-elements": _saved(np.zeros((1, 0), np.float32)),
    "too-long": GOOD + b"\0",
    "raw-pickle": b"\x80\x04cposix\nsystem\n(S'touch builds/pwned'\ntR.",
    **{f"cut-at-{size}": GOOD[:size] for size in (3, 7, 9, 20, 100, 127, 128, 129, len(GOOD) - 1)},
}


def _archive(**members: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


_NPY = (
    *(
        _case(".npy", name, 'npy = "i.npy"', _npy(data), r"i\.npy")
        for name, data in (
            (name, data() if callable(data) else data) for name, data in _ARRAYS.items()
        )
    ),
    _case(".npy", "archive", 'npy = "i.npy"', _npy(_archive(**{"a.npy": GOOD})), r"i\.npy"),
    _case(
        ".npy", "bomb", 'npy = "i.npy"', files(i__npy=lambda: _archive(a=bytes(1 << 27))), r"i\.npy"
    ),
    _case(".npy", "other-shape", 'npy = "i.npy"\nshape = [1, 4]', _npy(GOOD), r"i\.npy", "shape"),
    _case(".npy", "taken/good", 'npy = "i.npy"', _npy(GOOD), ends=FETCHED),
    _case(".npy", "place/absent", 'npy = "nowhere.npy"', files(), r"nowhere\.npy"),
    _case(".npy", "place/directory", 'npy = "i.npy"', directory("i.npy"), r"i\.npy"),
    _case(".npy", "place/pipe", 'npy = "i.npy"', fifo("i.npy"), r"i\.npy"),
    _case(".npy", "place/zero", 'npy = "/dev/zero"', files(), "/dev/zero"),
    _case(".npy", "place/circle", 'npy = "i.npy"', link("i.npy", "i.npy"), r"i\.npy"),
    _case(".npy", "place/sparse", 'npy = "i.npy"', sparse("i.npy"), r"i\.npy"),
)


def _chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def _png(
    width: int, height: int, pixels: bytes | None = None, *, depth: int = 8, colour: int = 2
) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = zlib.compress(b"\0" * ((width * 3 + 1) * height) if pixels is None else pixels)
    parts = [_chunk(b"IHDR", head), _chunk(b"IDAT", data), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _picture(kind: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (4, 4)).save(stream, kind, **options)  # type: ignore[arg-type]
    return stream.getvalue()


def _animated() -> bytes:
    stream = io.BytesIO()
    frames = [Image.new("P", (4, 4), colour) for colour in range(20)]
    frames[0].save(stream, "GIF", save_all=True, append_images=frames[1:])
    return stream.getvalue()


TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0"
SMALL = _png(4, 4)
_SHAPE = "shape = [1, 3, 4, 4]"
_PICTURES: Mapping[str, tuple[bytes | Callable[[], bytes], frozenset[int]]] = {
    "empty": (b"", USAGE),
    "text": (b"no picture", USAGE),
    "huge": (_png(2**31 - 1, 2**31 - 1, b""), USAGE),
    "65535-squared": (_png(65535, 65535, b""), USAGE),
    "bomb": (lambda: _png(12_000, 12_000), USAGE),
    "zero-wide": (_png(0, 4, b""), USAGE),
    "negative": (_png(2**32 - 1, 4, b""), USAGE),
    "no-pixels": (_png(4, 4, b""), USAGE),
    "wrong-depth": (_png(4, 4, depth=3), USAGE),
    "wrong-colours": (_png(4, 4, colour=9), USAGE),
    "text-bomb": (
        SMALL[:-12] + _chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(1 << 27))) + SMALL[-12:],
        USAGE | FETCHED,
    ),
    "flipped": (SMALL[:45] + b"\xff" + SMALL[46:], USAGE),
    "eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n(x) run\n", USAGE),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", USAGE),
    "ppm-huge": (b"P6\n99999 99999\n255\n", USAGE),
    "ppm-digits": (b"P6\n" + b"9" * 5000 + b" 4\n255\n", USAGE),
    "animated": (_animated(), USAGE | FETCHED),
    "palette": (_picture("PNG", "P"), FETCHED),
    "alpha": (_picture("PNG", "RGBA"), FETCHED),
    "one-bit": (_picture("PNG", "1"), FETCHED),
    "16-bit": (_picture("PNG", "I;16"), USAGE | FETCHED),
    "float": (_picture("TIFF", "F"), USAGE | FETCHED),
    "cmyk": (_picture("JPEG", "CMYK"), USAGE | FETCHED),
    "lab": (_picture("TIFF", "LAB"), USAGE | FETCHED),
    "turned-by-exif": (
        _picture(
            "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0"
        ),
        USAGE | FETCHED,
    ),
    "exif-nonsense": (_picture("JPEG", exif=b"Exif\0\0" + b"\xff" * 200), USAGE | FETCHED),
    "good": (SMALL, FETCHED),
    **{f"cut-at-{size}": (SMALL[:size], USAGE) for size in (1, 8, 16, 24, 33, 40)},
    "without-an-end": (SMALL[:50], USAGE | FETCHED),
}
_IMAGES = (
    *(
        _case(
            "image",
            name,
            f'image = "i.png"\n{_SHAPE}',
            files(i__png=data),
            *((r"i\.png",) if ends == USAGE else ()),
            ends=ends,
        )
        for name, (data, ends) in _PICTURES.items()
    ),
    _case("image", "place/directory", f'image = "."\n{_SHAPE}', files(), "input a|image"),
    _case("image", "place/absent", f'image = "no.png"\n{_SHAPE}', files(), r"no\.png"),
    _case("image", "place/pipe", f'image = "i.png"\n{_SHAPE}', fifo("i.png"), r"i\.png"),
    _case("image", "place/zero", f'image = "/dev/zero"\n{_SHAPE}', files(), "/dev/zero"),
    _case("image", "place/sparse", f'image = "i.png"\n{_SHAPE}', sparse("i.png"), r"i\.png"),
    _case(
        "image",
        "huge-shape",
        'image = "i.png"\nshape = [1, 3, 40000, 40000]',
        files(i__png=SMALL),
        "shape",
    ),
    _case(
        "image",
        "five-channels",
        'image = "i.png"\nshape = [1, 5, 4, 4]',
        files(i__png=SMALL),
        "shape",
    ),
)

_TEXTS = tuple(
    _case("text", name, f'text = "{text}"\n{shape}', files(), *names, ends=ends)
    for name, text, shape, ends, *names in (
        ("newline", "a\\nb", "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("nul", "a\\u0000b", "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("escape", "\\u001b[31m", "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("bidi", "\\u202eabc", "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("spaces", "   ", "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("emoji", "\\U0001f600", "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("chinese", "中文", "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("noncharacter", "\\uffff", "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("long", "a" * 200_000, "shape = [1, 3, 48, 320]", USAGE, "text"),
        ("huge-font", "a", "shape = [1, 3, 30000, 4]", USAGE, "shape|text"),
        ("tiny-font", "abc", "shape = [1, 3, 1, 1]", USAGE | FETCHED),
        ("combining", "e\\u0301", "shape = [1, 3, 48, 320]", USAGE | FETCHED),
        ("three-axes", "a", "shape = [3, 48, 320]", USAGE, "shape"),
        ("good", "abc", "shape = [1, 3, 48, 320]", FETCHED),
    )
)

CASES = (*_NPY, *_IMAGES, *_TEXTS)
