from pathlib import Path

import numpy as np
import pytest

from harness.definition.evaluation import evaluate
from harness.domain.spec import InputSpec, ModelSpec
from harness.model.prepared_model import PreparedModel
from harness.model.weights import read_weights
from harness.reference.blob_values import blob_reference
from harness.reference.noise import PLAUSIBLE, Noise, noise_of
from harness.reference.tensors import feeds_of
from harness.reference.values import Kind, Reference, stored
from harness.util.build_store import Store
from tests.evaluating import here
from tests.one_layer import NARROW, ROWS, WIDE, write_model
from tests.proven import preparation

SHAPE = (1, ROWS, NARROW)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=tmp_path / "store")


@pytest.fixture
def model(tmp_path: Path, store: Store) -> PreparedModel:
    write_model(tmp_path)
    onnx, param, weights = (str(tmp_path / f"m.{name}") for name in ("onnx", "param", "bin"))
    spec = ModelSpec(name="m", onnx=onnx, param=param, bin=weights)
    inputs = [InputSpec(name=f"i{seed}", random=seed, shape=SHAPE) for seed in (1, 2)]
    return preparation(spec, inputs, store).model


def references(
    model: PreparedModel, array: np.ndarray, store: Store
) -> tuple[Reference, Reference]:
    def of(kind: Kind) -> Reference:
        return blob_reference(
            model, {"x": array}, store=store.references, kind=kind, evaluator=here
        )

    return of("fp32"), of("float64")


def noise(model: PreparedModel, array: np.ndarray, store: Store) -> Noise:
    single, exact = references(model, array, store)
    return noise_of(
        model, {"x": array}, single, exact, store=store, evaluator=here, relative_to=single
    )


def some(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)


def test_a_channel_has_a_floor_of_its_own(model: PreparedModel, store: Store) -> None:
    array = some()
    array[0, 3] /= 1024
    found = noise(model, array, store)
    channels = found.channels["y"]
    assert channels.shape == (ROWS,)
    # The bias is there in every row, what it multiplies is not.
    assert 1e-8 < found.floors["y"] < 2e-6
    assert channels[3] < channels[4]


@pytest.mark.parametrize("exponent", [-60, -1, 3, 60])
def test_the_unit_of_the_values_is_no_matter(model: PreparedModel, exponent: int) -> None:
    weight = read_weights(model.graph, model.bin)["fc"]["weight"]
    weights = {"fc": {"weight": weight, "bias": np.zeros(WIDE, np.float32)}}

    def rounded(unit: float) -> np.ndarray:
        feeds = {"x": some()[0] * np.float32(unit)}
        return evaluate(model.graph, weights, feeds, nudged=2.0**-20).blobs["y"]

    assert np.array_equal(rounded(2.0**exponent), rounded(1.0) * 2.0**exponent)


@pytest.mark.parametrize("apart", [1e-5, 0.999e-3, 1.001e-3, 0.5])
def test_a_mistake_of_an_evaluator_excuses_little(
    model: PreparedModel, store: Store, apart: float
) -> None:
    """What two evaluators differ by counts up to the plausible part, without a cliff."""
    array = some()
    single, exact = references(model, array, store)
    wrong = {name: np.array(value) for name, value in single.items()}
    scale = float(np.abs(exact["y"]).max())
    wrong["y"].flat[7] = exact["y"].flat[7] + apart * scale
    other = stored({"apart": apart}, lambda: wrong, store=store.references)
    found = noise_of(
        model, {"x": array}, other, exact, store=store, evaluator=here, relative_to=exact
    )
    assert found.floors["y"] == pytest.approx(min(apart, PLAUSIBLE), rel=1e-2)


def test_rounding_is_alike_where_numbers_are_alike(model: PreparedModel) -> None:
    """A blob of equal rows is rounded equally, and not the same way with another seed."""
    feeds = feeds_of(model, {"x": np.broadcast_to(some()[:, :1], SHAPE)})
    weights = read_weights(model.graph, model.bin)
    plain, one, other = (
        evaluate(model.graph, weights, feeds, nudged=nudged, seed=seed).blobs["y"]
        for nudged, seed in ((0.0, 0), (2.0**-20, 0), (2.0**-20, 1))
    )
    assert (one == one[:1]).all()
    assert not np.array_equal(one, other)
    relative = np.abs(one[0] / plain[0] - 1)
    assert relative == pytest.approx(np.full(WIDE, 2.0**-20), rel=1e-6)
    assert 0.3 < (one[0] > plain[0]).mean() < 0.7
