"""`.param` files, as `audit` reads them: it needs nothing else."""

from __future__ import annotations

from tests.hostile.case import FETCHED, USAGE, Hostile
from tests.hostile.making import (
    AUDIT,
    CONFIG,
    MATRIX_RUN,
    MODEL,
    PARAM,
    at,
    directory,
    fifo,
    link,
    sparse,
    then,
)

REPORTED = frozenset({0, 1, 4})
"""An answer of an audit."""
P = r"m\.param"
DIGITS = "9" * 5000
HEAD = "7767517\n2 2\nInput x 0 1 x\n"
RELU = HEAD + "ReLU r 1 1 x y"


def _case(name: str, text: str | bytes, *names: str, ends: frozenset[int] = USAGE) -> Hostile:
    shown = text.replace(PARAM, "…") if isinstance(text, str) else text
    return Hostile(
        id=f"param/{name}",
        kind=".param",
        words=AUDIT,
        make=at(m__param=text),
        shown=repr(shown)[:200],
        names=(P, *names) if ends == USAGE else names,
        ends=ends,
    )


def _relu(pairs: str) -> str:
    return f"{RELU} {pairs}\n"


def _graph(layers: str, blobs: int = 9) -> str:
    lines = layers.splitlines()
    return "\n".join(["7767517", f"{len(lines)} {blobs}", *lines, ""])


def _chain(count: int) -> str:
    lines = ["ReLU r 1 1 x b1", *(f"ReLU r{i} 1 1 b{i} b{i + 1}" for i in range(1, count))]
    return _graph("\n".join(["Input x 0 1 x", *lines]), count + 1)


_HEADERS = tuple(
    _case(f"header/{name}", text, *names)
    for name, text, *names in (
        ("empty", "", ":1", "magic"),
        ("spaces", " \n\t\n", "magic"),
        ("magic-of-old", "7767516\n1 1\nInput x 0 1 x\n", ":1", "magic"),
        ("magic-is-a-word", "ncnn\n", ":1", "magic"),
        ("magic-digits", DIGITS + "\n1 1\n", ":1", "magic"),
        ("magic-in-arabic", "٧٧٦٧٥١٧\n1 1\nInput x 0 1 x\n", ":1", "magic"),
        ("negative-layers", "7767517\n-1 1\n", ":2", "layer count"),
        ("no-layers", "7767517\n0 0\n", ":2", "count"),
        ("more-layers", PARAM.replace("2 2", "3 2"), "ends here|layer count"),
        ("fewer-blobs", PARAM.replace("2 2", "2 1"), ":2", "blob count"),
        ("negative-blobs", PARAM.replace("2 2", "2 -2"), ":2", "blob count"),
        ("2^31-layers", PARAM.replace("2 2", "2147483648 2"), "layer count|ends here"),
        ("2^63-layers", PARAM.replace("2 2", "9223372036854775808 2"), "layer count|ends here"),
        ("2^31-blobs", PARAM.replace("2 2", "2 2147483648"), "blob count"),
        ("digits", PARAM.replace("2 2", f"{DIGITS} 2"), ":2", "layer count"),
        ("hexadecimal", PARAM.replace("2 2", "0x2 2"), ":2", "layer count"),
        ("underscore", PARAM.replace("2 2", "2_0 2"), ":2", "layer count"),
        ("half", PARAM.replace("2 2", "2.0 2"), ":2", "layer count"),
        ("arabic", PARAM.replace("2 2", "٢ 2"), ":2", "layer count"),
        ("binary", b"\x99\x85\x76\x00" + bytes(40), ":1|line 1"),
        ("onnx", b"\x08\x0a\x12\x05tests\n\xff", "looks like an ONNX model", "begins with 7767517"),
        ("pickle", b"\x80\x04cposix\nsystem\n(S'touch pwned'\ntR.", ":1|line 1"),
        ("utf-16", PARAM.encode("utf-16"), ":1|line 1", "UTF-8"),
        ("latin-1", PARAM.replace(" r ", " caf\xe9 ").encode("latin-1"), "UTF-8", ":4|line 4"),
        ("nul", PARAM.replace(" r ", " r\0r "), ":4"),
    )
)

