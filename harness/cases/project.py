"""A case as a project of its own, that every command takes: a model, its input, a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.cases.sample import BIN, PARAM, sample_of
from harness.model.integer_blobs import integer_blobs
from harness.util.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.cases.layer_case import LayerCase

CONFIG, INPUTS = "config.toml", "inputs.npz"
INPUT = "case"


def write_project(
    case: LayerCase, folder: Path, *, versions: Sequence[str], flags: str, run: str
) -> Path:
    """Write a case as a configuration with its files beside it, and return the configuration.

    Args:
        case: the case.
        folder: where it goes.
        versions: what a matrix of it compares.
        flags: its flag set.
        run: name of its run options.

    Raises:
        ModelError: as `sample_of`.
    """
    sample = sample_of(case)
    folder.mkdir(parents=True, exist_ok=True)
    sample.write(folder)
    integers = integer_blobs(case.param)
    blobs = zip(case.layer.inputs, sample.inputs, strict=True)
    # An axis more: files hold tensors as ONNX has them, with a batch. What the harness itself
    # hands to ncnn as integers is given as numbers, and other integers as floats of the same bits.
    arrays = {
        blob: (x if blob in integers or x.dtype.kind == "f" else x.view(np.float32))[None]
        for blob, x in blobs
    }
    np.savez(folder / INPUTS, allow_pickle=False, **arrays)
    quoted = ", ".join(f'"{version}"' for version in versions)
    write_atomically(
        folder / CONFIG,
        f"# {case}\n\n"
        f'title = "{case.type} alone"\n\n'
        f'[model]\nname = "{case.type.lower()}"\nparam = "{PARAM}"\nbin = "{BIN}"\n'
        'reference = "ncnn"\n\n'
        f'[inputs.{INPUT}]\nnpy = "{INPUTS}"\n\n'
        f'[matrix]\nversions = [{quoted}]\nflags = ["{flags}"]\nruns = ["{run}"]\n',
    )
    return folder / CONFIG
