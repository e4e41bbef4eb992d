"""Every value of an ONNX graph, computed in float32 by ONNX Runtime or in float64 by onnx."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from harness.model.onnx_graph import OnnxGraph, broken_model, one_line
from harness.model.widening import as_float64
from harness.reference.finiteness import check_values
from harness.reference.operators import corrections
from harness.util.codes import Code
from harness.util.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    Array = NDArray[Any]

EVALUATORS = {
    "fp32": f"onnxruntime {onnxruntime.__version__}, half precision widened, no graph "
    "optimisations, one thread",
    "float64": f"onnx {onnx.__version__}, widened to float64, operators corrected",
}
"""What computes each kind of reference; part of a stored reference's key."""


_EXHAUSTED = ("bad_alloc", "bad allocation", "Failed to allocate memory", "Unable to allocate")
"""What evaluators say that were refused memory."""


def finite_values(
    onnx_path: Path, inputs: Mapping[str, Array], wanted: Collection[str] | None, kind: str
) -> dict[str, Array]:
    """Compute values as `evaluate` or `evaluate_float64` does, with outputs that are finite.

    Raises:
        ModelError: as there, or an output has NaN or infinities.
    """
    graph = OnnxGraph.load(onnx_path)
    run = evaluate if kind == "fp32" else evaluate_float64
    names = graph.select(wanted)
    values = run(onnx_path, inputs, {*names, *graph.outputs})
    check_values(graph, values, lambda: run(onnx_path, inputs))
    return {name: values[name] for name in names if name in values}


def evaluate(
    onnx_path: Path,
    inputs: Mapping[str, Array],
    wanted: Collection[str] | None = None,
    *,
    threads: int = 1,
) -> dict[str, Array]:
    """Compute values of a graph with ONNX Runtime on the CPU, in the types of the file.

    But for half precision, which is widened to float32: ncnn's files are not told to round.
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
    # What goes wrong is raised as well.
    options.log_severity_level = 4
    folder = str(graph.path.absolute().parent)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors have no common base
        raise broken_model(graph.path, error) from error


def evaluate_float64(
    onnx_path: Path, inputs: Mapping[str, Array], wanted: Collection[str] | None = None
) -> dict[str, Array]:
    """Compute values of a graph in float64 with onnx's reference evaluator.

    All float types of the graph are widened (see `harness.model.widening`), so that the result is
    free of rounding but for that of the weights and attributes in the file itself.

    Arguments, result and errors are those of `evaluate`.
    """
    graph = OnnxGraph.load(onnx_path)
    feeds = {
        name: array.astype(np.float64) if array.dtype.kind == "f" else array
        for name, array in graph.feeds(inputs).items()
    }
    names = graph.select(wanted)
    model = graph.complete()
    try:
        evaluator = ReferenceEvaluator(as_float64(model), new_ops=corrections(model))
        with np.errstate(all="ignore"):
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


def _refused(
    graph: OnnxGraph, feeds: Mapping[str, Array], evaluator: str, error: object
) -> ModelError:
    if isinstance(error, MemoryError) or any(words in str(error) for words in _EXHAUSTED):
        raise MemoryError(str(error))
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
    return ModelError(
        f"{graph.path}: {evaluator} cannot run it with the inputs {shapes} ({one_line(error)}). "
        "Correct the input's `shape`, or simplify the graph where an operator is not supported.",
        code=Code.NO_REFERENCE,
    )
