"""Which known faults a model meets in one version, without running it."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from harness.advisories.advisory import Expected
from harness.advisories.affected import affected, span
from harness.advisories.condition import Unknown
from harness.advisories.matching import meets
from harness.advisories.subject import LayerSubject
from harness.definition.blob_shapes import blob_shapes
from harness.domain.base import StoredValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.advisories.advisory import Advisory
    from harness.advisories.subject import Setting
    from harness.definition.blob_shapes import BlobShapes
    from harness.model.param import Param
    from harness.model.weights import Tensor, Weights

    Shape = tuple[int, ...]

NO_SHAPE = "shape unknown"


class MetLayer(StoredValue):
    """A layer that meets a fault, or perhaps does."""

    name: str
    shapes: tuple[str, ...] = ()
    """Shapes of its inputs, such as `3x7` or `3x7+3x7`, of each set of shapes of the model."""
    missing: tuple[str, ...] = ()
    """What it depends on; empty if it meets the fault for certain."""


class MetAdvisory(StoredValue):
    """A known fault that a model meets, or perhaps does."""

    id: str
    title: str
    layer: str
    layers: tuple[MetLayer, ...]
    """In the order of the file."""
    expect: Expected
    error: float | None
    certain: bool
    """Whether any layer meets it for certain."""
    versions: str
    """The releases that have it, such as `20250428 to 20250916, repaired in 20260113`."""
    introduced: str
    repaired: str
    cause: str
    fix: str
    mechanism: str
    advice: str
    needs: str
    source: str


def subjects_of(
    param: Param,
    shape_sets: Sequence[Mapping[str, Shape]],
    storages: Mapping[str, str],
) -> list[LayerSubject]:
    """Return each layer of a model, once for each set of shapes.

    Args:
        param: the model.
        shape_sets: shapes of its inputs by blob, in ncnn's layout; one set at least, which may be
            empty.
        storages: how the weights of layers are stored, see `storages_of`.
    """
    found = []
    for given in shape_sets:
        blobs = blob_shapes(param, given)

        def shape(blob: str, known: BlobShapes = blobs) -> Shape | Unknown:
            missing = known.unknown.get(blob, f"where blob {blob} comes from")
            return known.shapes.get(blob) or Unknown(missing)

        found += [
            LayerSubject(
                layer=layer,
                inputs=tuple(map(shape, layer.inputs)),
                outputs=tuple(map(shape, layer.outputs)),
                storage=storages.get(layer.name, ""),
            )
            for layer in param.layers
        ]
    return found


def storages_of(weights: Weights) -> dict[str, str]:
    """Return how the weights of each layer are stored in a `.bin` file: `fp32`, `fp16`, `int8`."""
    return {
        layer: next((kind for t in tensors.values() if (kind := _storage(t)) != "fp32"), "fp32")
        for layer, tensors in weights.items()
    }


def _storage(tensor: Tensor) -> str:
    kind = tensor.stored.dtype.name
    return {"float16": "fp16", "int8": "int8"}.get(kind, "fp32")


def audit(
    advisories: Iterable[Advisory], subjects: Sequence[LayerSubject], setting: Setting
) -> tuple[MetAdvisory, ...]:
    """Return the faults that layers meet, those first that they meet for certain."""
    found = []
    for advisory in advisories:
        if advisory.is_fault and affected(advisory, setting.version).met is not False:
            layers = _layers(advisory, subjects, setting)
            if layers:
                found.append(_met(advisory, layers, setting.version))
    return tuple(sorted(found, key=lambda met: not met.certain))


def _layers(
    advisory: Advisory, subjects: Sequence[LayerSubject], setting: Setting
) -> tuple[MetLayer, ...]:
    """Return the layers that meet a fault with some shapes, for certain if with any of them."""
    shapes: dict[tuple[str, bool], dict[str, None]] = defaultdict(dict)
    missing: dict[tuple[str, bool], dict[str, None]] = defaultdict(dict)
    for subject in subjects:
        answer = meets(advisory, subject, setting)
        if answer.met is not False:
            key = (subject.layer.name, answer.met is True)
            shapes[key][_words(subject)] = None
            missing[key].update(dict.fromkeys(answer.missing))
    return tuple(
        MetLayer(name=name, shapes=tuple(texts), missing=tuple(missing[name, certain]))
        for (name, certain), texts in shapes.items()
        if certain or (name, True) not in shapes
    )


def _words(subject: LayerSubject) -> str:
    texts = (
        NO_SHAPE if isinstance(shape, Unknown) else "x".join(map(str, shape))
        for shape in subject.inputs
    )
    return "+".join(texts)


def _met(advisory: Advisory, layers: tuple[MetLayer, ...], version: str) -> MetAdvisory:
    kept = advisory.model_dump(include=set(MetAdvisory.model_fields))
    return MetAdvisory.model_validate(
        {
            **kept,
            "layers": layers,
            "certain": any(not layer.missing for layer in layers),
            "versions": span(advisory, version).words,
        }
    )
