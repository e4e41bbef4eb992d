"""Every parser of what comes from outside, as a function of bytes, with the errors it may raise.

A parser returns or raises its documented error; whatever else is a mistake. What a parser returns
is used as its callers do: printed, written again, compared.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from harness.advisories.condition import Condition
from harness.advisories.loading import load_file
from harness.advisories.names import KNOWN
from harness.build import cmake
from harness.build.definitions import Definitions
from harness.build.linker_output import undefined_symbols
from harness.build.trim import layers_off, listed_layers, required_layers
from harness.cases.layer_case import parse_case
from harness.config.axes import with_flags, with_run
from harness.config.cells import expand, select
from harness.config.loading import load_config
from harness.domain.commits import read_commits
from harness.domain.findings import read_findings
from harness.domain.records import parse_record
from harness.domain.spec import InputSpec
from harness.domain.versions import date_of, ordered_versions
from harness.execution import native_trace, sanitizer_report
from harness.execution.job import MESSAGES
from harness.model.onnx_graph import OnnxGraph
from harness.model.param import parse, write
from harness.model.weights import read_tensors
from harness.reference.inputs import make_input
from harness.report.dataset import read_run
from harness.sources import git
from harness.sources.options import known_options, read_option_fields
from harness.sources.pip_config import PipConfig
from harness.sources.tree import check_name, write_file
from harness.util.errors import BuildError, HarnessError
from harness.util.naming import file_name
from tests.hostile.making import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.config.tables import Config


@dataclass(frozen=True, kw_only=True)
class Parser:
    """One of them."""

    parse: Callable[[bytes], object]
    errors: tuple[type[Exception], ...] = (HarnessError,)
    """What it documents."""


@cache
def _scratch() -> Path:
    """Return a folder for parsers of files, gone with the process."""
    folder = tempfile.TemporaryDirectory(prefix="fuzz-")
    _KEPT.append(folder)
    return Path(folder.name)


_KEPT: list[tempfile.TemporaryDirectory[str]] = []


def _file(name: str, data: bytes) -> Path:
    path = _scratch() / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


@cache
def _config() -> Config:
    return load_config(_file("usual/c.toml", CONFIG.encode()))


def _param(data: bytes) -> None:
    first = parse(data.decode(errors="replace"))
    # What is written is read as the same.
    assert parse(write(first)) == first
    assert first.layer_types()


def _weights(data: bytes) -> None:
    text, _, weights = data.partition(b"\0\0")
    read_tensors(parse(text.decode(errors="replace")), _file("m.bin", weights))


def _onnx(data: bytes) -> None:
    graph = OnnxGraph.load(_file("m.onnx", data))
    _ = graph.inputs, graph.outputs, graph.computed
    graph.content()


def _configuration(data: bytes) -> None:
    config = load_config(_file("c.toml", data))
    expand(config, base=_scratch(), generate=lambda _: ())


def _run_directory(data: bytes) -> None:
    names = ("cells.jsonl", "config.toml", "left-out.json", "finding.json", "commits.json")
    pieces = data.split(b"\0\0")
    for name in names:
        (_scratch() / "run" / name).unlink(missing_ok=True)
    _file("run/config.toml", CONFIG.encode())
    for name, piece in zip(names, pieces, strict=False):
        if piece:
            _file(f"run/{name}", piece)
    folder = _scratch() / "run"
    read_run(folder)
    read_findings([folder])
    read_commits([folder])


def _case(data: bytes) -> None:
    case = parse_case(_text(data))
    assert parse_case(case.id) == case
    assert case.param.blobs


def _condition(data: bytes) -> None:
    when, *terms = data.decode(errors="replace").split("\n")
    condition = Condition(when, {f"t{number}": term for number, term in enumerate(terms)})
    condition.check(KNOWN)
    condition.of(dict.fromkeys(KNOWN, 7))


def _input(**kind: str) -> Callable[[bytes], object]:
    shape = {"shape": (1, 3, 4, 4)} if "image" in kind else {}

    def make(data: bytes) -> object:
        for name in kind.values():
            _file(name, data)
        return make_input(InputSpec(name="a", **shape, **kind), base=_scratch())

    return make


def _written_text(data: bytes) -> object:
    return make_input(InputSpec(name="a", text=_text(data), shape=(1, 3, 8, 64)), base=_scratch())


def _tree_names(data: bytes) -> None:
    root = _scratch() / "tree"
    root.mkdir(exist_ok=True)
    name = _text(data)
    check_name(name, "here")
    if len(data) < 200 and name.count("/") < 20:
        write_file(root, name, b"", "here")
        assert (root / name).resolve().is_relative_to(root.resolve())


def _names(data: bytes) -> None:
    name = data.decode(errors="surrogatepass") if _is_text(data) else _text(data)
    made = file_name(name)
    assert 0 < len(os.fsencode(made)) <= 100
    assert made not in (".", "..")
    assert "/" not in made
    assert file_name(made) == made or made != name


def _is_text(data: bytes) -> bool:
    try:
        data.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def _versions(data: bytes) -> None:
    labels = _text(data).split("\n")
    assert sorted(ordered_versions(labels)) == sorted(set(labels))
    assert all(len(date_of(label)) in (0, 10) for label in labels)


def _git_output(data: bytes) -> None:
    text = data.decode(errors="replace")
    assert "\n" not in git.reason(text)


def _pip_config(data: bytes) -> None:
    PipConfig.load({"PIP_CONFIG_FILE": str(_file("pip.conf", data))})


def _selectors(data: bytes) -> None:
    matrix = expand(_config(), base=_scratch(), generate=lambda _: ())
    only, *skip = _text(data).split("\n")
    select(matrix, only=[only], skip=skip)


def _trace(data: bytes) -> None:
    text = data.decode(errors="replace")
    native_trace.read_trace(text)
    native_trace.short_name(text)


def _sanitizer(data: bytes) -> None:
    text = data.decode(errors="replace")
    report = sanitizer_report.asan_report(text)
    if report:
        sanitizer_report.asan_sentence(report)
        sanitizer_report.asan_memory(report)
    sanitizer_report.undefined_behaviour(text)


def _build_output(data: bytes) -> None:
    text = data.decode(errors="replace")
    assert len(cmake.first_error(text)) <= 500
    for line in text.splitlines():
        cmake.progress(line)
    for symbol in undefined_symbols(text):
        assert str(symbol)


def _sources(data: bytes) -> None:
    pieces = data.split(b"\0\0")
    names = ("src/CMakeLists.txt", "src/option.h", "src/option.cpp", "src/mat.cpp")
    # What is read of a tree is remembered by its path.
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        tree = Path(folder)
        (tree / "src" / "layer").mkdir(parents=True)
        for name in names:
            (tree / name).write_bytes(b"")
        for name, piece in zip((*names, "src/layer/relu.cpp"), pieces, strict=False):
            (tree / name).write_bytes(piece)
        (tree / "CMakeLists.txt").write_bytes(pieces[0])
        read_option_fields(tree)
        known_options(tree)
        layers_off(tree)
        required_layers(tree, listed_layers(tree)[:3], arch="x86")
        symbols = undefined_symbols("x.cpp: undefined reference to `ncnn::f(int, int)'\n")
        Definitions(tree=tree, arch="x86").missing(symbols, present=())


def _cmake_replies(data: bytes) -> None:
    build = _scratch()
    for kind in ("cache-v2", "toolchains-v1"):
        _file(f".cmake/api/v1/reply/{kind}-1.json", data)
    _file("compile_commands.json", data)
    for read in (cmake.read_cache, cmake.read_compiler, cmake.read_compile_commands):
        try:
            found = read(build)
        except BuildError:
            continue
        for command in found if isinstance(found, list) else ():
            assert isinstance(command.flags, tuple)


PARSERS = {
    "param": Parser(parse=_param),
    "bin": Parser(parse=_weights),
    "onnx": Parser(parse=_onnx),
    "config": Parser(parse=_configuration),
    "record": Parser(parse=lambda data: parse_record(data.decode()), errors=(ValueError,)),
    "run-directory": Parser(parse=_run_directory),
    "case-id": Parser(parse=_case),
    "condition": Parser(parse=_condition, errors=(ValueError,)),
    "advisory": Parser(parse=lambda data: load_file(_file("a.toml", data))),
    "npy": Parser(parse=_input(npy="i.npy")),
    "image": Parser(parse=_input(image="i.png")),
    "text": Parser(parse=_written_text),
    "tree-names": Parser(parse=_tree_names),
    "file-names": Parser(parse=_names),
    "versions": Parser(parse=_versions),
    "git-output": Parser(parse=_git_output),
    "pip-config": Parser(parse=_pip_config),
    "selectors": Parser(parse=_selectors),
    "flags": Parser(parse=lambda data: with_flags(_config(), _text(data))),
    "run": Parser(parse=lambda data: with_run(_config(), _text(data))),
    "worker-messages": Parser(parse=MESSAGES.validate_json, errors=(ValueError,)),
    "trace": Parser(parse=_trace),
    "sanitizer": Parser(parse=_sanitizer),
    "build-output": Parser(parse=_build_output),
    "sources": Parser(parse=_sources),
    "cmake-replies": Parser(parse=_cmake_replies),
}
"""By name; `tests/fuzz/corpus` has a folder for each."""


def run(name: str, data: bytes) -> None:
    """Parse an input; documented errors are fine.

    Raises:
        Exception: whatever is not documented.
    """
    parser = PARSERS[name]
    try:
        parser.parse(data)
    except parser.errors as error:
        said = str(error)
    else:
        return
    assert said.strip(), "an error without a word"
