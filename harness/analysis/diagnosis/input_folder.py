"""All images and tensors of a directory as inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from PIL import Image

from harness.domain.spec import InputSpec
from harness.util.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TENSORS = (".npy", ".npz")
PIXELS = 127.5
"""Mean and reciprocal scale that bring pixels to [-1, 1], as rendered text is."""


def inputs_in(folder: Path, configured: Sequence[InputSpec]) -> tuple[InputSpec, ...]:
    """Return one input per image and tensor file, in the order of their names.

    Images are read as the first `image` input of the configuration says; without one, in the shape
    of the first input and normalised to [-1, 1].

    Raises:
        UsageError: there is no such directory, or nothing usable in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such directory. Give one with images or .npy files.")
    Image.init()
    template = _template(configured)
    found = []
    for path in sorted(folder.iterdir()):
        absolute = str(path.resolve())
        if path.suffix.lower() in TENSORS:
            found.append(InputSpec(name=path.name, npy=absolute))
        elif path.suffix.lower() in Image.EXTENSION:
            found.append(replace(template, name=path.name, image=absolute))
    if not found:
        raise UsageError(f"{folder}: no image and no .npy file in it. Give another directory.")
    return tuple(found)


def _template(configured: Sequence[InputSpec]) -> InputSpec:
    given = next((item for item in configured if item.image), None)
    if given:
        return given
    shape = next((item.shape for item in configured if item.shape), ())
    return InputSpec(name="image", shape=shape, mean=(PIXELS,), scale=(1 / PIXELS,))
