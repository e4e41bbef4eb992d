"""What is said of conversions, right and wrong, made by others, renamed, in doubt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.definition.evaluation import evaluate as define
from harness.model.param import Layer, Param
from harness.model.value import Value
from tests.analysis.conversion.network import NODES, Network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness.model.conversion import Conversion

NETWORK = Network.made()


def held(conversion: Conversion) -> dict[str, tuple[str, str]]:
    return {a.blob: (a.value, a.source) for a in conversion.alignments if a.blob}


def renamed(network: Network, names: Mapping[str, str]) -> Network:
    """Return a network with other names of blobs; the weights go by the names of layers."""
    layers = tuple(
        replace(
            layer,
            inputs=tuple(names.get(blob, blob) for blob in layer.inputs),
            outputs=tuple(names.get(blob, blob) for blob in layer.outputs),
        )
        for layer in network.graph.layers
    )
    return replace(network, graph=Param(layers))


def test_a_right_conversion_needs_no_build() -> None:
    proof = NETWORK.proof([])
    conversion = proof.conversion()
    assert (conversion.differs, conversion.unsettled, conversion.notes) == (False, "", ())
    assert conversion.run == ""
    for blob, (value, source) in held(conversion).items():
        assert (value, source) == (blob.partition("_splitncnn")[0], "onnx")


def with_weight_changed(network: Network) -> Network:
    weight = network.weights["r1"]["weight"].copy()
    weight.flat[17] += 0.5
    return network.with_tensor("r1", "weight", weight)


def with_tensors_swapped(network: Network) -> Network:
    one, other = (network.weights[name]["weight"] for name in ("r1", "r2"))
    return network.with_tensor("r1", "weight", other).with_tensor("r2", "weight", one)


def with_epsilon(network: Network) -> Network:
    return network.with_layer("norm", lambda layer: layer.with_param(1, 1e-2))


def without_activation(network: Network) -> Network:
    return network.with_layer("r2", lambda layer: layer.with_param(9, 0))


def without_last_layer(network: Network) -> Network:
    return network.with_layer("y", lambda layer: replace(layer, type="Noop", params=()))


def without_bias(network: Network) -> Network:
    return network.with_tensor("fc", "bias", 0 * network.weights["fc"]["bias"])


def transposed(network: Network) -> Network:
    return network.with_tensor("fc2", "weight", network.weights["fc2"]["weight"].T.copy())


def in_half_precision(network: Network) -> Network:
    weights = {
        layer: {n: a.astype(np.float16) if n == "weight" else a for n, a in tensors.items()}
        for layer, tensors in network.weights.items()
    }
    return replace(network, weights=weights)


def cut_to_half_precision(network: Network) -> Network:
    """Round towards zero, as ncnn's own tools do: up to twice as far off."""
    nearest = in_half_precision(network)
    weights = {
        layer: {
            n: np.where(np.abs(a) > np.abs(w), np.nextafter(a, np.float16(0)), a)
            if (w := network.weights[layer][n]).dtype != a.dtype
            else a
            for n, a in tensors.items()
        }
        for layer, tensors in nearest.weights.items()
    }
    return replace(network, weights=weights)


def half_and_without_bias(network: Network) -> Network:
    return in_half_precision(without_bias(network))


@pytest.mark.parametrize(
    ("change", "layers", "words"),
    [
        (with_weight_changed, ["r1"], "differs in 1 of 324 elements from 'w1'"),
        (with_tensors_swapped, ["r1", "r2"], "weight in the .bin is not 'w1'"),
        (with_epsilon, ["norm"], "with epsilon 1e-05 it is right"),
        (without_activation, ["r2"], "a ReLU is missing (9=1)"),
        (without_last_layer, ["y"], "the model ends with 'fc2', where the ONNX graph goes on"),
        (without_bias, ["fc"], "bias in the .bin is not 'b3'"),
        (transposed, ["fc2"], "weight stands transposed in the .bin"),
        (
            in_half_precision,
            ["r1", "r2", "fc", "fc2"],
            "the .bin has the weights in half precision",
        ),
    ],
)
def test_another_model_is_told_from_the_onnx_file_at_its_layers(
    change: Callable[[Network], Network], layers: list[str], words: str
) -> None:
    conversion = change(NETWORK).conversion()
    assert conversion.reference == "ncnn"
    assert [difference.layer for difference in conversion.differences] == layers
    assert words in conversion.differences[0].sentence
    assert {source for _, source in held(conversion).values()} == {"ncnn"}