_LAYERS = tuple(
    _case(f"layer/{name}", text, *names)
    for name, text, *names in (
        ("negative-inputs", HEAD + "ReLU r -1 1 x y\n", ":4", "input count of r"),
        ("negative-outputs", HEAD + "ReLU r 1 -1 x y\n", ":4", "output count of r"),
        ("huge-inputs", HEAD + "ReLU r 2147483647 1 x y\n", "input"),
        ("digits-of-inputs", HEAD + f"ReLU r {DIGITS} 1 x y\n", ":4", "input count"),
        ("too-many-inputs", HEAD + "ReLU r 2 1 x y 0=1\n", ":4", "r"),
        ("too-few-inputs", HEAD + "ReLU r 0 1 y\n", "ReLU|bottom|input"),
        ("two-inputs", _graph("Input a 0 1 a\nInput b 0 1 b\nReLU r 2 1 a b y"), "r", "ReLU"),
        ("no-output", HEAD + "ReLU r 1 0 x\n", "r", "output"),
        ("twice-the-name", _graph("Input x 0 1 x\nReLU r 1 1 x y\nReLU r 1 1 y z"), "r"),
        ("twice-the-blob", _graph("Input x 0 1 x\nReLU r 1 1 x y\nReLU s 1 1 x y"), "y"),
        ("blob-over-input", _graph("Input x 0 1 x\nReLU r 1 1 x x"), "x"),
        ("twice-an-output", _graph("Input x 0 1 x\nSplit s 1 2 x y y"), "y"),
        ("own-output", _graph("Input x 0 1 x\nReLU r 1 1 y y"), "r", "y"),
        ("ring", _graph("Input x 0 1 x\nReLU r 1 1 b a\nReLU s 1 1 a b"), "r", "b"),
        ("used-too-early", _graph("Input x 0 1 x\nReLU r 1 1 y z\nReLU s 1 1 x y"), "r", "y"),
        ("made-by-nobody", _graph("Input x 0 1 x\nReLU r 1 1 nowhere y"), "nowhere"),
        ("input-with-input", _graph("Input x 1 1 a x\nReLU r 1 1 x y"), "x"),
        ("word-missing", HEAD + "ReLU r 1\n", "output count"),
        ("cut-in-a-name", "7767517\n2 2\nInput x 0 1 x\nReLU r 1 1 x", "ends here"),
        ("long-type", HEAD + "R" * 256 + " r 1 1 x y\n", ":4", "255"),
        ("long-name", HEAD + "ReLU " + "r" * 100_000 + " 1 1 x y\n", ":4", "255"),
        ("long-blob", HEAD + "ReLU r 1 1 x " + "y" * 256 + "\n", ":4", "255"),
    )
)

_PAIRS = tuple(
    _case(f"pair/{name}", _relu(text), *names)
    for name, text, *names in (
        ("empty", "0=", ":4", "parameter 0"),
        ("arabic-value", "0=١", ":4", "parameter 0"),
        ("full-width", "0=１", ":4", "parameter 0"),
        ("key-too-large", "32=1", ":4", "32"),
        ("key-digits", f"{DIGITS}=1", ":4"),
        ("negative-key", "-1=1", ":4"),
        ("array-key-too-large", "-23332=1,1", ":4"),
        ("array-short", "-23300=2,1", ":4", "parameter 0"),
        ("array-long", "-23300=1,1,1", ":4", "parameter 0"),
        ("array-negative", "-23300=-1,1", ":4", "parameter 0"),
        ("array-2^31", "-23300=2147483648,1", ":4", "parameter 0"),
        ("array-digits", f"-23300={DIGITS},1", ":4", "parameter 0"),
        ("array-superscript", "-23300=²,1,1", ":4", "parameter 0"),
        ("array-hole", "-23300=2,1,,", ":4", "parameter 0"),
        ("2^31", "0=2147483648", ":4", "32 bits"),
        ("-2^31-1", "0=-2147483649", ":4", "32 bits"),
        ("digits", f"0={DIGITS}", ":4", "15"),
        ("float-digits", f"0=0.{DIGITS}", ":4", "15"),
        ("infinite", "0=1e999", ":4|parameter 0"),
        ("hexadecimal", "0=0x10", ":4", "parameter 0"),
        ("underscore", "0=1_0", ":4", "parameter 0"),
        ("space", "0= 1", ":4"),
        ("open-string", '0="abc', ":4"),
        ("long-string", f'0="{"a" * 300}"', ":4", "255"),
    )
)

_WEIGHTED = tuple(
    Hostile(
        id=f"param/weighted/{name}",
        kind=".param",
        words=(*AUDIT, "--bin", "m.bin"),
        make=at(m__param=f"{HEAD}{layer}\n", m__bin=bytes(4 + 144 + 16)),
        shown=layer,
        names=(r"m\.(param|bin)", r"\bw\b"),
    )
    for name, layer in (
        ("negative-outputs", "InnerProduct w 1 1 x y 0=-4 1=0 2=16"),
        ("zero-outputs", "InnerProduct w 1 1 x y 0=0 1=0 2=16"),
        ("negative-weights", "InnerProduct w 1 1 x y 0=4 1=0 2=-16"),
        ("wrong-weights", "InnerProduct w 1 1 x y 0=3 1=0 2=16"),
        ("half-outputs", "InnerProduct w 1 1 x y 0=1.5 1=0 2=16"),
        ("zero-kernel", "Convolution w 1 1 x y 0=4 1=0 6=36"),
    )
)

