"""Every layer of a run beside the reference: the layer table of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.compare.alignment import Alignment
from harness.domain.metrics import measure
from harness.domain.records import LayerRecord, Metrics
from harness.model.blob_layout import to_reference_layout

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from harness.model.param import Param

    Array = NDArray[Any]

NOT_RUN = "not run"


def layer_records(
    param: Param,
    alignments: Sequence[Alignment],
    chain: Mapping[str, Array | str],
    alone: Mapping[str, Array | str],
    reference: Mapping[str, Array],
) -> tuple[LayerRecord, ...]:
    """Compare what ncnn computed with the reference, blob by blob.

    Args:
        param: the ncnn graph.
        alignments: which blob is which value, as `harness.compare.alignment.align` returns it.
        chain: blobs by name, in ncnn's layout, from the chain as it runs; a string in place
            of an array says why there is none.
        alone: the same from each layer alone, fed with the reference's values at its inputs;
            blobs that are missing were not asked for.
        reference: ONNX values by name, in the layout of ONNX.

    Returns:
        One record per alignment, in the same order: measured, or with a note why not.
    """
    return tuple(_record(param, alignment, chain, alone, reference) for alignment in alignments)


def _record(
    param: Param,
    alignment: Alignment,
    chain: Mapping[str, Array | str],
    alone: Mapping[str, Array | str],
    reference: Mapping[str, Array],
) -> LayerRecord:
    layer = param.layers[alignment.layer_index]
    ran = chain.get(alignment.blob, NOT_RUN)
    record = LayerRecord(
        index=alignment.layer_index,
        name=layer.name,
        type=layer.type,
        blob=alignment.blob,
        aligned="none",
        note=alignment.note,
        shape=() if isinstance(ran, str) else ran.shape,
    )
    if not alignment.value:
        return record
    expected = reference[alignment.value]
    error, reason = _measured(ran, expected)
    if not isinstance(ran, str) and error is None:
        return record.model_copy(update={"note": f"{reason} of {alignment.value}"})
    by_itself, why = _measured(alone.get(alignment.blob, ""), expected)
    notes = [reason, f"alone: {why}" if why else ""]
    return record.model_copy(
        update={
            "value": alignment.value,
            "aligned": alignment.how,
            "note": "; ".join(filter(None, notes)),
            "chain": error,
            "alone": by_itself,
        }
    )


def _measured(actual: Array | str, expected: Array) -> tuple[Metrics | None, str]:
    """Return the measures, or the reason why there are none."""
    if isinstance(actual, str):
        return None, actual
    try:
        return measure(to_reference_layout(actual, expected.shape), expected), ""
    except ValueError as error:
        return None, str(error)
