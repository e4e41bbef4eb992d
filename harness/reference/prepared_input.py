"""An input with its reference values, on disk, as runs need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from harness import definition
from harness.definition.evaluation import evaluate
from harness.domain.metrics import measure
from harness.domain.spec import InputSpec, content_key
from harness.domain.verdict import PLAUSIBLE_FLOOR, noise_floors
from harness.model.alignment import blob_key
from harness.model.blob_layout import to_ncnn_layout
from harness.model.ctc import ctc_decode
from harness.model.input_shapes import graph_inputs
from harness.model.integer_blobs import is_quantised, quantised_blobs
from harness.model.onnx_graph import OnnxGraph
from harness.model.weights import read_weights
from harness.reference import evaluation
from harness.reference.inputs import make_input, random_tensors
from harness.reference.values import Kind, Reference, digests, stored
from harness.util.errors import ModelError
from harness.util.files import directory_atomically, sha256_of, stamp, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from harness.model.prepared_model import PreparedModel
    from harness.util.build_store import Store

    Array = NDArray[Any]


STEP = 1 / 127
"""One step of int8, relative to the largest value that it holds."""
FLIPPED = 1e-4
"""Part of int8 elements that kernels were seen to round otherwise."""
NUDGE = 2.0**-20
"""Relative error of single precision after some layers: a few of its last bits."""


@dataclass(frozen=True, kw_only=True)
class PreparedInput:
    """One input with its reference values, on disk."""

    name: str
    feeds: Mapping[str, str]
    """ncnn blob → `.npy` file in the layout of ncnn."""
    reference: Reference
    """What blobs are compared with, in single precision, see `blob_reference`."""
    text: str
    """What the reference reads, where the model has a character table."""
    floors: dict[str, float]
    """Scale-relative error of the fp32 reference against float64, by key of an alignment."""


def prepare_input(
    spec: InputSpec,
    model: PreparedModel,
    store: Store,
    taken: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None = None,
) -> PreparedInput:
    """Make one input, compute the reference values for it, and put both on disk.

    Args:
        spec: the input.
        model: the model, its conversion proved.
        store: where both go.
        taken: gives blobs that have no definition here, from the model's inputs by blob.

    Raises:
        ModelError: the input does not fit the model, or the model cannot be evaluated.
    """
    tensors = tensors_of(spec, model)
    reference = blob_reference(model, tensors, store=store.references, kind="fp32", taken=taken)
    arrays = feeds_of(model, tensors)
    feeds = {}
    folder = store.references / f"feeds-{content_key([digests(tensors), sorted(arrays)])}"
    with store.lock(folder.name):
        if not folder.is_dir():
            with directory_atomically(folder) as work:
                for number, array in enumerate(arrays.values()):
                    np.save(work / f"{number}.npy", array)
    stamp(folder)
    for number, blob in enumerate(arrays):
        feeds[blob] = str(folder / f"{number}.npy")
    exact = blob_reference(model, tensors, store=store.references, kind="float64", taken=taken)
    return PreparedInput(
        name=spec.name,
        feeds=feeds,
        reference=reference,
        text=_text(reference, model),
        floors=_floors(model, tensors, reference, exact, store),
    )


def blob_reference(
    model: PreparedModel,
    tensors: Mapping[str, Array],
    *,
    store: Path,
    kind: Kind,
    taken: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None = None,
) -> Reference:
    """Return what the blobs of a model are compared with, by the keys of their alignments.

    Values of the ONNX graph are in its layout; what ncnn's definitions give is in ncnn's.

    Args:
        model: the model, its conversion proved.
        tensors: the input, by name as `PreparedModel.inputs` has it.
        store: directory of all references.
        kind: in which precision both are evaluated.
        taken: gives blobs that have no definition here, from the model's inputs by blob.

    Raises:
        ModelError: the model or the inputs are refused.
    """
    origin = {
        "model": [model.digest, OnnxGraph.load(model.onnx).content() if model.onnx else ""],
        "inputs": digests(tensors),
        "kind": kind,
        "evaluator": evaluation.EVALUATORS[kind],
        "definitions": definitions_digest(),
        "wanted": [sorted(model.onnx_values), sorted(model.defined_blobs)],
        "taken": [model.conversion.run, *model.conversion.taken] if model.conversion.taken else [],
    }

    def compute() -> dict[str, Array]:
        values = _of_onnx(model, tensors, kind)
        if model.defined_blobs or values is None:
            blobs = _defined(model, tensors, kind, taken)
            values = values if values is not None else _as_values(model, tensors, blobs)
            values |= {blob_key(blob): blobs[blob] for blob in sorted(model.defined_blobs)}
        return values

    return stored(origin, compute, store=store)


def _defined(
    model: PreparedModel,
    tensors: Mapping[str, Array],
    kind: Kind,
    taken: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None,
) -> dict[str, Array]:
    """Return what ncnn's definitions give for the blobs that are compared with it."""
    arrays = feeds_of(model, tensors)
    given = {}
    if model.conversion.taken and taken:
        # From other roundings of the input follows how much rounding matters to these blobs.
        run = taken(arrays if kind == "fp32" else _nudged(arrays))
        given = {blob: run[blob] for blob in model.conversion.taken if blob in run}
    found = evaluate(
        model.graph,
        read_weights(model.graph, model.bin),
        feeds_of(model, tensors),
        given=given,
        dtype=np.float32 if kind == "fp32" else np.float64,
    ).blobs
    lacking = sorted(model.defined_blobs - found.keys())
    if lacking:
        raise ModelError(
            f"{model.param}: what blob '{lacking[0]}' should hold cannot be computed for this "
            "input. Leave the input out, or give the model's ONNX file."
        )
    return found


