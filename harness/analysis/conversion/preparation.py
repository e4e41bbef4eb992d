"""From a model's files to one whose blobs have references, and to inputs of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np

import harness
from harness.analysis.conversion.exact_run import ExactRun
from harness.analysis.conversion.onnx_side import OnnxSide
from harness.analysis.conversion.proof import ConversionProof
from harness.analysis.conversion.walk import ModelSide, Trial
from harness.domain.code_digest import code_digest
from harness.domain.spec import CellSpec, InputSpec, content_key
from harness.execution.cell_runner import job_of
from harness.execution.job import JobInput
from harness.model.conversion import Conversion
from harness.model.onnx_graph import OnnxGraph
from harness.model.weights import read_weights
from harness.reference.blob_values import onnx_values
from harness.reference.extents import try_extents
from harness.reference.prepared_input import PreparedInput, prepare_input
from harness.reference.tensors import feeds_of, tensors_of
from harness.reference.values import digests
from harness.sources.options import most_exact, read_option_fields
from harness.util.codes import Code
from harness.util.errors import BuildError, CrashError, HarnessError, LimitError, ModelError
from harness.util.scratch import scratch_directory
from harness.util.sealed import read_sealed, write_sealed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from harness.domain.spec import BuildSpec, RunSpec
    from harness.execution.local_machine import LocalMachine
    from harness.model.prepared_model import PreparedModel
    from harness.reference.values import Kind

    Array = NDArray[Any]
    Tensors = Mapping[str, Array]

PROVING = ("definition", "model", "compare", "reference", "analysis/conversion")
"""Packages whose code decides what is proved: with other code it is proved anew."""
CONVERSION = "conversion"
"""File in which a conversion is kept, as JSON below its hash."""
MAX_ORDERS = 24
"""Orders of a model's inputs that are tried where names do not fit."""


