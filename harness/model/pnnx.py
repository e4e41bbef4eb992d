"""From ONNX to ncnn by `pnnx`, the converter of ncnn's own authors, taken out of its wheel.

The program in the wheel needs nothing else, so that nothing is installed. Its files are kept in the
store by all that they depend on.
"""

from __future__ import annotations

import contextlib
import json
import re
import stat
import zipfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx

from harness.config.tables import DEFAULT_CONVERTER
from harness.domain.spec import content_key
from harness.model.input_shapes import GraphInput, Shapes, graph_inputs
from harness.model.onnx_graph import OnnxGraph, broken_model
from harness.model.param import Param, read_param
from harness.sources.download import distribution
from harness.util.archives import read_member
from harness.util.codes import Code
from harness.util.errors import ModelError, SourceError
from harness.util.files import sha256_of
from harness.util.process import run
from harness.util.scratch import scratch_directory
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.domain.spec import ModelSpec
    from harness.util.build_store import Store
    from harness.util.process import Completed

PROJECT = "pnnx"
VERSION = DEFAULT_CONVERTER.partition(" ")[2]
SECONDS = 600.0
SCHEMA = 1
"""To be raised when the way in which pnnx is run changes."""
OTHERS = ("20260526", "20250530")
"""Versions to try where another one fails."""

_OWN_PARAM = "model.pnnx.param"
_PARAM, _BIN, _ABOUT = "model.ncnn.param", "model.ncnn.bin", "conversion.json"
_TYPES = {"f8": "f64", "f4": "f32", "f2": "f16", "i8": "i64", "i4": "i32", "i2": "i16", "i1": "i8"}
_COLOURS = re.compile(r"\x1b\[[\d;]*m")
_LEFT_OVER = re.compile(r"^ignore (\S+) \S+ param ", re.MULTILINE)
"""A layer that keeps a parameter by name, which ncnn does not have, was not converted."""
_END = re.compile(r"^pnnx\.(In|Out)put +\w*?(\d+) ", re.MULTILINE)
"""An input or output in pnnx's own file, with its number in the ONNX graph."""
_DOUBTFUL = re.compile(r"not supported|does not support", re.IGNORECASE)
_TELLING = re.compile(
    r"fail|error|expect|unsupported|not supported|not a registered|terminate|what\(\)|^todo ",
    re.IGNORECASE,
)
_STEP = re.compile(r"^\w+ \.\.\. +")
"""In front of what a step says."""
_ALWAYS_SAID = ("open failed",)
"""Said whenever it looks for models of other kinds."""


@dataclass(frozen=True, kw_only=True)
class PnnxFiles:
    """What pnnx made of an ONNX model."""

    param: Path
    bin: Path
    names: dict[str, str]
    """ncnn blob → ONNX value, for inputs and outputs."""
    notes: tuple[str, ...]
    """How it was made, and what pnnx said that casts doubt on it."""


def convert(spec: ModelSpec, store: Store) -> PnnxFiles:
    """Convert the ONNX model of a specification, or find what was made of it before.

    Raises:
        ModelError: pnnx does not convert it, or not all of it, or a shape is missing or wrong.
        MachineError: there is no pnnx for this machine.
        SourceError: there is no such version of it.
    """
    path = Path(spec.onnx)
    graph = OnnxGraph.load(path)
    inputs = graph_inputs(graph)
    shapes = _two_shapes([_complete(path, inputs, dict(pairs)) for pairs in spec.shapes or ((),)])
    version = spec.converter.partition(" ")[2]
    key = content_key([SCHEMA, version, graph.content(), shapes])
    folder = store.models / f"pnnx-{key}"
    with store.lock(folder.name):
        if not is_intact(folder):
            program = _program(version, store)
            with sealed(folder) as work:
                _make(program, version, graph, inputs, shapes, work, store.logs / f"pnnx-{key}.log")
    about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
    return PnnxFiles(
        param=folder / _PARAM,
        bin=folder / _BIN,
        names=about["names"],
        notes=(f"{path.name}: {about['made']}", *about["doubts"]),
    )