def _of_onnx(
    model: PreparedModel, tensors: Mapping[str, Array], kind: Kind
) -> dict[str, Array] | None:
    """Return the values of the ONNX graph; None where they cannot be had in float64."""
    if not (model.onnx and model.onnx_values):
        return {}
    if kind == "fp32":
        return evaluation.evaluate(model.onnx, tensors, model.onnx_values)
    try:
        return evaluation.evaluate_float64(model.onnx, tensors, model.onnx_values)
    except ModelError:
        # Some operators have no such evaluation. What the blobs hold was proved to be the same.
        return None


def _as_values(
    model: PreparedModel, tensors: Mapping[str, Array], blobs: Mapping[str, Array]
) -> dict[str, Array]:
    """Return ONNX values, as the blobs that hold them have them by ncnn's definitions."""
    assert model.onnx is not None
    single = evaluation.evaluate(model.onnx, tensors, model.onnx_values)
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


def feeds_of(model: PreparedModel, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """Return the numbers that go into the model, by blob, in ncnn's layout."""
    return {blob: to_ncnn_layout(tensors[name]) for blob, name in model.inputs.items()}


def _floors(
    model: PreparedModel,
    tensors: Mapping[str, Array],
    reference: Reference,
    exact: Reference,
    store: Store,
) -> dict[str, float]:
    """Return the noise floors between two references, remembered: both are known by content."""
    rough = sorted(model.by_blob[b].key for b in model.rough_blobs if b in model.by_blob)
    key = content_key([reference.directory.name, exact.directory.name, PLAUSIBLE_FLOOR, rough])
    file = store.references / f"floors-{key}" / "floors.json"
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        stamp(file.parent)
        return {str(name): float(value) for name, value in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        floors = noise_floors(reference, exact, rough)
        for blob, step in (_steps(model, exact) | _flips(model, tensors, exact)).items():
            key = model.by_blob[blob].key
            floors[key] = max(floors.get(key, 0.0), step)
        write_atomically(file, json.dumps(floors))
        return floors


def _steps(model: PreparedModel, exact: Reference) -> dict[str, float]:
    """Return how far blobs move, scale-relative, if int8 before them is rounded the other way."""
    int8, taken = quantised_blobs(model.graph), set(model.conversion.taken)
    found: dict[str, float] = {}
    for layer in model.graph.layers:
        before = max((found.get(blob, 0.0) for blob in layer.inputs), default=0.0)
        own = STEP if is_quantised(layer) else 0.0
        for blob in layer.outputs:
            # A detector that gets other numbers may find something else.
            step = 1.0 if before and blob in taken else max(before, own)
            if blob in int8 and blob in model.by_blob:
                largest = float(np.abs(exact[model.by_blob[blob].key]).max(initial=0))
                step = max(step, 1 / max(largest, 1.0))
            found[blob] = step
    return {blob: step for blob, step in found.items() if step and blob in model.by_blob}


def _flips(
    model: PreparedModel, tensors: Mapping[str, Array], exact: Reference
) -> dict[str, float]:
    """Return how far blobs move, scale-relative, if some int8 elements are rounded otherwise.

    Kernels that scale by other routes round a few elements the other way, and layers that follow
    amplify that: random weights do so many times over.
    """
    known = {b: a for b, a in model.by_blob.items() if a.source == "ncnn"}
    if not quantised_blobs(model.graph) or not known:
        return {}
    weights = read_weights(model.graph, model.bin)
    moved = evaluate(model.graph, weights, feeds_of(model, tensors), flipped=FLIPPED).blobs
    steps = _steps(model, exact)
    return {
        blob: max(steps.get(blob, 0.0), measure(moved[blob], exact[each.key]).scale_relative)
        for blob, each in known.items()
        if blob in moved
    }


@cache
def definitions_digest() -> str:
    """Return a digest of ncnn's definitions as they are written down here."""
    folder = Path(definition.__file__).parent
    return content_key({path.name: sha256_of(path) for path in sorted(folder.glob("*.py"))})


def _text(reference: Reference, model: PreparedModel) -> str:
    """Return what the reference reads at the first output that spells a text."""
    for blob in model.outputs if model.characters else ():
        alignment = model.by_blob.get(blob)
        text = decode(reference[alignment.key], model) if alignment else ""
        if text:
            return text
    return ""


def decode(output: Array, model: PreparedModel) -> str:
    """Return the text that a recogniser's output spells; empty for other models."""
    classes = len(model.characters)
    if not classes or output.shape[-1:] != (classes,):
        return ""
    return ctc_decode(output.reshape(-1, classes), model.characters)


def tensors_of(spec: InputSpec, model: PreparedModel) -> dict[str, Array]:
    """Return one tensor per input of the ONNX model; a `.npz` file holds several by name.

    Raises:
        ModelError: the input does not fit the model.
    """
    if spec.random is not None:
        return _random(spec, spec.random, model)
    if spec.npy.endswith(".npz"):
        try:
            with np.load(spec.npy) as archive:
                return {name: archive[name].astype(np.float32) for name in archive.files}
        except (OSError, ValueError, BadZipFile) as error:
            raise ModelError(f"{spec.npy}: not a readable .npz file: {error}.") from error
    if len(model.inputs) != 1:
        values = ", ".join(model.inputs.values())
        raise ModelError(
            f"input {spec.name}: the model has several inputs ({values}). Give one .npz file with "
            "an array of each name, or random numbers: random = 1, shapes = { NAME = [..], .. }."
        )
    (name,) = model.inputs.values()
    return {name: make_input(spec, base=Path())}


def _random(spec: InputSpec, seed: int, model: PreparedModel) -> dict[str, Array]:
    """Return random tensors for all inputs of the ONNX model."""
    if model.onnx is None:
        return _random_blobs(spec, seed, model)
    inputs = graph_inputs(OnnxGraph.load(model.onnx))
    given = dict(spec.shapes) if spec.shapes else {inputs[0].name: spec.shape}
    shapes = {}
    for source in inputs:
        shape = given.pop(source.name, ())
        if not shape and not source.open_axes:
            shape = tuple(int(extent) for extent in source.axes)
        if not source.fits(shape):
            raise ModelError(
                f"input {spec.name}: shape {list(shape)} of {source.name} is not one of "
                f"{source.shape_text}, which {model.onnx} takes. Set `shape`, or of several inputs "
                "`shapes` = { NAME = [..], .. }."
            )
        shapes[source.name] = shape
    if given:
        raise ModelError(
            f"input {spec.name}: {model.onnx} has no input {next(iter(given))}. Its inputs are "
            f"{', '.join(shapes)}."
        )
    return random_tensors(inputs, shapes, seed)


def _random_blobs(spec: InputSpec, seed: int, model: PreparedModel) -> dict[str, Array]:
    """Return random tensors for the input blobs of a model that has no ONNX file."""
    shapes = dict(spec.shapes) or dict.fromkeys(list(model.inputs)[:1], spec.shape)
    wrong = next((blob for blob in [*model.inputs, *shapes] if not shapes.get(blob)), "")
    if wrong or set(shapes) != set(model.inputs):
        raise ModelError(
            f"input {spec.name}: the model's inputs are {', '.join(model.inputs)}. Give each a "
            "shape: `shape` = [..], or of several inputs `shapes` = { NAME = [..], .. }."
        )
    generator = np.random.default_rng(seed)
    return {
        blob: generator.uniform(-1, 1, size=shape).astype(np.float32)
        for blob, shape in shapes.items()
    }
