"""An ONNX file and the names in it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from harness.domain.spec import content_key
from harness.util.errors import ModelError
from harness.util.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True)
class OnnxGraph:
    """An ONNX file and the names in it; large tensors in other files are left where they are."""

    path: Path
    proto: onnx.ModelProto

    @classmethod
    def load(cls, path: Path) -> OnnxGraph:
        """Read a model.

        Raises:
            ModelError: the file is missing, truncated or no ONNX model.
        """
        try:
            proto = onnx.load(path, load_external_data=False)
        except FileNotFoundError as error:
            raise ModelError(f"{path}: no such ONNX file. Correct the path.") from error
        except (OSError, DecodeError) as error:
            raise broken_model(path, error) from error
        if not proto.graph.output:
            raise broken_model(path, "it has no graph")
        return cls(path, proto)

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

    @cached_property
    def external_files(self) -> tuple[str, ...]:
        """Names of the files beside the model that hold tensors of it."""
        found = {
            entry.value
            for tensor in self.proto.graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
        return tuple(sorted(found))

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
                "were given. Give one tensor for each."
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
                    f"The nearest name is {near[0]!r}."
                )
        return [name for name in names if name in wanted]


def broken_model(path: Path, error: object) -> ModelError:
    """Return the error of a file that is no valid model."""
    return ModelError(
        f"{path}: not a complete, valid ONNX model ({one_line(error)}). Export or download it "
        "again."
    )


def one_line(error: object) -> str:
    """Return what an error says, short and without line breaks."""
    return " ".join(str(error).split())[:300] or type(error).__name__
