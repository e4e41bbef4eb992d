"""ONNX files: the structure by `matrix --list`, which reads inputs; the numbers by a whole run."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.hostile.case import FETCHED, TAKEN, USAGE, Hostile, nothing
from tests.hostile.making import (
    CONFIG,
    LIST,
    MATRIX_RUN,
    ONNX_MODEL,
    at,
    link,
    sparse,
    then,
)
from tests.model.onnx_text import model

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from onnx import ModelProto

    Edit = Callable[[ModelProto], object]

M = r"m\.onnx"
INNER = "7767517\n2 2\nInput x 0 1 x\nInnerProduct w 1 1 x y 0=2 1=0 2=6\n"
WEIGHT = np.arange(6, dtype=np.float32).reshape(3, 2)


def good() -> ModelProto:
    """Return a valid model of one product."""
    return model({"x": (1, 3)}, "y = MatMul(x, w)", {"w": WEIGHT})


def _edited(edit: Edit) -> bytes:
    proto = good()
    edit(proto)
    data: bytes = proto.SerializeToString()
    return data


def _case(
    name: str,
    data: bytes | Callable[[], bytes],
    *names: str,
    whole: bool = True,
    ends: frozenset[int] = USAGE,
    more: Callable[..., None] | None = None,
) -> Hostile:
    """Return a case: `whole` runs the matrix up to the sources of ncnn."""
    make = at(
        c__toml=(ONNX_MODEL if whole else "") + CONFIG,
        m__onnx=data,
        m__param=INNER,
        m__bin=bytes(4) + WEIGHT.T.tobytes(),
    )
    return Hostile(
        id=f"onnx/{name}",
        kind="ONNX",
        words=MATRIX_RUN if whole else (*LIST, "--onnx=m.onnx"),
        make=then(make, more) if more else make,
        shown=name,
        names=(M, *names) if ends == USAGE else (),
        ends=ends,
        seconds=90.0,
    )


def _weights(array: NDArray[np.float32]) -> Edit:
    return lambda proto: proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(array, "w"))


def _tensor(**fields: object) -> Edit:
    """Return what sets fields of the weight as they are, consistent or not."""

    def edit(proto: ModelProto) -> None:
        tensor = proto.graph.initializer[0]
        for name, value in fields.items():
            tensor.ClearField(name)
            if isinstance(value, list):
                getattr(tensor, name).extend(value)
            else:
                setattr(tensor, name, value)

    return edit


def _nodes(text: str, **constants: object) -> Callable[[], bytes]:
    arrays = {name: np.asarray(value) for name, value in {"w": WEIGHT, **constants}.items()}
    return lambda: model({"x": (1, 3)}, text, arrays).SerializeToString()


def _input(**fields: object) -> Edit:
    def edit(proto: ModelProto) -> None:
        kind = proto.graph.input[0].type.tensor_type
        if "elem" in fields:
            kind.elem_type = fields["elem"]
        if "shape" in fields:
            del kind.shape.dim[:]
            for extent in fields["shape"]:  # type: ignore[attr-defined]
                kind.shape.dim.add(dim_value=extent)

    return edit


def _external(location: str, offset: str = "0", length: str = "24") -> Edit:
    def edit(proto: ModelProto) -> None:
        tensor = proto.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("offset", offset), ("length", length)):
            tensor.external_data.add(key=key, value=value)

    return edit


GOOD = good().SerializeToString()
_FILES = tuple(
    _case(f"file/{name}", data, whole=False)
    for name, data in (
        ("empty", b""),
        ("nul", bytes(100)),
        ("text", b"7767517\n2 2\n"),
        ("pickle", b"\x80\x04cposix\nsystem\n(S'touch pwned'\ntR."),
        ("zip", b"PK\x03\x04" + bytes(60)),
        ("long-field", b"\x3a\xff\xff\xff\xff\x0f"),
        ("deep", b"\x3a\xff\x7f" * 5000),
        ("endless-varint", b"\xff" * 1000),
        *((f"cut-at-{size}", GOOD[:size]) for size in (1, 2, 5, 10, 20, 40, 60, len(GOOD) - 1)),
    )
)
_TAKEN = (_case("whole", GOOD, ends=FETCHED), _case("list", GOOD, whole=False, ends=TAKEN))

_GRAPHS = tuple(
    _case(f"graph/{name}", partial(_edited, edit), *names)
    for name, edit, *names in (
        ("no-output", lambda p: p.graph.ClearField("output")),
        ("no-input", lambda p: p.graph.ClearField("input")),
        ("no-nodes", lambda p: p.graph.ClearField("node")),
        ("unnamed-input", lambda p: setattr(p.graph.input[0], "name", "")),
        ("two-inputs-of-a-name", lambda p: p.graph.input.append(p.graph.input[0]), "x"),
        ("unknown-operator", lambda p: setattr(p.graph.node[0], "op_type", "Nonsense"), "Nonsense"),
        ("unknown-domain", lambda p: setattr(p.graph.node[0], "domain", "evil.com")),
        ("empty-operator", lambda p: setattr(p.graph.node[0], "op_type", "")),
        ("no-opset", lambda p: p.ClearField("opset_import")),
        ("opset-0", lambda p: setattr(p.opset_import[0], "version", 0)),
        ("opset-2^62", lambda p: setattr(p.opset_import[0], "version", 2**62)),
        ("opset-negative", lambda p: setattr(p.opset_import[0], "version", -1)),
        ("ir-2^62", lambda p: setattr(p, "ir_version", 2**62)),
        ("no-initialiser", lambda p: p.graph.ClearField("initializer"), "w"),
        ("two-of-a-name", lambda p: p.graph.initializer.append(p.graph.initializer[0]), "w"),
        ("made-by-nobody", lambda p: p.graph.node[0].input.append("nowhere")),
        ("own-input", lambda p: p.graph.node[0].input.__setitem__(0, "y")),
        ("output-of-nobody", lambda p: setattr(p.graph.output[0], "name", "nowhere"), "nowhere"),
        ("output-twice-made", lambda p: p.graph.node.append(p.graph.node[0]), "y"),
        ("initialiser-is-output", lambda p: p.graph.node[0].output.__setitem__(0, "w")),
        (
            "ring",
            lambda p: p.graph.node.extend(
                [helper.make_node("Relu", ["b"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
            ),
        ),
        ("weights-nan", _weights(np.full((3, 2), np.nan, np.float32)), "(?i)nan|finite"),
        ("weights-infinite", _weights(np.full((3, 2), np.inf, np.float32)), "(?i)nan|inf|finite"),
        ("dims-negative", _tensor(dims=[-3, -2])),
        ("dims-wrap", _tensor(dims=[2**32, 2**32])),
        ("dims-huge", _tensor(dims=[2**62, 2])),
        ("dims-more", _tensor(dims=[3, 3])),
        ("dims-fewer", _tensor(dims=[3, 1])),
        ("dims-seventy", _tensor(dims=[1] * 70)),
        ("raw-short", _tensor(raw_data=bytes(23))),
        ("raw-long", _tensor(raw_data=bytes(25))),
        ("raw-empty", _tensor(raw_data=b"")),
        ("type-0", _tensor(data_type=0)),
        ("type-99", _tensor(data_type=99)),
        ("strings", _tensor(data_type=8, raw_data=b"", string_data=[b"a"] * 6)),
        ("input-type-0", _input(elem=0), "x"),
        ("input-type-99", _input(elem=99), "x"),
        ("input-strings", _input(elem=8), "x"),
        ("input-complex", _input(elem=14), "x"),
        ("input-huge", _input(shape=[1, 2**62])),
        ("input-seventy-axes", _input(shape=[1] * 70)),
    )
)

# Who asks for the model on the command line is told of `--shape`.
_LARGE = Hostile(
    id="onnx/made-up/4-gib",
    kind="ONNX",
    words=(*LIST, "--onnx=m.onnx"),
    make=at(m__onnx=partial(_edited, _input(shape=[1, 3, 20000, 20000]))),
    shown="an input of 1 × 3 × 20000 × 20000",
    names=("--shape", "20000"),
)
_LISTED = tuple(
    _case(f"made-up/{name}", partial(_edited, edit), *names, whole=False)
    for name, edit, *names in (
        ("strings", _input(elem=8), "x"),
        ("type-99", _input(elem=99), "x"),
        ("huge", _input(shape=[2**40, 2**40]), "x"),
        ("negative", _input(shape=[1, -3]), "x"),
        ("seventy-axes", _input(shape=[2] * 70), "x"),
    )
)


def _ten_thousand_inputs(proto: ModelProto) -> None:
    for number in range(10_000):
        proto.graph.input.append(
            helper.make_tensor_value_info(f"i{number}", TensorProto.FLOAT, [1])
        )


def _sequence(proto: ModelProto) -> None:
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    proto.graph.input.append(helper.make_value_info("s", kind))


def _optional(proto: ModelProto) -> None:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    proto.graph.input.append(helper.make_value_info("s", kind))


def _recursive(proto: ModelProto) -> None:
    """Add a function that calls itself."""
    node = helper.make_node("F", ["a"], ["b"], domain="d")
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("d", 1)]
    proto.functions.append(helper.make_function("d", "F", ["a"], ["b"], [node], opsets))
    proto.opset_import.append(helper.make_opsetid("d", 1))
    proto.graph.node.append(helper.make_node("F", ["x"], ["f"], domain="d"))


def _doubling(proto: ModelProto) -> None:
    """Add functions that each call the one before twice: 2^40 nodes when they are written out."""
    proto.opset_import.append(helper.make_opsetid("d", 1))
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("d", 1)]
    for level in range(40):
        before = {"op": f"F{level - 1}", "domain": "d"} if level else {"op": "Relu", "domain": ""}
        nodes = [
            helper.make_node(before["op"], [given], [made], domain=before["domain"])
            for given, made in (("a", "c"), ("c", "b"))
        ]
        proto.functions.append(helper.make_function("d", f"F{level}", ["a"], ["b"], nodes, opsets))
    proto.graph.node.append(helper.make_node("F39", ["x"], ["f"], domain="d"))


def _loop(trips: int) -> Edit:
    def edit(proto: ModelProto) -> None:
        body = helper.make_graph(
            [
                helper.make_node("Identity", ["go"], ["go_on"]),
                helper.make_node("Relu", ["carried"], ["carry"]),
            ],
            "body",
            [
                helper.make_tensor_value_info("i", TensorProto.INT64, []),
                helper.make_tensor_value_info("go", TensorProto.BOOL, []),
                helper.make_tensor_value_info("carried", TensorProto.FLOAT, [1, 2]),
            ],
            [
                helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
                helper.make_tensor_value_info("carry", TensorProto.FLOAT, [1, 2]),
            ],
        )
        proto.graph.node[0].output[0] = "product"
        proto.graph.initializer.append(numpy_helper.from_array(np.array(trips), "trips"))
        proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "start"))
        node = helper.make_node("Loop", ["trips", "start", "product"], ["y"], body=body)
        proto.graph.node.append(node)

    return edit


def _deep(levels: int) -> Edit:
    """Return what puts a branch into a branch into a branch."""

    def edit(proto: ModelProto) -> None:
        inner = helper.make_node("Relu", ["x"], ["z"])
        for level in range(levels):
            out = [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)]
            graph = helper.make_graph([inner], f"g{level}", [], out)
            inner = helper.make_node("If", ["c"], ["z"], then_branch=graph, else_branch=graph)
            if level > 8:  # both branches would double it each time
                inner.attribute[1].ClearField("g")
        proto.graph.node.append(inner)

    return edit


_ODD = (
    _case(
        "odd/ten-thousand-inputs",
        lambda: _edited(_ten_thousand_inputs),
        ends=USAGE | FETCHED,
    ),
    *(
        _case(f"odd/{name}", partial(_edited, edit), ends=USAGE | FETCHED)
        for name, edit in (
            ("ir-0", lambda p: setattr(p, "ir_version", 0)),
            ("input-of-minus-3", _input(shape=[1, -3])),
            ("two-kinds-of-data", _tensor(float_data=[1.0] * 6)),
        )
    ),
    _case("odd/sequence", lambda: _edited(_sequence), "s"),
    _case("odd/optional", lambda: _edited(_optional), "s"),
    _case("odd/recursive-function", lambda: _edited(_recursive)),
    _case("odd/deep-branches", lambda: _edited(_deep(20))),
    *(
        Hostile(
            id=f"onnx/odd/{name}",
            kind="ONNX",
            words=MATRIX_RUN,
            make=at(
                c__toml=f"{ONNX_MODEL}{CONFIG}[limits]\nreference_seconds = 5\n",
                m__onnx=partial(_edited, edit),
                m__param=INNER,
                m__bin=bytes(4) + WEIGHT.T.tobytes(),
            ),
            shown=shown,
            names=(M, "reference_seconds|memory"),
            seconds=90.0,
        )
        for name, edit, shown in (
            ("endless-loop", _loop(2**62), "Loop of 2^62 trips"),
            ("doubling-functions", _doubling, "40 functions that call each other twice"),
        )
    ),
)

_MEMORY = tuple(
    _case(f"memory/{name}", data)
    for name, data in (
        ("expand", _nodes("a = Expand(x, s) y = MatMul(x, w)", s=np.array([2**20, 2**20, 1, 3]))),
        ("tile", _nodes("a = Tile(x, s) y = MatMul(x, w)", s=np.array([2**30, 2**30]))),
        ("range", _nodes("a = Range(p, q, r) y = MatMul(x, w)", p=0, q=2**60, r=1)),
        ("constant-of-shape", _nodes("a = ConstantOfShape(s) y = MatMul(x, w)", s=[2**35, 2**20])),
        ("pad", _nodes("a = Pad(x, s) y = MatMul(x, w)", s=[0, 0, 2**33, 2**33])),
    )
)

_EXTERNAL = tuple(
    _case(f"external/{name}", partial(_edited, edit), *names, more=more)
    for name, edit, more, *names in (
        ("absent", _external("nowhere"), nothing, "nowhere"),
        ("absolute", _external("/etc/passwd"), nothing, "passwd"),
        ("up", _external("../../../../etc/passwd"), nothing, "passwd"),
        ("zero", _external("/dev/zero"), nothing, "zero"),
        ("link-to-zero", _external("z"), link("z", "/dev/zero"), "z"),
        ("link-out", _external("z"), link("z", "/etc/passwd"), "z"),
        ("link-in-a-circle", _external("z"), link("z", "z"), "z"),
        ("itself", _external("m.onnx", length="100000000"), nothing),
        ("empty-name", _external(""), nothing),
        ("folder", _external("."), nothing),
        ("nul-in-the-name", _external("a\0b"), nothing),
        ("sparse", _external("z", length=str(1 << 40)), sparse("z"), "z"),
        ("offset-negative", _external("c.toml", offset="-1"), nothing),
        ("offset-beyond", _external("c.toml", offset=str(2**62)), nothing),
        ("offset-is-text", _external("c.toml", offset="0x10"), nothing),
        ("length-negative", _external("c.toml", length="-24"), nothing),
        ("length-digits", _external("c.toml", length="9" * 5000), nothing),
        ("length-wrong", _external("c.toml", length="4"), nothing),
    )
)

_CONFIGURED = tuple(
    Hostile(
        id=f"onnx/configured/{name}",
        kind="ONNX",
        words=MATRIX_RUN,
        make=at(c__toml=text, m__onnx=GOOD, m__param=param, m__bin=bytes(4) + WEIGHT.T.tobytes()),
        shown=name,
        names=names,
    )
    for name, text, param, names in (
        (
            "unknown-blob",
            f"{ONNX_MODEL}names = {{nowhere = 'y'}}\n{CONFIG}",
            INNER,
            ("nowhere",),
        ),
        ("unknown-value", f"{ONNX_MODEL}names = {{y = 'nowhere'}}\n{CONFIG}", INNER, ("nowhere",)),
        ("other-shape", f"{ONNX_MODEL}{CONFIG.replace('[1, 3]', '[1, 4]')}", INNER, ("shape|4",)),
        ("no-file", ONNX_MODEL.replace("m.onnx", "n.onnx") + CONFIG, INNER, (r"n\.onnx",)),
    )
)

CASES = (
    *(*_FILES, *_TAKEN, *_GRAPHS, *_LISTED, _LARGE, *_ODD, *_MEMORY, *_EXTERNAL, *_CONFIGURED),
)
