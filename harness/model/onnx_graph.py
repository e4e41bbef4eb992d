"""An ONNX file and the names in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from harness.domain.spec import content_key
from harness.model.onnx_tensors import check_tensors, data_place, is_external, location, tensors_in
from harness.model.onnx_words import check_words
from harness.model.widening import has_half, without_half
from harness.util.codes import Code
from harness.util.errors import ModelError
from harness.util.files import sha256_of
from harness.util.reading import read_bytes

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

MAX_BYTES = 2**31 - 1
"""The format itself ends here; models with more keep tensors in other files."""
_KINDS = {
    "sequence_type": "a sequence",
    "map_type": "a map",
    "optional_type": "optional",
    "sparse_tensor_type": "a sparse tensor",
}


@dataclass(frozen=True)
class OnnxGraph:
    """An ONNX file and the names in it; large tensors in other files are left where they are."""

    path: Path
    proto: onnx.ModelProto
    external_files: tuple[str, ...] = ()
    """Names of the files beside the model that hold tensors of it."""
    is_half: bool = False
    """Whether the file computes in half precision; `proto` has float32 in its place."""

    @classmethod
    def load(cls, path: Path) -> OnnxGraph:
        """Read a model.

        Raises:
            ModelError: the file is missing, truncated or no ONNX model, a tensor in it has not the
                data that its shape takes, a name is not in UTF-8, or no input or output is a tensor
                of numbers.
        """
        data = read_bytes(path, limit=MAX_BYTES, error=ModelError)
        try:
            proto = onnx.load_model_from_string(data)
        except DecodeError as error:
            raise broken_model(path, error) from error
        if not proto.graph.output:
            lacks = "outputs in its graph" if proto.graph.node else "graph"
            raise broken_model(path, f"it has no {lacks}")
        check_words(proto, path)
        check_tensors(proto, path)
        external = {location(t) for t in tensors_in(proto) if is_external(t)}
        graph = cls(path, proto, tuple(sorted(external)))
        if has_half(proto):
            graph = replace(graph, proto=without_half(graph.complete()), is_half=True)
        graph.check_ends()
        return graph

    def check_ends(self) -> None:
        """Make sure that inputs and outputs are what ncnn has: tensors of numbers.

        Raises:
            ModelError: an input is something else, or no output is such a tensor, or two constants
                have one name.
        """
        names = [tensor.name for tensor in self.proto.graph.initializer]
        given = set(names)
        if len(given) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise broken_model(self.path, f"two tensors are named '{twice[:80]}'")
        for value in self.proto.graph.input:
            is_typed = bool(value.type.tensor_type.elem_type)
            kind = _kind(value.type) or ("" if is_typed else "of no type")
            if kind and value.name not in given:
                raise ModelError(
                    f"{self.path}: its input '{value.name}' is {kind}, which ncnn cannot take. "
                    "Export the model from where its first tensor of numbers is known.",
                    code=Code.ONNX,
                )
        kinds = {value.name: _kind(value.type) for value in self.proto.graph.output}
        if all(kinds.values()):
            name, kind = next(iter(kinds.items()))
            raise ModelError(
                f"{self.path}: its output '{name}' is {kind}, which ncnn cannot give. Export the "
                "model up to its last tensor of numbers.",
                code=Code.ONNX,
            )

    def complete(self) -> onnx.ModelProto:
        """Return the model with the tensors of other files read.

        Raises:
            ModelError: they cannot be read.
        """
        model = onnx.ModelProto()
        model.CopyFrom(self.proto)
        for tensor in tensors_in(model):
            if is_external(tensor):
                _load(tensor, self.path)
        return model

    @cached_property
    def inputs(self) -> dict[str, np.dtype[Any]]:
        """Names and types of the inputs that a caller must give."""
        given = {tensor.name for tensor in self.proto.graph.initializer}
        return {
            value.name: onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            for value in self.proto.graph.input
            if value.name not in given
        }

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        """Names of the graph's outputs."""
        return tuple(value.name for value in self.proto.graph.output)

    @cached_property
    def computed(self) -> tuple[str, ...]:
        """Names of all values that nodes compute from the inputs, in the order of the file.

        Constants, and what follows from constants alone, are left out, but for graph outputs.
        """
        depends = set(self.inputs)
        names: dict[str, None] = {}
        for node in self.proto.graph.node:
            # A subgraph may read any value from outside without naming it as the node's input.
            inner = any(a.type == onnx.AttributeProto.GRAPH for a in node.attribute)
            if inner or not depends.isdisjoint(node.input):
                depends.update(node.output)
                names.update(dict.fromkeys(filter(None, node.output)))
        return tuple(names | dict.fromkeys(self.outputs))

    def content(self) -> str:
        """Return a key of the model's bytes, those of external tensor files included."""
        try:
            digests = {name: sha256_of(self.path.parent / name) for name in self.external_files}
        except OSError as error:
            raise broken_model(self.path, error) from error
        return content_key([sha256_of(self.path), digests])

    def feeds(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Return the inputs in the types that the graph declares.

        Raises:
            ModelError: one is missing, or the graph has no such input.
        """
        if set(inputs) != set(self.inputs):
            raise ModelError(
                f"{self.path}: its inputs are {sorted(self.inputs)}, but {sorted(inputs)} "
                "were given. Give one tensor for each.",
                code=Code.ONNX,
            )
        return {
            name: np.asarray(inputs[name], dtype=dtype, order="C")
            for name, dtype in self.inputs.items()
        }

    def select(self, wanted: Collection[str] | None) -> list[str]:
        """Return the names to evaluate: all, or those wanted, in the order of the file.

        Raises:
            ModelError: a wanted value is not in the graph.
        """
        names = [*self.inputs, *(name for name in self.computed if name not in self.inputs)]
        if wanted is None:
            return names
        for name in wanted:
            if name not in names:
                near = get_close_matches(name, names, n=1) or self.outputs
                raise ModelError(
                    f"{self.path}: no value {name!r} is computed in this graph. "
                    f"The nearest name is {near[0]!r}.",
                    code=Code.ONNX,
                )
        return [name for name in names if name in wanted]


def _kind(declared: onnx.TypeProto) -> str:
    """Return what a value is that is no tensor of numbers, in words; empty for such a tensor.

    An output may have no type at all: evaluators find it out.
    """
    kind = declared.WhichOneof("value")
    if kind in _KINDS:
        return _KINDS[kind]
    element = declared.tensor_type.elem_type
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(element) if element else np.dtype("f4")
    except (KeyError, TypeError, ValueError):
        return f"a tensor of type {element}, which ONNX does not have"
    if dtype.kind in "fiub":
        return ""
    return f"a tensor of {onnx.TensorProto.DataType.Name(element).lower()}"


def _load(tensor: onnx.TensorProto, path: Path) -> None:
    """Read the data of a tensor from the file beside the model, which was checked."""
    file, offset, length = data_place(tensor, path)
    try:
        with file.open("rb") as stream:
            stream.seek(offset)
            tensor.raw_data = stream.read(length)
    except (OSError, ValueError) as error:
        raise broken_model(path, error) from error
    tensor.ClearField("external_data")
    tensor.data_location = onnx.TensorProto.DEFAULT


def broken_model(path: Path, error: object) -> ModelError:
    """Return the error of a file that is no valid model."""
    return ModelError(
        f"{path}: not a complete, valid ONNX model ({one_line(error)}). Export or download it "
        "again.",
        code=Code.ONNX,
    )


def one_line(error: object) -> str:
    """Return what an error says, short and without line breaks."""
    return " ".join(str(error).split())[:300] or type(error).__name__
