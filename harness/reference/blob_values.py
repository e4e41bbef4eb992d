"""What the blobs of a model are compared with: values of the ONNX graph, or what ncnn defines."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from harness import definition
from harness.definition.evaluation import evaluate
from harness.domain.spec import content_key
from harness.model.alignment import blob_key
from harness.model.weights import read_weights
from harness.reference import evaluation
from harness.reference.finiteness import check_blobs
from harness.reference.tensors import feeds_of
from harness.reference.values import Kind, Reference, digests, stored
from harness.util.codes import Code
from harness.util.errors import CrashError, LimitError, ModelError
from harness.util.files import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from numpy.typing import NDArray

    from harness.model.prepared_model import PreparedModel
    from harness.reference.evaluator import Evaluator

    Array = NDArray[Any]


NUDGE = 2.0**-20
"""Relative error of single precision after some layers: a few of its last bits."""


def blob_reference(
    model: PreparedModel,
    tensors: Mapping[str, Array],
    *,
    store: Path,
    kind: Kind,
    evaluator: Evaluator,
    taken: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None = None,
) -> Reference:
    """Return what the blobs of a model are compared with, by the keys of their alignments.

    Values of the ONNX graph are in its layout; what ncnn's definitions give is in ncnn's.

    Args:
        model: the model, its conversion proved.
        tensors: the input, by name as `PreparedModel.inputs` has it.
        store: directory of all references.
        kind: in which precision both are evaluated.
        evaluator: calls what evaluates.
        taken: gives blobs that have no definition here, from the model's inputs by blob.

    Raises:
        ModelError: the model or the inputs are refused.
        MachineError: the model's files were changed meanwhile.
    """
    origin = {
        "model": [model.digest, model.onnx_content],
        "inputs": digests(tensors),
        "kind": kind,
        "evaluator": evaluation.EVALUATORS[kind],
        "definitions": definitions_digest(),
        "non_finite": model.spec.non_finite,
        "wanted": [sorted(model.onnx_values), sorted(model.defined_blobs)],
        "taken": [model.conversion.run, *model.conversion.taken] if model.conversion.taken else [],
    }

    def compute() -> dict[str, Array]:
        values = _of_onnx(model, tensors, kind, evaluator)
        if model.defined_blobs or values is None:
            blobs = _defined(model, tensors, kind, evaluator, taken)
            if values is None:
                values = _as_values(model, tensors, evaluator, blobs)
            values |= {blob_key(blob): blobs[blob] for blob in sorted(model.defined_blobs)}
        model.check()
        return values

    return stored(origin, compute, store=store)


def _defined(
    model: PreparedModel,
    tensors: Mapping[str, Array],
    kind: Kind,
    evaluator: Evaluator,
    taken: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None,
) -> Mapping[str, Array]:
    """Return what ncnn's definitions give for the blobs that are compared with it."""
    arrays = feeds_of(model, tensors)
    given = {}
    if model.conversion.taken and taken:
        # From other roundings of the input follows how much rounding matters to these blobs.
        run = taken(arrays if kind == "fp32" else _nudged(arrays))
        given = {blob: run[blob] for blob in model.conversion.taken if blob in run}
    found = evaluator(defined_blobs, model, arrays, given, kind, what=model.param)
    lacking = sorted(model.defined_blobs - found.keys())
    if lacking:
        raise ModelError(
            f"{model.param}: what blob '{lacking[0]}' should hold cannot be computed for this "
            "input. Leave the input out, or give the model's ONNX file.",
            code=Code.NO_REFERENCE,
        )
    return found


def defined_blobs(
    model: PreparedModel, feeds: Mapping[str, Array], given: Mapping[str, Array], kind: Kind
) -> dict[str, Array]:
    """Compute all blobs by ncnn's definitions.

    Args:
        model: the model.
        feeds: its inputs by blob, in ncnn's layout.
        given: blobs that are taken as they are.
        kind: in which precision.

    Raises:
        ModelError: an output is not finite, though the model's are meant to be.
    """
    found = evaluate(
        model.graph,
        read_weights(model.graph, model.bin),
        feeds,
        given=given,
        dtype=np.float32 if kind == "fp32" else np.float64,
    ).blobs
    if not model.spec.non_finite:
        check_blobs(model.graph, model.param, found)
    return found


def onnx_values(
    model: PreparedModel, tensors: Mapping[str, Array], wanted: Collection[str] | None, kind: Kind
) -> Mapping[str, Array]:
    """Compute values of a model's ONNX graph; None for all that depend on an input.

    Raises:
        ModelError: the model or the input is refused, or an output is not finite, though the
            model's are meant to be.
    """
    assert model.onnx is not None
    if not model.spec.non_finite:
        return evaluation.finite_values(model.onnx, tensors, wanted, kind)
    run = evaluation.evaluate if kind == "fp32" else evaluation.evaluate_float64
    return run(model.onnx, tensors, wanted)


def _of_onnx(
    model: PreparedModel, tensors: Mapping[str, Array], kind: Kind, evaluator: Evaluator
) -> dict[str, Array] | None:
    """Return the values of the ONNX graph; None where they cannot be had in float64."""
    if not (model.onnx and model.onnx_values):
        return {}
    try:
        found = evaluator(
            onnx_values, model, dict(tensors), model.onnx_values, kind, what=model.onnx
        )
        return dict(found)
    except (LimitError, CrashError):
        raise
    except ModelError:
        if kind == "fp32":
            raise
        # Some operators have no such evaluation. What the blobs hold was proved to be the same.
        return None


def _as_values(
    model: PreparedModel,
    tensors: Mapping[str, Array],
    evaluator: Evaluator,
    blobs: Mapping[str, Array],
) -> dict[str, Array]:
    """Return ONNX values, as the blobs that hold them have them by ncnn's definitions."""
    assert model.onnx is not None
    single = evaluator(
        onnx_values, model, dict(tensors), model.onnx_values, "fp32", what=model.onnx
    )
    found = {}
    for each in model.by_blob.values():
        if each.source == "onnx" and each.blob in blobs:
            shape = single[each.value].shape
            way = each.arranged(shape, blobs[each.blob].shape)
            found[each.value] = way.to_value(blobs[each.blob])
    return found


def _nudged(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return inputs that are off by as much as blobs in the middle of a model usually are."""
    signs = np.random.default_rng(0)
    return {
        blob: (array * (1 + NUDGE * signs.choice((-1, 1), array.shape))).astype(np.float32)
        for blob, array in arrays.items()
    }


@cache
def definitions_digest() -> str:
    """Return a digest of ncnn's definitions as they are written down here."""
    folder = Path(definition.__file__).parent
    return content_key({path.name: sha256_of(path) for path in sorted(folder.glob("*.py"))})
