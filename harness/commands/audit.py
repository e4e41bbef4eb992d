"""`audit`: which known faults of ncnn a model meets in a version, without running anything."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from harness.advisories.advisory import ARCHES
from harness.advisories.audit import audit, storages_of, subjects_of
from harness.advisories.loading import load_corpus
from harness.advisories.subject import Setting
from harness.build.toolchain import layer_arch
from harness.commands import argument_types as types
from harness.commands.arguments import COMMON_EXITS, add_builds, add_config, add_locked
from harness.config.axes import with_flags, with_run
from harness.config.cells import inputs_of, model_of, run_of
from harness.config.flags import resolve_flag_set
from harness.config.loading import load_config
from harness.config.ranges import MOST_ELEMENTS
from harness.definition import MAX_AXES
from harness.domain.spec import THREADS
from harness.domain.versions import date_of
from harness.model.param import read_param
from harness.model.prepared_model import prepare_model
from harness.model.weights import read_tensors
from harness.report.audit_text import audit_lines
from harness.util.build_store import Store
from harness.util.codes import Code
from harness.util.errors import EXIT_FINDINGS, EXIT_OK, EXIT_SUSPECTS, UsageError
from harness.util.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from harness.config.tables import Config
    from harness.model.param import Param

    Shapes = dict[str, tuple[int, ...]]

HELP = "say which known faults of ncnn a model meets in a version, without running anything"
DESCRIPTION = """\
Looks up the known faults of ncnn's versions (configs/corpus, see docs/corpus.md) and says which of
them the layers of a model meet, with the shapes, run options, threads and build flags given.
Nothing is compiled, and no model is run. What depends on something that was not given is told as
"perhaps", with what is missing. Only a measurement shows that there is no fault that nobody knows.
"""
EXAMPLES = """\
examples:
  nox -s audit -- --param my.param --version 20250503 --shape 1,3,224,224 --threads 4
  nox -s audit -- --param my.param --bin my.bin --version 20250503 --flags avx2 --run bf16
  nox -s audit -- --param my.param --version 20250503 --shape a=3x224x224 --shape b=16
  nox -s audit -- --param my.param --version 20250503 --arch arm --json
  nox -s audit -- --version 20250503 --flags avx2 --threads 2     the configuration's model

