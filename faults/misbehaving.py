"""A build of ncnn whose InnerProduct does what it is told by the first number of its input."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import numpy as np

from faults.stage import BAD_CONFIG
from harness.sources.tree import is_part
from tests.one_layer import CONFIG, NARROW, ROWS

GOOD = ("*/good",)
SOURCE = "misbehaving-ncnn"
FILE = "src/layer/x86/innerproduct_x86.cpp"
ANCHOR = (
    "int InnerProduct_x86::forward(const Mat& bottom_blob, Mat& top_blob, const Option& opt) const"
    "\n{"
)
HEADER = Path(__file__).parent / "misbehave.h"
AXES = f"""\
[source]
directory = "{SOURCE}"
[matrix]
versions = ["misbehaving"]
flags = ["sse2"]
runs = ["default"]
[limits]
run_seconds = 4
memory_gib = 2
build_seconds = 200
"""


def deeds() -> dict[str, int]:
    """Return what the build can do: the first number of an input by the deed's name."""
    found = re.findall(r"case (\d+): // (\S+)", HEADER.read_text(encoding="ascii"))
    return {name: int(number) for number, name in found}


def prepare(model: Path, sdist: Path) -> None:
    """Write the source, its inputs and a configuration beside a model."""
    root = model / SOURCE
    with tarfile.open(sdist) as tar:
        for member in tar:
            name = member.name.partition("/")[2]
            stream = tar.extractfile(member) if member.isfile() and is_part(name) else None
            if stream:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_bytes(stream.read())
    _patch(root / FILE, model.parent)
    tables = [CONFIG.partition("[inputs.random]")[0]]
    generator = np.random.default_rng(3)
    for name, number in {"good": 0, **deeds()}.items():
        values = generator.uniform(-1, 1, (1, ROWS, NARROW)).astype(np.float32)
        if number:
            values[0, 0, 0] = number
        np.save(model / f"{name}.npy", values)
        tables.append(f'[inputs.{name}]\nnpy = "{name}.npy"\n')
    (model / BAD_CONFIG).write_text("".join([*tables, AXES]), encoding="utf-8")


def _patch(path: Path, stage: Path) -> None:
    text = path.read_text(encoding="utf-8")
    before, anchor, after = text.partition(ANCHOR)
    if not anchor:
        raise ValueError(f"{path}: has no {ANCHOR}")
    places = (
        f'#define FAULT_STORE "{stage / "store"}"\n#define FAULT_RESULTS "{stage / "results"}"\n'
    )
    head = places + HEADER.read_text(encoding="ascii")
    call = "\n    misbehave((float*)bottom_blob.data);\n"
    path.write_text(f"{head}{before}{anchor}{call}{after}", encoding="utf-8")
