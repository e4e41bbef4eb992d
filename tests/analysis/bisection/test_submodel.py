from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.bisection.submodel import Subject, layers_called, part_of
from harness.domain.spec import InputSpec, ModelSpec
from harness.model.alignment import Alignment
from harness.model.conversion import Conversion
from harness.model.param import Layer, Param, read_param
from harness.model.weights import read_weights
from harness.util.build_store import Store
from harness.util.errors import UsageError
from tests import one_layer
from tests.proven import preparation


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(root=tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="module")
def whole(store: Store) -> Subject:
    one_layer.write_model(store.root)
    onnx, param, weights = (str(store.root / f"m.{key}") for key in ("onnx", "param", "bin"))
    spec = ModelSpec(name="m", onnx=onnx, param=param, bin=weights)
    shape = (1, one_layer.ROWS, one_layer.NARROW)
    item = InputSpec(name="r", random=1, shape=shape)
    prepared = preparation(spec, [item], store)
    return Subject(model=prepared.model, input=prepared.input(item))


def with_graph(whole: Subject, *layers: Layer, **held: str) -> Subject:
    """Return a subject with other layers, and blobs that hold ONNX values."""
    alignments = tuple(
        Alignment(layer_index=0, blob=blob, value=value, source="onnx", key=value, how="value")
        for blob, value in {"x": "x", "y": "y", **held}.items()
    )
    conversion = Conversion(alignments=alignments)
    return replace(whole, model=replace(whole.model, graph=Param(layers), conversion=conversion))


def test_part_has_the_layer_its_weights_and_the_recorded_input(
    whole: Subject, store: Store
) -> None:
    part = part_of(whole, ["fc"], store)
    graph = read_param(part.model.param)
    assert [layer.type for layer in graph.layers] == ["Input", "InnerProduct"]
    original = read_weights(whole.model.graph, whole.model.bin)["fc"]
    kept = read_weights(graph, part.model.bin)["fc"]
    assert all(np.array_equal(kept[name], array) for name, array in original.items())
    ((blob, file),) = part.input.feeds.items()
    assert part.model.by_blob[blob].key == "x"
    assert np.load(file).shape == (one_layer.ROWS, one_layer.NARROW)
    assert np.array_equal(np.load(file), np.load(whole.input.feeds["x"]))
    assert part.description == "InnerProduct fc"
    assert part.key == part_of(whole, ["fc"], store).key != whole.key


def test_several_layers_stand_side_by_side(whole: Subject, store: Store) -> None:
    layer = whole.model.graph.layer("fc")
    twice = whole.model.graph.replace_layer("fc", layer, replace(layer, name="fd", outputs=("z",)))
    weights = Path(whole.model.bin).read_bytes()
    twin = store.root / "twin.bin"
    twin.write_bytes(weights * 2)
    both = replace(whole, model=replace(whole.model, graph=twice, bin=twin))
    part = part_of(both, ["fc", "fd"], store)
    graph = read_param(part.model.param)
    assert [layer.type for layer in graph.layers] == ["Input", "InnerProduct"] * 2
    assert len(part.input.feeds) == 2
    assert part.description == "all 2 InnerProduct layers"


def test_shape_that_a_run_showed_is_used(whole: Subject, store: Store) -> None:
    part = part_of(whole, ["fc"], store, {"x": (1, one_layer.ROWS, one_layer.NARROW)})
    (file,) = part.input.feeds.values()
    assert np.load(file).ndim == 3


def test_copy_made_by_split_holds_the_value_that_it_copies(whole: Subject, store: Store) -> None:
    first, fc = whole.model.graph.layers
    split = Layer("Split", "s", ("x",), ("x_splitncnn_0", "x_splitncnn_1"))
    fed = replace(fc, inputs=("x_splitncnn_1",))
    part = part_of(with_graph(whole, first, split, fed, x_splitncnn_1="x"), ["fc"], store)
    ((blob, file),) = part.input.feeds.items()
    assert part.model.by_blob[blob].key == "x"
    assert np.array_equal(np.load(file), np.load(whole.input.feeds["x"]))


def test_input_without_a_reference_value_is_named(whole: Subject, store: Store) -> None:
    first, fc = whole.model.graph.layers
    hidden = Layer("ReLU", "r", ("x",), ("hidden",))
    changed = with_graph(whole, first, hidden, replace(fc, inputs=("hidden",)))
    with pytest.raises(UsageError, match="its input hidden has no reference value"):
        part_of(changed, ["fc"], store)


def test_layers_by_name_or_type(whole: Subject) -> None:
    assert layers_called(whole.model.graph, "fc") == ("fc",)
    assert layers_called(whole.model.graph, "InnerProduct") == ("fc",)
    with pytest.raises(UsageError, match="InnerProduct"):
        layers_called(whole.model.graph, "Input")
