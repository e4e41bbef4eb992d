"""An input with its reference values, on disk, as runs need it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.domain.spec import InputSpec, content_key
from harness.model.ctc import ctc_decode
from harness.reference.blob_values import blob_reference
from harness.reference.inputs import LIMIT
from harness.reference.noise import Noise, noise_of
from harness.reference.tensors import feeds_of, tensors_of
from harness.reference.values import Kind, Reference, digests
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from harness.model.prepared_model import PreparedModel
    from harness.reference.evaluator import Evaluator
    from harness.util.build_store import Store

    Array = NDArray[Any]


KINDS: tuple[Kind, ...] = ("fp32", "float64")
BLOBS = "blobs.json"
"""Names of the blobs that the numbered files beside it go into."""


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
    noise: Noise
    """What honest arithmetic may be off by."""


def prepare_input(
    spec: InputSpec,
    model: PreparedModel,
    store: Store,
    evaluator: Evaluator,
    taken: Callable[[Mapping[str, Array]], Mapping[str, Array]] | None = None,
    *,
    limit: int = LIMIT,
) -> PreparedInput:
    """Make one input, compute the reference values for it, and put both on disk.

    Args:
        spec: the input.
        model: the model, its conversion proved.
        store: where both go.
        evaluator: calls what evaluates.
        taken: gives blobs that have no definition here, from the model's inputs by blob.
        limit: bytes that the input may take.

    Raises:
        ModelError: the input does not fit the model, or the model cannot be evaluated.
    """
    tensors = tensors_of(spec, model, limit)
    reference, exact = (
        blob_reference(
            model, tensors, store=store.references, kind=kind, evaluator=evaluator, taken=taken
        )
        for kind in KINDS
    )
    # By blob: two models may take the same tensors at blobs of the same names, but crosswise.
    arrays = dict(sorted(feeds_of(model, tensors).items()))
    feeds = {}
    folder = store.references / f"feeds-{content_key(digests(arrays))}"
    with store.lock(folder.name):
        if not is_intact(folder):
            with sealed(folder) as work:
                for number, array in enumerate(arrays.values()):
                    np.save(work / f"{number}.npy", array)
                (work / BLOBS).write_text(json.dumps(list(arrays)), encoding="utf-8")
    for number, blob in enumerate(arrays):
        feeds[blob] = str(folder / f"{number}.npy")
    return PreparedInput(
        name=spec.name,
        feeds=feeds,
        reference=reference,
        text=_text(reference, model),
        noise=noise_of(
            model,
            tensors,
            reference,
            exact,
            store=store,
            evaluator=evaluator,
            relative_to=reference,
        ),
    )


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
