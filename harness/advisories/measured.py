"""Which known fault a measured one is: what a record says of a cell, as conditions ask for it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.advisories.condition import Unknown
from harness.advisories.matching import meets, needed
from harness.advisories.names import STORAGE
from harness.advisories.subject import LayerSubject, Setting
from harness.model.param import MAGIC, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.advisories.advisory import Advisory
    from harness.domain.records import CellRecord, LayerRecord

_SHAPE = Unknown("the shape of a blob that was not measured")


def known_faults(
    record: CellRecord, layers: Sequence[LayerRecord], advisories: Sequence[Advisory]
) -> list[dict[str, bool]]:
    """Return the faults that each of some layers of a cell meets, by id.

    True where it meets them for certain; false where that depends on what no record tells, values
    and how weights are stored, and on nothing else.

    None where options were set too late, by mistake: which of them held is not known. Nor in
    records of before layers had their parameters in them.

    Args:
        record: a cell.
        layers: layers of it.
        advisories: known faults.
    """
    if not _arch(record) or record.when != "first":
        return [{} for _ in layers]
    setting = setting_of(record)
    shapes = {each.blob: each.shape for each in record.layers if each.shape}
    found: list[dict[str, bool]] = []
    for layer in layers:
        candidates = [each for each in advisories if each.layer == layer.type]
        if layer.params is None or not candidates:
            found.append({})
            continue
        subject = _subject(layer, layer.params, shapes)
        answers = [(each, meets(each, subject, setting)) for each in candidates]
        found.append(
            {
                each.id: answer.met is True
                for each, answer in answers
                if answer.met is not False and set(answer.missing) <= {STORAGE, needed(each)}
            }
        )
    return found


def setting_of(record: CellRecord) -> Setting:
    """Return how a cell was built and run; the architecture is empty if it is not known."""
    flags = {k: v for k, v in record.build.cmake_cache.items() if k.startswith("NCNN_")}
    return Setting(
        version=record.version,
        arch=_arch(record),
        options=record.options,
        threads=record.threads,
        flags=flags or None,
    )


def _arch(record: CellRecord) -> str:
    """Return the architecture whose kernels a build has; empty if it is not known."""
    return next((arch for arch in ("x86", "arm") if f"_{arch}" in record.build.compile_command), "")


def _subject(
    layer: LayerRecord, params: str, shapes: Mapping[str, tuple[int, ...]]
) -> LayerSubject:
    line = f"{MAGIC}\n1 1\n{layer.type} layer 0 1 out {params}\n"
    (parsed,) = parse(line).layers
    return LayerSubject(
        layer=replace(parsed, name=layer.name, inputs=layer.inputs, outputs=(layer.blob,)),
        inputs=tuple(shapes.get(blob, _SHAPE) for blob in layer.inputs),
        outputs=(shapes.get(layer.blob, _SHAPE),),
    )