def test_a_difference_does_not_hide_the_next() -> None:
    conversion = half_and_without_bias(NETWORK).conversion()
    found = {d.layer: d for d in conversion.differences}
    assert list(found) == ["r1", "r2", "fc", "fc2"]
    assert found["fc"].error is not None
    assert found["fc"].error > 100 * (found["r1"].error or 1)


NAMES = sorted({blob for layer in NETWORK.graph.layers for blob in layer.outputs})


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.permutations(NAMES), st.sampled_from([with_weight_changed, transposed, None]))
def test_names_of_blobs_change_nothing(
    order: list[str], change: Callable[[Network], Network] | None
) -> None:
    network = change(NETWORK) if change else NETWORK
    # Names of other blobs of the model: each of them lies.
    names = dict(zip(NAMES, order, strict=True))
    right, lying = network.conversion(), renamed(network, names).conversion()
    expected = {names[blob]: (source) for blob, (_, source) in held(right).items()}
    assert {blob: source for blob, (_, source) in held(lying).items()} == expected
    assert [(d.layer, d.error, d.explanation) for d in lying.differences] == [
        (d.layer, d.error, d.explanation) for d in right.differences
    ]


def test_a_name_of_another_value_is_told() -> None:
    lying = renamed(NETWORK, {"fc": "product"}).conversion()
    assert held(lying)["product"] == ("fc", "onnx")
    assert lying.misnomers == (
        "'product' is the value before the bias in the ONNX file; the blob 'product' holds 'fc'",
    )
    assert not lying.differs


def factor(name: str, source: str, target: str, value: float) -> Layer:
    params = ((0, Value.of(2)), (1, Value.of(1)), (2, Value.of(float(value))))
    return Layer("BinaryOp", name, (source,), (target,), params)


def with_block(network: Network, back: float = 0.25) -> Network:
    """Return a network with a blob in between that the ONNX graph does not have."""
    layers = list(network.graph.layers)
    at = next(i for i, layer in enumerate(layers) if layer.name == "fc2")
    layers[at] = replace(layers[at], outputs=("early",))
    layers[at + 1 : at + 1] = [
        factor("up", "early", "inner", 4),
        factor("down", "inner", "fc2", back),
    ]
    return replace(network, graph=Param(tuple(layers)))


def test_inside_a_block_ncnn_s_definition_is_the_reference() -> None:
    conversion = with_block(NETWORK).conversion()
    assert held(conversion)["inner"] == ("", "ncnn")
    assert held(conversion)["fc2"] == ("fc2", "onnx")
    assert not conversion.differs


def test_a_block_whose_end_is_wrong_is_a_difference() -> None:
    conversion = with_block(NETWORK, back=0.5).conversion()
    assert [d.layer for d in conversion.differences] == ["up"]
    assert "BinaryOp up is not what the ONNX file has there" in conversion.notes[0]


def test_a_version_that_is_wrong_itself_proves_nothing_against_the_model() -> None:
    network = without_bias(NETWORK)
    runs = [network.run(wrong={"r2": 0.1}), network.run(cell="other")]
    conversion = network.proof(runs).conversion()
    assert [d.layer for d in conversion.differences] == ["fc"]
    assert conversion.unsettled == ""


def test_what_no_build_computes_is_not_settled_and_accuses_nobody() -> None:
    network = without_bias(NETWORK)
    runs = [network.run(wrong={"fc2": 0.1}), network.run(wrong={"fc2": 0.1}, cell="other")]
    conversion = network.proof(runs).conversion()
    assert [d.layer for d in conversion.differences] == ["fc"]
    assert "fc2" in conversion.unsettled
    sources = {blob: source for blob, (_, source) in held(conversion).items()}
    assert {sources[blob] for blob in ("r1", "r2", "sum", "pool", "fc", "norm")} == {"ncnn"}
    assert {sources[blob] for blob in ("fc2", "y")} == {""}


def test_a_layer_that_is_in_doubt_is_no_difference() -> None:
    network = transposed(NETWORK)
    runs = [network.run(wrong={"fc2": 0.1}), network.run(wrong={"fc2": 0.1}, cell="other")]
    conversion = network.proof(runs).conversion()
    assert not conversion.differs
    assert conversion.unsettled
    assert held(conversion)["norm"] == ("norm", "onnx")
    assert held(conversion)["fc2"] == ("", "")


def test_without_a_build_to_ask_nothing_is_claimed() -> None:
    conversion = without_bias(NETWORK).proof([]).conversion()
    assert "no build could be asked" in conversion.unsettled
    assert not conversion.differs
    assert held(conversion)["y"] == ("", "")


