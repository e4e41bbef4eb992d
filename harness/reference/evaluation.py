"""Every value of an ONNX graph, computed in float32 by ONNX Runtime or in float64 by onnx."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx.reference import ReferenceEvaluator

from harness.domain.spec import content_key
from harness.reference.operators import corrections
from harness.reference.to_float64 import widened
from harness.util.errors import ModelError
from harness.util.files import sha256_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

EVALUATORS = {
    "fp32": f"onnxruntime {onnxruntime.__version__}, no graph optimisations, one thread",
    "float64": f"onnx {onnx.__version__}, widened to float64, operators corrected",
}
"""What computes each kind of reference; part of a stored reference's key."""


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
            raise _broken(path, error) from error
        if not proto.graph.output:
            raise _broken(path, "it has no graph")
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

    def content(self) -> str:
        """Return a key of the model's bytes, those of external tensor files included."""
        external = {
            entry.value
            for tensor in self.proto.graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
        try:
            digests = {name: sha256_of(self.path.parent / name) for name in sorted(external)}
        except OSError as error:
            raise _broken(self.path, error) from error
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
            name: np.ascontiguousarray(inputs[name], dtype=dtype)
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


def evaluate(
    onnx_path: Path,
    inputs: Mapping[str, Array],
    wanted: Collection[str] | None = None,
    *,
    threads: int = 1,
) -> dict[str, Array]:
    """Compute values of a graph with ONNX Runtime on the CPU, in the types of the file.

    Graph optimisations are off: each value is what its own node computes from its inputs, nothing
    is fused, folded or reordered, and asking for more values does not change any of them.

    Args:
        onnx_path: the model.
        inputs: one array per input; converted to the type that the graph declares.
        wanted: names of the values to return; None for all that depend on an input.
        threads: threads within one operator; one gives the same bits every time.

    Returns:
        The values by name, graph inputs included, in the shapes of the ONNX graph. Values that
        are no arrays of numbers (strings, sequences) are left out.

    Raises:
        ModelError: the model or the inputs are refused, or a wanted value does not exist.
    """
    graph = OnnxGraph.load(onnx_path)
    feeds = graph.feeds(inputs)
    names = graph.select(wanted)
    fetched = [name for name in names if name not in feeds]
    values = dict(feeds)
    if fetched:
        session = _session(graph, fetched, threads)
        try:
            values.update(zip(fetched, session.run(fetched, feeds), strict=True))
        except Exception as error:  # ONNX Runtime's errors have no common base
            raise _refused(graph, feeds, "ONNX Runtime", error) from error
    return _numbers(names, values)


def _session(graph: OnnxGraph, fetched: list[str], threads: int) -> onnxruntime.InferenceSession:
    model = onnx.ModelProto()
    model.CopyFrom(graph.proto)
    # ONNX Runtime infers the types of outputs that have none, symbolic shapes included.
    model.graph.output.extend(
        onnx.ValueInfoProto(name=name) for name in fetched if name not in graph.outputs
    )
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    folder = str(graph.path.resolve().parent)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise _broken(graph.path, error) from error


def evaluate_float64(
    onnx_path: Path, inputs: Mapping[str, Array], wanted: Collection[str] | None = None
) -> dict[str, Array]:
    """Compute values of a graph in float64 with onnx's reference evaluator.

    All float types of the graph are widened (see `to_float64.py`), so that the result is
    free of rounding but for that of the weights and attributes in the file itself.

    Arguments, result and errors are those of `evaluate`.
    """
    graph = OnnxGraph.load(onnx_path)
    feeds = {
        name: array.astype(np.float64) if array.dtype.kind == "f" else array
        for name, array in graph.feeds(inputs).items()
    }
    names = graph.select(wanted)
    try:
        model = onnx.ModelProto()
        model.CopyFrom(graph.proto)
        onnx.load_external_data_for_model(model, str(graph.path.parent))
        evaluator = ReferenceEvaluator(widened(model), new_ops=corrections(model))
        values = dict(evaluator.run(None, feeds, intermediate=True))
    except Exception as error:  # whatever an operator's formula runs into
        raise _refused(graph, feeds, "onnx's reference evaluator", error) from error
    return _numbers(names, values)


def _numbers(names: list[str], values: Mapping[str, Any]) -> dict[str, Array]:
    return {
        name: values[name]
        for name in names
        if isinstance(values[name], np.ndarray) and values[name].dtype.kind in "fiub"
    }


def _broken(path: Path, error: object) -> ModelError:
    return ModelError(
        f"{path}: not a complete, valid ONNX model ({_line(error)}). Export or download it again."
    )


def _refused(
    graph: OnnxGraph, feeds: Mapping[str, Array], evaluator: str, error: object
) -> ModelError:
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
    return ModelError(
        f"{graph.path}: {evaluator} cannot run it with the inputs {shapes} ({_line(error)}). "
        "Correct the input's `shape`, or simplify the graph where an operator is not supported."
    )


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