a shape with commas is as the ONNX model takes it, batch first; with x it is as ncnn has it, without
a batch, outermost axis first. A second shape of the same input is looked at as well.
SET is the name of a set in the configuration or built in, KEY=VALUE pairs, or both, separated by
commas: avx2,NCNN_INT8=OFF or use_bf16_storage=true
"""
EXITS = {
    EXIT_OK: "no known fault is met",
    EXIT_FINDINGS: "a known fault is met",
    EXIT_SUSPECTS: "none is met for certain, but something that was not given decides about some",
    **COMMON_EXITS,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--param",
        type=types.path,
        metavar="FILE",
        help="the model (default: the configuration's, made if need be)",
    )
    model.add_argument(
        "--bin", type=types.path, metavar="FILE", help="its weights: tells how they are stored"
    )
    model.add_argument(
        "--shape",
        action="append",
        type=types.text,
        default=[],
        metavar="SHAPE",
        help="an input's shape, such as 1,3,224,224 or 3x224x224, with NAME= of several inputs "
        "(default: what the .param or the configuration says)",
    )
    use = parser.add_argument_group("how it is run")
    use.add_argument(
        "--version",
        type=types.name,
        required=True,
        metavar="V",
        help="a release of ncnn, by its date",
    )
    use.add_argument(
        "--flags",
        type=types.text,
        default="",
        metavar="SET",
        help="build flags (default: not known)",
    )
    use.add_argument(
        "--run",
        type=types.text,
        default="",
        metavar="SET",
        help="run options (default: ncnn's own)",
    )
    use.add_argument(
        "--threads",
        type=types.threads,
        metavar="N",
        help="number of threads (default: that of --run)",
    )
    use.add_argument(
        "--arch",
        choices=[arch for arch in ARCHES if arch != "vulkan"],
        help="the CPU (default: what --flags are for, or this machine's)",
    )
    work = parser.add_argument_group("how to work")
    work.add_argument(
        "--corpus", type=types.path, metavar="DIR", help="known faults of your own instead"
    )
    work.add_argument("--json", action="store_true", help="for machines")
    add_config(work)
    add_builds(work, "the build store, which has the configuration's model")
    add_locked(work)


def execute(options: argparse.Namespace) -> int:
    """Run the command.

    Raises:
        HarnessError: with one clear message.
    """
    if not date_of(options.version):
        raise UsageError(
            f"--version {options.version}: give a release of ncnn by its date, such as 20250503.",
            code=Code.UNKNOWN_RELEASE,
        )
    advisories = load_corpus(options.corpus)
    config = load_config(options.config)
    setting = _setting(options, config)
    param, weights, shapes = _model(options, config)
    storages = storages_of(read_tensors(param, weights)) if weights else {}
    found = audit(advisories, subjects_of(param, shapes, storages), setting)
    if options.json:
        data = {
            "version": setting.version,
            "arch": setting.arch,
            "threads": setting.threads,
            "options": dict(setting.options),
            "advisories": [met.model_dump() for met in found],
        }
        print(json.dumps(data, indent=1))
    else:
        for line in audit_lines(found):
            print(printable(line))
    if any(met.certain for met in found):
        return EXIT_FINDINGS
    return EXIT_SUSPECTS if found else EXIT_OK


def _setting(options: argparse.Namespace, config: Config) -> Setting:
    """Return how the model is run, as far as it was told."""
    config, name = with_run(config, options.run)
    run = run_of(name, config)
    if run.when != "first":
        raise UsageError(
            f"--run {options.run}: sets options {run.when}, when some no longer have an effect. "
            "Give options that are set first."
        )
    flags = None
    if options.flags:
        config, chosen = with_flags(config, options.flags)
        flags = resolve_flag_set(chosen, config.flags, config.targets)
    threads = options.threads
    if threads is None and (THREADS in options.run or run.threads > 1):
        threads = run.threads
    return Setting(
        version=options.version,
        arch=options.arch or (flags.target.arch if flags and flags.target else layer_arch()),
        options=dict(run.options),
        threads=threads,
        flags=dict(flags.options) if flags else None,
    )


def _model(
    options: argparse.Namespace, config: Config
) -> tuple[Param, Path | None, Sequence[Shapes]]:
    """Return a model, its weights, and sets of shapes of its inputs."""
    if options.param:
        param = read_param(options.param)
        return param, options.bin, shape_sets(options.shape, inputs_in(param))
    if options.bin:
        raise UsageError(f"--bin {options.bin}: goes with --param. Give both.")
    store = Store(root=options.builds.resolve())
    store.prepare()
    base = options.config.resolve().parent
    model = prepare_model(model_of(config, base), store, config.limits.model_bytes)
    texts = options.shape or [
        f"{blob}={','.join(map(str, dict(spec.shapes).get(name, spec.shape)))}"
        for spec in inputs_of(config, base)
        for blob, name in model.inputs.items()
        if spec.shape or spec.shapes
    ]
    return model.graph, model.bin, shape_sets(texts, inputs_in(model.graph))


def inputs_in(param: Param) -> tuple[str, ...]:
    """Return the blobs that a model is fed with."""
    return tuple(b for layer in param.layers if layer.type == "Input" for b in layer.outputs)


def shape_sets(texts: Sequence[str], inputs: Sequence[str]) -> list[Shapes]:
    """Return sets of shapes of a model's inputs, in ncnn's layout: the first of each, and so on.

    Raises:
        UsageError: a text is no shape, or there is no such input.
    """
    given: dict[str, list[tuple[int, ...]]] = {}
    for text in texts:
        name, equals, extents = text.rpartition("=")
        if not equals and len(inputs) > 1:
            raise UsageError(
                f"--shape {text}: say which input, such as {inputs[0]}={extents}.",
                code=Code.STRANGE_SHAPE,
            )
        blob = name if equals else (*inputs, "")[0]
        if blob not in inputs:
            raise UsageError(
                f"--shape {text}: the model has no such input. It has {', '.join(inputs)}.",
                code=Code.STRANGE_SHAPE,
            )
        shape = _shape(text, extents)
        if shape not in given.setdefault(blob, []):
            given[blob].append(shape)
    most = max(map(len, given.values()), default=1)
    return [{b: s[min(at, len(s) - 1)] for b, s in given.items()} for at in range(most)]


def _shape(text: str, extents: str) -> tuple[int, ...]:
    one = r"[1-9]\d{0,9}"
    if not re.fullmatch(rf"{one}(,{one}){{0,4}}|{one}(x{one}){{0,3}}", extents, re.ASCII):
        raise UsageError(
            f"--shape {text}: give 1,3,224,224 (as in ONNX) or 3x224x224 (as ncnn has it).",
            code=Code.STRANGE_SHAPE,
        )
    shape = tuple(int(extent) for extent in re.split("[,x]", extents))
    # ncnn's blobs have no batch.
    without = shape[1:] if "," in extents and shape[0] == 1 and len(shape) > 1 else shape
    if math.prod(shape) > MOST_ELEMENTS:
        raise UsageError(
            f"--shape {text}: no blob has more than {MOST_ELEMENTS} elements.",
            code=Code.STRANGE_SHAPE,
        )
    if len(without) > MAX_AXES:
        raise UsageError(
            f"--shape {text}: ncnn's blobs have no more than {MAX_AXES} axes.",
            code=Code.STRANGE_SHAPE,
        )
    return without
