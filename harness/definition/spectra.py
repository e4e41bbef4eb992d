"""Spectrogram and its inverse: windows of a signal, and their Fourier transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.definition.definition import (
    Array,
    Definition,
    Inputs,
    NoDefinitionError,
    Tensors,
    define,
)

if TYPE_CHECKING:
    from harness.definition.arithmetic import Arithmetic
    from harness.model.param import Layer

BY_LENGTH, BY_WINDOW = 1, 2
"""What spectra are normalised by."""
_PADS = ("constant", "edge", "reflect")


def _window(layer: Layer, size: int) -> Array:
    """Return the weights of a window, in the middle of `size` elements."""
    length, kind = layer.integer(3, size), layer.integer(4, 0)
    turns = 2 * np.pi * np.arange(length) / length
    forms = (
        np.ones(length),
        0.5 * (1 - np.cos(turns)),
        0.54 - 0.46 * np.cos(turns),
    )
    if not 0 <= kind < len(forms) or not 0 < length <= size:
        raise NoDefinitionError(f"window {kind} of {length} in {size}")
    before = (size - length) // 2
    return np.pad(forms[kind], (before, size - length - before))


def _scale(layer: Layer, window: Array) -> float:
    """Return what a normalised spectrum is divided by."""
    by = layer.integer(7, 0)
    if by not in (0, BY_LENGTH, BY_WINDOW):
        raise NoDefinitionError(f"normalisation {by}")
    return float(np.sqrt((1, len(window), np.square(window).sum())[by]))


def _spectrogram(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    size, power = layer.integer(0, 0), layer.integer(1, 0)
    if x.ndim != 1 or power not in (0, 1, 2):
        raise NoDefinitionError(f"power {power} of {x.shape}")
    window = _window(layer, size)
    pad = layer.integer(6, 2)
    if layer.integer(5, 1) == 1:
        if not 0 <= pad < len(_PADS) or (_PADS[pad] == "reflect" and len(x) <= size // 2):
            raise NoDefinitionError(f"padding {pad} of {x.shape}")
        x = np.pad(x, size // 2, mode=_PADS[pad])  # type: ignore[call-overload]
    hop = layer.integer(2, size // 4)
    if hop < 1:
        raise NoDefinitionError(f"windows every {hop}")
    views = np.lib.stride_tricks.sliding_window_view(x, size)[::hop]
    y = np.fft.rfft(views * window, axis=1).T / _scale(layer, window)
    if not layer.integer(8, 1):
        # The other half mirrors this one.
        y = np.concatenate([y, y[size - size // 2 - 1 : 0 : -1].conj()])
    if power == 0:
        return np.stack([y.real, y.imag], axis=-1)
    return np.asarray(np.abs(y) ** power)


def _inverse(layer: Layer, _: Tensors, inputs: Inputs, __: Arithmetic) -> Array:
    (x,) = inputs
    size, returns, centred = layer.integer(0, 0), layer.integer(1, 0), layer.integer(5, 1)
    hop = layer.integer(2, size // 4)
    window = _window(layer, size)
    if x.ndim != 3 or x.shape[2] != 2 or len(x) not in (size, size // 2 + 1):
        raise NoDefinitionError(f"spectra of {x.shape}")
    if returns not in (0, 1, 2) or hop < 1:
        raise NoDefinitionError(f"returns {returns}, hop {hop}")
    spectra = (x[..., 0] + 1j * x[..., 1]).T
    if len(x) == size // 2 + 1:
        spectra = np.concatenate([spectra, spectra[:, size - size // 2 - 1 : 0 : -1].conj()], 1)
    frames = np.fft.ifft(spectra * _scale(layer, window), axis=1) * window
    total = np.zeros((len(frames) - 1) * hop + size, frames.dtype)
    weight = np.zeros(len(total))
    for index, frame in enumerate(frames):
        total[index * hop : index * hop + size] += frame
        weight[index * hop : index * hop + size] += np.square(window)
    if centred:
        length = (len(frames) - 1) * hop + size % 2
        start = size // 2 if centred == 1 else 0
        total, weight = total[start : start + length], weight[start : start + length]
    y = total / np.where(weight == 0, 1, weight)
    return (np.stack([y.real, y.imag], axis=-1), y.real, y.imag)[returns]


DEFINITIONS: dict[str, Definition] = {
    "Spectrogram": define(_spectrogram, *range(9)),
    "InverseSpectrogram": define(_inverse, *range(6), 7),
}
