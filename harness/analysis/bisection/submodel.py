"""Some layers of a model as a model of their own, fed with recorded reference values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.domain.spec import content_key
from harness.model.alignment import Alignment
from harness.model.blob_layout import to_ncnn_layout
from harness.model.param import Layer, Param, write, write_param
from harness.model.weights import read_tensors, write_weights
from harness.util.errors import UsageError
from harness.util.files import sha256_of
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from harness.model.prepared_model import PreparedModel
    from harness.reference.prepared_input import PreparedInput
    from harness.util.build_store import Store

Shapes = Mapping[str, Sequence[int]]
"""Shape that ncnn gives a blob, by name of the blob."""


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What is run at each revision, and which of its layers count."""

    model: PreparedModel
    input: PreparedInput
    watched: tuple[str, ...] = ()
    """Layers whose own error is the value; empty where the model's output is."""
    alone: bool = False
    """Whether the model is nothing but these layers, so that its errors are theirs alone."""

    @property
    def key(self) -> str:
        """Equal for subjects that compute the same from the same values."""
        return content_key(
            {
                "param": sha256_of(self.model.param),
                "bin": sha256_of(self.model.bin),
                "feeds": {blob: sha256_of(Path(file)) for blob, file in self.input.feeds.items()},
                "reference": self.input.reference.directory.name,
                "alignments": [asdict(each) for each in self.model.conversion.alignments],
                "watched": self.watched,
            }
        )

    @property
    def description(self) -> str:
        """What it is, in words."""
        if not self.watched:
            return "the whole model"
        first = self.model.graph.layer(self.watched[0])
        if len(self.watched) == 1:
            return f"{first.type} {first.name}"
        return f"all {len(self.watched)} {first.type} layers"


def layers_called(graph: Param, name: str) -> tuple[str, ...]:
    """Return the layers that have this name, or else this type, and can be run alone.

    Raises:
        UsageError: there is none.
    """
    usable = [layer for layer in graph.layers if layer.inputs and layer.outputs]
    found = [layer.name for layer in usable if layer.name == name]
    found = found or [layer.name for layer in usable if layer.type == name]
    if not found:
        types = sorted({layer.type for layer in usable})
        raise UsageError(
            f"--layer {name}: the model has no layer of this name or type. Its types are "
            f"{', '.join(types)}."
        )
    return tuple(found)


def part_of(
    whole: Subject, names: Sequence[str], store: Store, shapes: Shapes | None = None
) -> Subject:
    """Return layers of a model as a model of their own, side by side, each with its weights.

    Args:
        whole: the model with its input; what the layers get is what the reference has there.
        names: layers, each with inputs of which the reference values are known.
        store: where the files go.
        shapes: shapes of blobs as a run of the model showed them; where a blob is missing, it
            gets the shape by ncnn's definitions.

    Raises:
        UsageError: a layer's input has no reference value.
    """
    reference = whole.input.reference
    known = whole.model.by_blob
    layers: list[Layer] = []
    alignments: list[Alignment] = []
    feeds = {}
    for name in names:
        layer = whole.model.graph.layer(name)
        # A blob of its own for each input: ncnn wants no blob with two consumers.
        fed = {blob: f"{name}/{number}" for number, blob in enumerate(layer.inputs)}
        for blob, own in fed.items():
            alignment = known.get(blob)
            if alignment is None:
                raise UsageError(
                    f"--layer {name}: its input {blob} has no reference value, so that it cannot "
                    "be run alone. Give --whole-model."
                )
            value = reference[alignment.key]
            shape = tuple((shapes or {}).get(blob, alignment.shape)) or to_ncnn_layout(value).shape
            array = alignment.arranged(value.shape, shape).to_blob(value)
            feeds[own] = np.ascontiguousarray(array, dtype=np.float32)
            alignments.append(replace(alignment, layer_index=len(layers), blob=own))
            layers.append(Layer("Input", own, (), (own,)))
        for blob in layer.outputs:
            none = Alignment(layer_index=0, blob=blob, how="none", note="no reference value")
            alignments.append(replace(known.get(blob, none), layer_index=len(layers)))
        layers.append(replace(layer, inputs=tuple(fed[blob] for blob in layer.inputs)))
    graph = Param(tuple(layers))
    outputs = [blob for layer in layers if layer.inputs for blob in layer.outputs]
    key = content_key(
        {
            "param": write(graph),
            "bin": sha256_of(whole.model.bin),
            "reference": reference.directory.name,
            "shapes": {blob: array.shape for blob, array in feeds.items()},
        }
    )
    folder = store.models / f"part-{key}"
    with store.lock(folder.name):
        if not is_intact(folder):
            with sealed(folder) as work:
                tensors = read_tensors(whole.model.graph, whole.model.bin)
                write_param(graph, work / "part.param")
                own_weights = {name: tensors[name] for name in names if name in tensors}
                write_weights(graph, own_weights, work / "part.bin")
                for number, array in enumerate(feeds.values()):
                    np.save(work / f"{number}.npy", array)
    model = replace(
        whole.model,
        param=folder / "part.param",
        bin=folder / "part.bin",
        graph=graph,
        inputs={own: own for own in feeds},
        outputs=tuple(outputs),
        conversion=whole.model.conversion.model_copy(update={"alignments": tuple(alignments)}),
        characters=(),
    )
    files = {blob: str(folder / f"{number}.npy") for number, blob in enumerate(feeds)}
    return Subject(
        model=model,
        input=replace(whole.input, feeds=files, text=""),
        watched=tuple(names),
        alone=True,
    )