@dataclass(kw_only=True)
class ModelPreparation:
    """Proves a model's conversion and prepares its inputs, for any command.

    `model` is the model as it was read until `prove` has replaced it.
    """

    machine: LocalMachine
    model: PreparedModel
    builds: Sequence[tuple[BuildSpec, RunSpec | None]]
    """What may be built and asked where definitions do not settle it, in this order, with the run
    options for it; None for the most exact ones that the version has."""
    say: Callable[[str], None] = lambda _: None
    """Told what takes long."""

    def prove(self, specs: Sequence[InputSpec]) -> PreparedModel:
        """Find out what the blobs hold, on at least two inputs, or recall what was found.

        Raises:
            ModelError: the ONNX file or the inputs cannot be used.
        """
        limit = self.machine.limits.input_bytes
        inputs = [tensors_of(spec, self.model, limit) for spec in specs[:2]]
        if len(inputs) < 2 or _are_alike(*inputs):
            inputs.append(_another(inputs[0]))
        # What no build was asked about holds whatever there is to build.
        files = self._files(inputs)
        known = next(filter(None, map(_read, files)), None)
        if known is None:
            self.say("finding out what each blob holds")
            known = self._proved(inputs)
            self.model.check()
            asked = known.run or known.unsettled
            if not self.machine.store.is_read_only:
                write_sealed(files[bool(asked)], known.model_dump_json())
        self.model = replace(self.model, conversion=known)
        return self.model

    def input(self, spec: InputSpec) -> PreparedInput:
        """Prepare an input of the model, whose conversion is proved."""
        machine = self.machine
        return prepare_input(
            spec,
            self.model,
            machine.store,
            machine.evaluator,
            self.taken,
            limit=machine.limits.input_bytes,
        )

    def taken(self, feeds: Mapping[str, Array]) -> Mapping[str, Array]:
        """Return all blobs of the exact run that this conversion takes some from.

        Raises:
            ModelError: it cannot be run any more.
        """
        wanted = self.model.conversion.run
        for run in self._runs([feeds]):
            if run.cell == wanted:
                return run.inputs[0]
        raise ModelError(
            f"{self.model.param}: {wanted}, from which blobs are taken that have no definition "
            "here, cannot be run any more. Put its version and flags back into the configuration.",
            code=Code.NO_REFERENCE,
        )

    def _files(self, inputs: Sequence[Tensors]) -> tuple[Path, Path]:
        """Return where a conversion is kept: proved without any build, and with these to ask."""
        model, tolerance = self.model, self.machine.cells.tolerance
        origin = {
            "model": model.digest,
            "onnx": model.onnx_content,
            "names": list(model.spec.names),
            "non_finite": model.spec.non_finite,
            "inputs": [digests(tensors) for tensors in inputs],
            "code": [harness.__version__, code_digest(PROVING)],
            "limits": [tolerance.layer, tolerance.floors],
        }
        names = [f"{build.id}/{run.name if run else ''}" for build, run in self.builds]
        without, asked = (content_key({**origin, "builds": builds}) for builds in ((), names))
        folder = self.machine.store.models
        return (
            folder / f"conversion-{without}" / CONVERSION,
            folder / f"conversion-{asked}" / CONVERSION,
        )

    def _proved(self, inputs: Sequence[Tensors]) -> Conversion:
        """Try the orders of the inputs until the outputs are right; names come first."""
        model = self.model
        feeds = feeds_of(model, inputs[0])
        shapes = {blob: array.shape for blob, array in feeds.items()}
        # What is proved is computed here, where only the machine itself limits it.
        self.machine.evaluator(try_extents, model.graph, shapes, what=model.param)
        files = ModelSide(
            graph=model.graph,
            tensors=read_weights(model.graph, model.bin),
            names=dict(model.spec.names),
        )
        if model.onnx is None:
            return self._proof(files, inputs, [{} for _ in inputs], None).conversion()
        values = [self._values(tensors, "fp32") for tensors in inputs]
        side = OnnxSide(OnnxGraph.load(model.onnx).complete())
        as_named = self._proof(files, inputs, values, side)
        if as_named.is_right():
            return as_named.conversion()
        for order in _other_orders(model, inputs[0]):
            self.model = replace(model, inputs=order)
            proof = self._proof(files, inputs, values, side)
            if proof.is_right():
                return _with_exchange(proof.conversion(), model.inputs, order)
        self.model = model
        return as_named.conversion()

    def _proof(
        self,
        files: ModelSide,
        inputs: Sequence[Tensors],
        values: Sequence[Tensors],
        side: OnnxSide | None,
    ) -> ConversionProof:
        model = self.model
        return ConversionProof(
            model=files,
            trials=[
                Trial(feeds=feeds_of(model, tensors), values=known)
                for tensors, known in zip(inputs, values, strict=True)
            ],
            onnx=side,
            exact=lambda: self._exact_values(inputs),
            runs=self._runs([feeds_of(model, tensors) for tensors in inputs]),
            limit=self.machine.cells.tolerance.layer,
            floors=self.machine.cells.tolerance.floors,
        )

    def _exact_values(self, inputs: Sequence[Tensors]) -> list[Tensors] | None:
        """Return the ONNX values in float64; None where an operator cannot be evaluated so."""
        self.say("evaluating the ONNX file in float64")
        try:
            return [self._values(tensors, "float64") for tensors in inputs]
        except (LimitError, CrashError):
            raise
        except ModelError:
            return None

    def _values(self, tensors: Tensors, kind: Kind) -> Tensors:
        """Return all values of the ONNX graph."""
        assert self.model.onnx is not None
        return self.machine.evaluator(
            onnx_values, self.model, dict(tensors), None, kind, what=self.model.onnx
        )

    def _runs(self, feeds: Sequence[Mapping[str, Array]]) -> Iterator[ExactRun]:
        """Yield the most exact run of each build that has one."""
        for spec, options in self.builds:
            if self.machine.resolver.lacking(spec.flags) or spec.flags.wants_vulkan:
                continue
            self.say(f"asking {spec.id} what it computes")
            run = self._exact(spec, options, feeds)
            if run is not None:
                yield run

    def _exact(
        self, spec: BuildSpec, options: RunSpec | None, feeds: Sequence[Mapping[str, Array]]
    ) -> ExactRun | None:
        """Run a build as exactly as it can; None if it cannot be built or does not run."""
        resolver, launcher = self.machine.resolver, self.machine.cells.launcher
        spec = replace(spec, layers=self.model.graph.layer_types())
        try:
            plan = resolver.plan(spec)
            run = options or most_exact(read_option_fields(plan.tree.path))
            build = resolver.make(plan)
        except (BuildError, HarnessError):
            return None
        cell = CellSpec(build=spec, run=run, model=self.model.spec, input=InputSpec(name="exact"))
        with scratch_directory("exact-") as scratch:
            items = tuple(_kept(arrays, scratch, at) for at, arrays in enumerate(feeds))
            job = job_of(build, cell, self.model, ()).model_copy(update={"inputs": items})
            results = launcher.run(job, scratch / "processes")
            if any(result.failure for result in results):
                return None
            found = [
                {blob: np.load(file) for blob, file in result.chain.files.items()}
                for result in results
                if result.chain
            ]
        return ExactRun(cell=f"{spec.id}/{run.name}", inputs=found)