def test_layers_without_a_definition_are_taken_from_a_build() -> None:
    network = NETWORK.with_layer("y", lambda layer: replace(layer, type="Novelty"))
    blobs = NETWORK.run()
    conversion = network.proof([blobs]).conversion()
    assert conversion.taken == ("y",)
    assert held(conversion)["y"] == ("y", "onnx")
    assert not conversion.differs


def test_without_an_onnx_file_definitions_are_the_reference() -> None:
    conversion = NETWORK.proof([NETWORK.run()], against=False).conversion()
    assert conversion.reference == "ncnn"
    assert set(held(conversion).values()) == {("", "ncnn")}
    assert not conversion.differs
    assert "ncnn's own definitions" in conversion.reference_words


def test_without_an_onnx_file_a_definition_needs_a_build_that_agrees() -> None:
    wrong = {"r2": 0.1}
    runs = [NETWORK.run(wrong=wrong), NETWORK.run(wrong=wrong, cell="other")]
    conversion = NETWORK.proof(runs, against=False).conversion()
    assert "r2" in conversion.unsettled
    assert held(conversion)["y"] == ("", "")
    first, second = NETWORK.run(wrong=wrong), NETWORK.run(cell="other")
    assert NETWORK.proof([first, second], against=False).conversion().unsettled == ""


@pytest.mark.parametrize("change", [in_half_precision, cut_to_half_precision])
def test_half_precision_is_one_note(change: Callable[[Network], Network]) -> None:
    (note,) = change(NETWORK).conversion().notes
    assert note.startswith(
        "2 Convolution, 2 InnerProduct: the .bin has the weights in half precision; "
        "scale-relative error up to "
    )


def test_an_identity_at_the_end_is_no_difference() -> None:
    nodes = NODES.replace("y = Sigmoid(fc2)", "s = Sigmoid(fc2) y = Identity(s)")
    half = in_half_precision(Network.made(nodes))
    assert len(half.conversion().notes) == 1


def in_int8(network: Network, layer: str = "r2") -> Network:
    """Return a network with one layer as ncnn2int8 makes it."""
    weight = network.weights[layer]["weight"]
    rows = np.abs(weight.reshape(len(weight), -1)).max(axis=1)
    scale = (127 / rows).astype(np.float32)
    stored = np.round(weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))).astype(np.int8)
    tensors = {
        "weight": stored,
        "bias": network.weights[layer]["bias"],
        "weight_scale": scale,
        "input_scale": np.array([40], np.float32),
    }
    changed = network.with_layer(layer, lambda each: each.with_param(8, 1))
    return replace(changed, weights={**network.weights, layer: tensors})


@pytest.mark.parametrize("layer", ["r2", "fc"])
def test_int8_weights_are_told_as_what_they_are(layer: str) -> None:
    conversion = in_int8(NETWORK, layer).conversion()
    assert [(d.layer, d.explanation) for d in conversion.differences] == [
        (layer, "the .bin has int8 weights")
    ]
    assert {source for _, source in held(conversion).values()} == {"ncnn"}


def test_shapes_that_do_not_fit_are_taken_from_nobody() -> None:
    """What ncnn makes of such a layer is whatever stands in memory."""
    unpadded = NETWORK.graph.layer("r2")
    for key in (4, 14, 15, 16):
        unpadded = unpadded.with_param(key, 0)
    network = NETWORK.with_layer("r2", lambda _: unpadded)
    run = network.run()
    rest = NETWORK.run().inputs
    garbage = [{**whole, **blobs} for whole, blobs in zip(rest, run.inputs, strict=True)]
    conversion = network.proof([replace(run, inputs=garbage)]).conversion()
    assert conversion.taken == ()
    assert [d.layer for d in conversion.differences] == ["r2"]
    sources = {blob: source for blob, (_, source) in held(conversion).items()}
    assert {sources[blob] for blob in ("sum", "pool", "fc", "y")} == {""}


def test_roundings_of_int8_that_fall_otherwise_are_noise() -> None:
    plain_network = Network.made(NODES.replace("Add(r2, r1)", "Sigmoid(r2)"))
    network = in_int8(in_int8(plain_network, "r1"), "r2").with_layer("r1", requantised)
    network.weights["r1"]["output_scale"] = np.array([30], np.float32)
    feeds = network.trials()[0].feeds
    plain = define(network.graph, network.weights, feeds).blobs
    other = define(network.graph, network.weights, feeds, flipped=1e-3).blobs
    assert np.abs(plain["r1"] - other["r1"]).max() == 1
    assert np.count_nonzero(plain["r1"] != other["r1"]) == 1
    assert np.abs(plain["y"] - other["y"]).max() > 0


def requantised(layer: Layer) -> Layer:
    return layer.with_param(8, 101)
