"""Recurrent layers: LSTM, GRU, RNN; one step after the other, in one or both directions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.definition.activation import sigmoid
from harness.definition.definition import (
    Array,
    Definition,
    Inputs,
    NoDefinitionError,
    Tensors,
    define,
)
from harness.definition.quantising import dynamic

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

    State = tuple[Array, ...]
    """Hidden state, and of an LSTM the cell's; of one direction."""
    Step = Callable[[Array, State, dict[str, Array], Arithmetic], State]
    """Takes what the input adds to the gates, the state and the tensors of one direction."""

REVERSE, BOTH = 1, 2
WEIGHTS = ("weight_xc", "weight_hc")
NAMES = (*WEIGHTS, "bias_c")


def _own(hidden: Array, w: dict[str, Array], maths: Arithmetic) -> Array:
    """Return what the hidden state adds to the gates."""
    if "weight_hc_scale" not in w:
        return np.asarray(maths.matmul(w["weight_hc"], hidden[:, None])[:, 0])
    hidden, scale = dynamic(hidden, None)
    y = maths.matmul(w["weight_hc"], hidden[:, None])[:, 0]
    return np.asarray(y / (scale * w["weight_hc_scale"]))


def _entering(x: Array, w: dict[str, Array], maths: Arithmetic) -> Array:
    """Return what the input adds to the gates at each place."""
    if "weight_xc_scale" not in w:
        return maths.matmul(x, w["weight_xc"].T)
    x, scale = dynamic(x, 1)
    return np.asarray(maths.matmul(x, w["weight_xc"].T) / (scale * w["weight_xc_scale"]))


def _lstm(given: Array, state: State, w: dict[str, Array], maths: Arithmetic) -> State:
    hidden, cell = state
    gates = given + w["bias_c"].reshape(-1) + _own(hidden, w, maths)
    enter, forget, leave, new = gates.reshape(4, -1)
    cell = sigmoid(forget, maths) * cell + sigmoid(enter, maths) * maths.tanh(new)
    hidden = sigmoid(leave, maths) * maths.tanh(cell)
    if "weight_hr" in w:
        hidden = maths.matmul(w["weight_hr"], hidden[:, None])[:, 0]
    return hidden, cell


def _gru(given: Array, state: State, w: dict[str, Array], maths: Arithmetic) -> State:
    (hidden,) = state
    reset_bias, update_bias, new_bias, inner_bias = w["bias_c"]
    own = _own(hidden, w, maths).reshape(3, -1)
    given = given.reshape(3, -1)
    reset = sigmoid(given[0] + own[0] + reset_bias, maths)
    update = sigmoid(given[1] + own[1] + update_bias, maths)
    new = maths.tanh(given[2] + new_bias + reset * (own[2] + inner_bias))
    return ((1 - update) * new + update * hidden,)


def _rnn(given: Array, state: State, w: dict[str, Array], maths: Arithmetic) -> State:
    (hidden,) = state
    own = _own(hidden, w, maths)
    return (maths.tanh(given + w["bias_c"][0] + own),)


def _recurrent(step: Step, states: int) -> Any:
    def formula(layer: Layer, tensors: Tensors, inputs: Inputs, maths: Arithmetic) -> list[Array]:
        names = list(NAMES)
        if layer.integer(8, 0):
            names += ["weight_xc_scale", "weight_hc_scale"]
        if tensors.int8 != frozenset(WEIGHTS if layer.integer(8, 0) else ()):
            raise NoDefinitionError("some weights are int8 and others are not")
        x, direction = inputs[0], layer.integer(2, 0)
        if x.ndim != 2 or not 0 <= direction <= BOTH:
            raise NoDefinitionError(f"{x.shape} in direction {direction}")
        initial = _initial(layer, inputs, states)
        outputs, ends = [], []
        for index in range(len(initial[0])):
            w = {name: tensors[name][index] for name in names}
            if "weight_hr" in tensors:
                w["weight_hr"] = tensors["weight_hr"][index]
            state = tuple(rows[index] for rows in initial)
            backward = direction == REVERSE or index == 1
            given = _entering(x, w, maths)
            y = np.empty((len(x), len(state[0])), x.dtype)
            for place in range(len(x))[:: -1 if backward else 1]:
                state = step(given[place], state, w, maths)
                y[place] = state[0]
            outputs.append(y)
            ends.append(state)
        blobs = [np.concatenate(outputs, axis=1)]
        if len(layer.outputs) > 1:
            blobs += [np.stack(rows) for rows in zip(*ends, strict=True)]
        return blobs

    return formula


def _initial(layer: Layer, inputs: Inputs, states: int) -> list[Array]:
    """Return the states at the beginning: one row per direction."""
    count = 2 if layer.integer(2, 0) == BOTH else 1
    output = layer.integer(0, 0)
    sizes = [output, layer.integer(3, output)][:states]
    if len(inputs) == 1:
        return [np.zeros((count, size), inputs[0].dtype) for size in sizes]
    given = inputs[1:]
    shapes = [(count, size) for size in sizes]
    if [x.shape for x in given] != shapes:
        raise NoDefinitionError(f"states of {[x.shape for x in given]} for {shapes}")
    return list(given)


DEFINITIONS: dict[str, Definition] = {
    "LSTM": define(_recurrent(_lstm, 2), 0, 1, 2, 3, 8, int8=True),
    "GRU": define(_recurrent(_gru, 1), 0, 1, 2, 8, int8=True),
    "RNN": define(_recurrent(_rnn, 1), 0, 1, 2, 8, int8=True),
}
