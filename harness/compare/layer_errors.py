"""Every blob of a run beside the reference: the layer table of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.definition.evaluation import NOTHING
from harness.domain.metrics import measure
from harness.domain.records import LayerRecord, Metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.model.alignment import Alignment
    from harness.model.param import Param

    Array = NDArray[Any]

NOT_RUN = "not run"


def chain_records(
    param: Param,
    alignments: Sequence[Alignment],
    chain: Mapping[str, Array | str],
    reference: Mapping[str, Array],
    noise: Mapping[str, Array] = NOTHING,
) -> tuple[LayerRecord, ...]:
    """Compare what the chain computed with the reference, blob by blob.

    Args:
        param: the ncnn graph.
        alignments: which blob is which value.
        chain: blobs by name, in ncnn's layout, from the chain as it runs; a string in place of an
            array says why there is none.
        reference: what to compare with, by key of the alignments.
        noise: what honest arithmetic may be off by in each channel, by blob.

    Returns:
        One record per alignment, in the same order: measured, or with a note why not.
    """
    return tuple(_record(param, alignment, chain, reference, noise) for alignment in alignments)


def _record(
    param: Param,
    alignment: Alignment,
    chain: Mapping[str, Array | str],
    reference: Mapping[str, Array],
    noise: Mapping[str, Array],
) -> LayerRecord:
    layer = param.layers[alignment.layer_index]
    actual = chain.get(alignment.blob, NOT_RUN)
    record = LayerRecord(
        index=alignment.layer_index,
        name=layer.name,
        type=layer.type,
        blob=alignment.blob,
        params=" ".join(value.assignment(key) for key, value in layer.params),
        inputs=layer.inputs,
        aligned="none",
        note=alignment.note,
        shape=() if isinstance(actual, str) else actual.shape,
    )
    if not alignment.key:
        return record
    error, reason = error_of(actual, alignment, reference, noise)
    if not isinstance(actual, str) and error is None:
        return record.model_copy(update={"note": f"{reason} ({alignment.key})"})
    return record.model_copy(
        update={
            "value": alignment.value,
            "aligned": alignment.how,
            "note": reason,
            "chain": error,
        }
    )


def with_alone(record: LayerRecord, error: Metrics | None, reason: str) -> LayerRecord:
    """Return a record with the error of its layer alone, or the reason why there is none."""
    if record.chain is None and record.aligned == "none":
        return record
    notes = [record.note, f"alone: {reason}" if reason else ""]
    return record.model_copy(update={"alone": error, "note": "; ".join(filter(None, notes))})


def error_of(
    actual: Array | str,
    alignment: Alignment,
    reference: Mapping[str, Array],
    noise: Mapping[str, Array] = NOTHING,
) -> tuple[Metrics | None, str]:
    """Return how far a blob is from its value, and what of it is not known.

    Args:
        actual: the blob in ncnn's layout, or why there is none.
        alignment: which value it is.
        reference: what to compare with, by key of the alignments.
        noise: what honest arithmetic may be off by in each channel, by blob.
    """
    if isinstance(actual, str):
        return None, actual
    expected = reference[alignment.key]
    try:
        arrangement = alignment.arranged(expected.shape, actual.shape)
    except ValueError as error:
        return None, str(error)
    found = measure(actual, arrangement.to_blob(expected), noise.get(alignment.blob))
    if found.is_void:
        why = "the model itself gives no number there" if expected.size else "it is empty"
        return None, f"nothing to compare: {why}"
    if found.undefined:
        return found, f"{found.undefined} of {actual.size} not judged: the model gives NaN there"
    return found, ""