def _complete(path: Path, inputs: Sequence[GraphInput], given: Shapes) -> Shapes:
    """Return a shape for each input; what the model itself fixes need not be given.

    Raises:
        ModelError: one is missing, or does not fit the model.
    """
    if "" in given and len(inputs) > 1:
        names = ", ".join(source.name for source in inputs)
        raise ModelError(
            f"{path}: it has several inputs ({names}), so that `shape` is not clear. Give "
            "`shapes` = { NAME = [..], .. } in the configuration's [inputs].",
            code=Code.INPUT_SHAPE,
        )
    shapes = {}
    for source in inputs:
        shape = given.get(source.name, given.get("", ()))
        if not shape and not source.open_axes:
            shape = tuple(int(extent) for extent in source.axes)
        elif not source.fits(shape):
            what = f"{list(shape)} is" if shape else "nothing is"
            raise ModelError(
                f"{path}: input {source.name} has the shape {source.shape_text}, and {what} given "
                "for it. Give a shape that fits, with a size from 1 on for each symbolic axis.",
                code=Code.INPUT_SHAPE,
            )
        shapes[source.name] = tuple(shape)
    return shapes


def _two_shapes(all_shapes: list[Shapes]) -> list[Shapes]:
    """Return the first shapes, and those of the others that leave most axes open."""

    def differing(shapes: Shapes) -> int:
        pairs = ((a, b) for n in shapes for a, b in zip(shapes[n], first[n], strict=True))
        return sum(a != b for a, b in pairs)

    first, *others = all_shapes
    other = max(others, key=differing, default=first)
    return [first, other] if differing(other) else [first]


def _program(version: str, store: Store) -> Path:
    """Return the program, taken out of its wheel if need be."""
    with contextlib.ExitStack() as stack:
        try:
            wheel = stack.enter_context(
                distribution(PROJECT, version, kind="wheel", cache=store.downloads)
            )
        except SourceError as error:
            raise SourceError(
                f"{error} It would convert the ONNX model: convert it elsewhere and give param and "
                "bin.",
                code=error.code,
            ) from error
        folder = store.models / f"pnnx-program-{version}-{sha256_of(wheel)[:16]}"
        with store.lock(folder.name):
            if not is_intact(folder):
                with sealed(folder) as work:
                    _unpack(wheel, work / PROJECT)
    return folder / PROJECT


def _unpack(wheel: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            programs = [i for i in archive.infolist() if Path(i.filename).stem == PROJECT]
            largest = max(programs, key=lambda item: item.file_size, default=None)
            if largest is None or largest.is_dir():
                raise KeyError("no such program")
            target.write_bytes(read_member(archive, largest))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{wheel.name}: {PROJECT} cannot be taken out of it ({error}). Run again; if it stays "
            "so, choose another version, or check pip's index-url and find-links.",
            code=Code.NOT_CONVERTED,
        ) from error
    target.chmod(target.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)


def _make(
    program: Path,
    version: str,
    graph: OnnxGraph,
    inputs: Sequence[GraphInput],
    shapes: list[Shapes],
    work: Path,
    log: Path,
) -> None:
    """Run pnnx, check what it wrote, and put that and what is known of it into a folder."""
    with scratch_directory("pnnx-") as scratch:
        _lay(graph, scratch / "model.onnx")
        keys = ("inputshape", "inputshape2")
        sizes = [f"{k}={_sizes(inputs, s)}" for k, s in zip(keys, shapes, strict=False)]
        # It infers shapes by running the model on memory that it does not fill; zeros are the
        # integers that are sure to be valid, and make the result the same every time.
        done = run(
            [program, "model.onnx", *sizes, "fp16=0"],
            log=log,
            timeout=SECONDS,
            cwd=scratch,
            env={"MALLOC_PERTURB_": "255"},
        )
        said = _COLOURS.sub("", done.output)
        if not done.ok or not (scratch / _PARAM).is_file():
            what = f"did not convert it ({_last_words(done, said)})"
            raise _refusal(graph.path, version, what, log)
        try:
            param = read_param(scratch / _PARAM)
        except ModelError as error:
            what = f"wrote what ncnn cannot use ({error})"
            raise _refusal(graph.path, version, what, log) from error
        problem = _problem(param, said)
        if problem:
            raise _refusal(graph.path, version, problem, log)
        own = (scratch / _OWN_PARAM).read_bytes().decode(errors="replace")
        for name in (_PARAM, _BIN):
            (work / name).write_bytes((scratch / name).read_bytes())
    words = [", ".join(f"{name} {list(s)}" for name, s in each.items()) for each in shapes]
    left_open = ", whose differing axes are left open" if len(shapes) > 1 else ""
    about = {
        "made": f"converted by pnnx {version} for {' and '.join(words)}{left_open}",
        "doubts": _doubts(said, log),
        "names": _names(param, own, [source.name for source in inputs], graph.outputs),
    }
    (work / _ABOUT).write_text(json.dumps(about, indent=1), encoding="utf-8")