_COMPUTED = tuple(
    # The sizes agree: only who computes it finds out, and asks a build of ncnn what it says.
    Hostile(
        id=f"param/computed/{name}",
        kind=".param",
        words=MATRIX_RUN,
        make=at(
            c__toml=MODEL + CONFIG.replace("[1, 3]", "[1, 1, 5, 5]"),
            m__param=f"{HEAD}{layer}\n",
            m__bin=bytes(4 + 144) if "onvolution" in layer else b"",
        ),
        shown=layer,
        ends=USAGE | FETCHED,
    )
    for name, layer in (
        ("negative-stride", "Convolution w 1 1 x y 0=4 1=3 3=-1 6=36"),
        ("zero-stride", "Convolution w 1 1 x y 0=4 1=3 3=0 6=36"),
        ("zero-dilation", "Convolution w 1 1 x y 0=4 1=3 2=0 6=36"),
        ("zero-group", "ConvolutionDepthWise w 1 1 x y 0=4 1=3 6=36 7=0"),
        ("three-groups", "ConvolutionDepthWise w 1 1 x y 0=4 1=3 6=36 7=3"),
        ("too-large-a-kernel", "Convolution w 1 1 x y 0=1 1=6 6=36"),
        ("2^31-of-padding", "Convolution w 1 1 x y 0=4 1=3 4=2147483647 6=36"),
        ("zero-slices", "Slice w 1 1 x y -23300=1,0"),
        ("zero-pooling", "Pooling w 1 1 x y 0=0 1=0 2=0"),
        ("huge-tile", "Tile w 1 1 x y 0=0 1=2147483647"),
        ("huge-interp", "Interp w 1 1 x y 0=1 3=2147483647 4=2147483647"),
        ("huge-reshape", "Reshape w 1 1 x y 0=2147483647"),
        ("crop-beyond", "Crop w 1 1 x y 0=100 1=100 3=1 4=1"),
    )
)

_EITHER = tuple(
    _case(f"either/{name}", text, ends=USAGE | REPORTED)
    for name, text in (
        ("bom", b"\xef\xbb\xbf" + PARAM.encode()),
        ("word-for-a-number", _relu("0=x=")),
        ("nan", _relu("0=nan")),
        ("string-for-a-number", _relu('0="abc"')),
        ("array-for-a-number", _relu("0=1,2")),
        ("nothing-but-an-input", "7767517\n1 1\nInput x 0 1 x\n"),
        ("unknown-type", HEAD + "Nonsense r 1 1 x y\n"),
        ("type-escape", HEAD + "\x1b[31mReLU r 1 1 x y\n"),
        ("type-up", HEAD + "../../ReLU r 1 1 x y\n"),
        ("lower-case", HEAD + "relu r 1 1 x y\n"),
        ("nothing-to-feed", _graph("MemoryData m 0 1 x 0=3\nReLU r 1 1 x y")),
        # Words that are no pairs begin a layer that the header does not announce.
        ("arabic-key", _relu("٠=1")),
        ("lone-word", _relu("hello")),
        # ncnn does not read further either, see `Param.unread`.
        ("fewer-layers", PARAM.replace("2 2", "1 2")),
    )
)
"""A version of ncnn, or a fork, may take it: said or not, nothing bad comes of it."""

_FINE = tuple(
    _case(f"taken/{name}", text, ends=REPORTED)
    for name, text in (
        ("crlf", PARAM.replace("\n", "\r\n")),
        ("no-newline-at-the-end", PARAM.rstrip("\n")),
        ("all-in-one-line", PARAM.replace("\n", " ")),
        ("more-blobs", PARAM.replace("2 2", "2 3")),
        ("unicode-names", PARAM.replace(" r ", " réseau\u0301 ").replace(" y", " выход")),
        ("names-like-paths", PARAM.replace(" r ", " /model/../r ").replace(" y", " ../../y")),
        ("windows-path", PARAM.replace(" r ", " C:\\r ").replace(" y", " con")),
        ("option-like", PARAM.replace(" r ", " --r ").replace(" y", " -y")),
        ("html", PARAM.replace(" r ", " <script>alert(1)</script> ")),
        ("minus-zero", _relu("0=-0.0")),
        ("plus", _relu("0=+1")),
        ("bidi", PARAM.replace(" r ", " \u202er ")),
        ("ten-thousand-layers", _chain(10_000)),
    )
)


_WHOLE = HEAD + "Convolution c 1 1 x y 0=4 1=3 6=36\n"
_CUTS = tuple(
    _case(f"cut-at-{size}", _WHOLE[:size], ends=USAGE)
    for size in (1, 3, 7, 8, 9, 11, 13, 20, 22, 24, 27, 33, 38, 40, 42, 44)
)

_PLACES = tuple(
    Hostile(
        id=f"param/place/{name}",
        kind=".param",
        words=AUDIT,
        make=then(at(), make),
        names=(P,),
    )
    for name, make in (
        ("directory", directory("m.param")),
        ("pipe", fifo("m.param")),
        ("link-in-a-circle", link("m.param", "m.param")),
        ("zero", link("m.param", "/dev/zero")),
        ("random", link("m.param", "/dev/urandom")),
        ("sparse", sparse("m.param")),
        ("absent", link("m.param", "absent")),
    )
)

CASES = (*_HEADERS, *_LAYERS, *_PAIRS, *_WEIGHTED, *_COMPUTED, *_EITHER, *_FINE, *_CUTS, *_PLACES)