def _kept(feeds: Mapping[str, Array], scratch: Path, number: int) -> JobInput:
    """Write an input where a worker finds it, and tell it to keep all blobs."""
    folder = scratch / f"feeds-{number}"
    folder.mkdir()
    files = {}
    for place, (blob, array) in enumerate(feeds.items()):
        np.save(folder / f"{place}.npy", array)
        files[blob] = str(folder / f"{place}.npy")
    return JobInput(name=str(number), feeds=files, keep=str(scratch / f"blobs-{number}"))


def _other_orders(model: PreparedModel, tensors: Tensors) -> Iterator[dict[str, str]]:
    """Yield other ways to give the ONNX inputs to the input blobs: all that fit in shape."""
    blobs, names = list(model.inputs), list(model.inputs.values())
    for _, order in zip(range(MAX_ORDERS), permutations(names), strict=False):
        same = all(tensors[a].shape == tensors[b].shape for a, b in zip(names, order, strict=True))
        if same and list(order) != names:
            yield dict(zip(blobs, order, strict=True))


def _with_exchange(
    conversion: Conversion, named: Mapping[str, str], order: Mapping[str, str]
) -> Conversion:
    """Return a conversion that tells which inputs are not those of their names."""
    notes = [
        f"the input blob '{blob}' is the ONNX input '{order[blob]}', not '{named[blob]}': with it "
        "the outputs are right"
        for blob in named
        if named[blob] != order[blob]
    ]
    return conversion.model_copy(update={"misnomers": (*notes, *conversion.misnomers)})


def _are_alike(one: Tensors, other: Tensors) -> bool:
    """Return whether two inputs tell no more than one: equal, or blank."""
    pairs = [(one[name], other[name]) for name in one]
    return all(np.array_equal(a, b) or max(np.ptp(a), np.ptp(b)) == 0 for a, b in pairs)


def _another(tensors: Tensors) -> dict[str, Array]:
    """Return another input of the same shapes, types and range."""
    generator = np.random.default_rng(1)
    found = {}
    for name, array in tensors.items():
        shuffled = generator.permutation(array.ravel()).reshape(array.shape)
        if array.dtype.kind == "f" and np.array_equal(shuffled, array):
            shuffled = array + generator.uniform(-0.5, 0.5, array.shape).astype(array.dtype)
        found[name] = shuffled
    return found


def _read(file: Path) -> Conversion | None:
    text = read_sealed(file)
    try:
        return None if text is None else Conversion.model_validate_json(text)
    except ValueError:
        return None  # of another version of the harness
