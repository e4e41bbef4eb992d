"""Everything a cell needs besides its build: model files, inputs and reference values on disk."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.domain.spec import ModelSpec, content_key
from harness.model import convert as converter
from harness.model import recogniser
from harness.model.onnx_graph import OnnxGraph
from harness.model.param import Param, read_param
from harness.model.weights import read_tensors
from harness.sources.download import fetch_distribution
from harness.util.errors import ModelError
from harness.util.files import directory_atomically, sha256_of

if TYPE_CHECKING:
    from harness.util.build_store import Store


@dataclass(frozen=True, kw_only=True)
class PreparedModel:
    """A model in both formats, checked."""

    spec: ModelSpec
    onnx: Path
    param: Path
    bin: Path
    graph: Param
    inputs: tuple[str, ...]
    """ncnn input blobs."""
    output: str
    """ncnn blob that is compared as the model's output."""
    names: dict[str, str]
    """ncnn blob → ONNX value, where the names differ."""
    values: frozenset[str]
    """ONNX values that blobs can be compared with."""
    characters: tuple[str, ...]
    """Character table for CTC decoding; empty for models without one."""

    @cached_property
    def digest(self) -> str:
        """Equal for models whose `.param` and `.bin` are the same."""
        return content_key([sha256_of(self.param), sha256_of(self.bin)])

    def value_of(self, blob: str) -> str:
        """Return the name of the ONNX value that a blob corresponds to."""
        return self.names.get(blob, blob)


def prepare_model(spec: ModelSpec, store: Store) -> PreparedModel:
    """Fetch and convert the built-in model, or check the files of a user's own.

    Raises:
        ModelError: a file is missing, truncated or not understood.
        MachineError: the built-in model cannot be downloaded.
    """
    if spec.onnx:
        return _describe(spec, Path(spec.onnx), Path(spec.param), Path(spec.bin))
    wheel = fetch_distribution(
        recogniser.PROJECT,
        recogniser.VERSION,
        kind="wheel",
        cache=store.downloads,
        sha256=recogniser.WHEEL_SHA256,
    )
    folder = store.models / f"{spec.name}-{_converter_digest()}"
    with store.lock(folder.name):
        if not folder.is_dir():
            with directory_atomically(folder) as work:
                recogniser.prepare(wheel, work)
    files = recogniser.ModelFiles.within(folder)
    return _describe(spec, files.onnx, files.param, files.bin)


@cache
def _converter_digest() -> str:
    """Return a key of the built-in model: what the converter wrote is stale when it changes."""
    folder = Path(converter.__file__).parent
    files = {path.name: sha256_of(path) for path in sorted(folder.glob("*.py"))}
    return content_key([recogniser.WHEEL_SHA256, files])


def _describe(spec: ModelSpec, onnx_path: Path, param: Path, weights: Path) -> PreparedModel:
    """Check the files of a model against each other."""
    graph = read_param(param)
    read_tensors(graph, weights)
    source = OnnxGraph.load(onnx_path)
    consumed = {blob for layer in graph.layers for blob in layer.inputs}
    produced = [blob for layer in graph.layers for blob in layer.outputs]
    inputs = tuple(b for layer in graph.layers if layer.type == "Input" for b in layer.outputs)
    ends = [blob for blob in produced if blob not in consumed]
    names = dict(spec.names)
    # A model with one input and one output needs no names for these.
    for blobs, values in ((inputs, tuple(source.inputs)), (ends, source.outputs)):
        if len(blobs) == len(values) == 1 and blobs[0] != values[0]:
            names.setdefault(blobs[0], values[0])
    outputs = [blob for blob in ends if names.get(blob, blob) in source.outputs]
    unknown = [blob for blob in inputs if names.get(blob, blob) not in source.inputs]
    for kind, wrong in (("input", unknown), ("output", [] if outputs else ends)):
        if wrong:
            raise ModelError(
                f"{param}: {kind} blob '{wrong[0]}' has no counterpart in {onnx_path}, whose "
                f"{kind}s are {', '.join(source.inputs if kind == 'input' else source.outputs)}. "
                "Name it in the configuration: [model.names] blob = value."
            )
    available = {*source.inputs, *source.computed}
    return PreparedModel(
        spec=spec,
        onnx=onnx_path,
        param=param,
        bin=weights,
        graph=graph,
        inputs=inputs,
        output=outputs[0],
        names=names,
        values=frozenset({names.get(blob, blob) for blob in graph.blobs} & available),
        characters=_characters(source),
    )


def _characters(source: OnnxGraph) -> tuple[str, ...]:
    """Return the character table that recognisers of PaddleOCR keep in their metadata."""
    if any(entry.key == "character" for entry in source.proto.metadata_props):
        return tuple(recogniser.character_table(source.path))
    return ()