def _lay(graph: OnnxGraph, target: Path) -> None:
    """Put the model where pnnx may write beside it, with all tensors in one file.

    What is in half precision is given in single, as ncnn's files will have it.
    """
    if not (graph.external_files or graph.is_half):
        target.symlink_to(graph.path.resolve())
        return
    try:
        onnx.save(graph.complete(), target)
    except (OSError, ValueError) as error:
        raise broken_model(graph.path, error) from error


def _sizes(inputs: Sequence[GraphInput], shapes: Shapes) -> str:
    """Return shapes and types as pnnx takes them: `[1,3,48,320]f32,[1,16]i64`."""
    return ",".join(
        f"[{','.join(map(str, shapes[source.name]))}]{_type(source)}" for source in inputs
    )


def _type(source: GraphInput) -> str:
    kind = "i1" if source.dtype == np.bool_ else source.dtype.str[1:]
    return _TYPES.get(kind.replace("u", "i"), "f32")


def _refusal(path: Path, version: str, what: str, log: Path) -> ModelError:
    """Return what is said where pnnx makes nothing, or nothing usable, of a model."""
    other = next(name for name in OTHERS if name != version)
    return ModelError(
        f"{path}: pnnx {version} {what} (log: {log}). Try another version (--converter 'pnnx "
        f"{other}'), simplify the model (onnxsim), or convert it by other means and give param and "
        "bin.",
        code=Code.NOT_CONVERTED,
    )


def _last_words(done: Completed, said: str) -> str:
    """Return how pnnx ended, with what it said of it."""
    lines = [_STEP.sub("", line.strip(" #")) for line in said.splitlines()]
    lines = [line for line in lines if line and line not in _ALWAYS_SAID]
    telling = [line for line in lines if _TELLING.search(line)] or lines
    return f"{done.fate}: {_short(telling[-1])}" if telling else done.fate


def _short(line: str) -> str:
    return line if len(line) <= 200 else f"{line[:200]} …"


def _problem(param: Param, said: str) -> str:
    """Return what is wrong with the file that pnnx wrote; empty if all of it is ncnn's."""
    types = {layer.type for layer in param.layers}
    if not types - {"Input", "MemoryData", "Split"}:
        return "made no layers of it"
    # `torch.eq`, `aten::index`, `nn.GRU` and the like are names of operators, not of layers.
    foreign = {name for name in types if "." in name or "::" in name}
    left_over = sorted(foreign | (types & set(_LEFT_OVER.findall(said))))
    if not left_over:
        return ""
    return f"could not convert {', '.join(left_over)}, and wrote what no ncnn has a layer for"


def _doubts(said: str, log: Path) -> list[str]:
    """Return what pnnx passed over in one line, if there was anything."""
    lines = (line.strip() for line in said.splitlines())
    counts = Counter(_short(line) for line in lines if _DOUBTFUL.search(line))
    words = [f"'{line}'" + f" ({n} times)" * (n > 1) for line, n in counts.items()]
    if not words:
        return []
    return [
        f"pnnx says {', '.join(words)}: what it made may compute something else, which the model's "
        f"output shows (log: {log})"
    ]


def _names(param: Param, own: str, inputs: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """Return which values the blobs `in0`, `in1`, …, `out0`, … hold.

    They are numbered anew where pnnx drops an input that nothing depends on; its own file still has
    the numbers of the ONNX graph.
    """
    names: dict[str, str] = {}
    blobs = set(param.blobs)
    ends = [(kind.lower(), int(number)) for kind, number in _END.findall(own)]
    for kind, values in (("in", inputs), ("out", outputs)):
        numbers = [number for end, number in ends if end == kind and number < len(values)]
        left = [values[number] for number in numbers] or list(values)
        names |= {f"{kind}{at}": value for at, value in enumerate(left) if f"{kind}{at}" in blobs}
    return names
