"""How hostile inputs are made: small files around valid ones, written when a case is run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.config.loading import toml_text
from tests.advisories.entries import entry

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[[Path], None]
    Content = str | bytes | Callable[[], bytes]

INPUTS = "[inputs.a]\nrandom = 1\nshape = [1, 3]\n"
MATRIX = '[matrix]\nversions = ["20250503"]\nflags = ["avx2"]\nruns = ["default"]\n'
CONFIG = INPUTS + MATRIX
MODEL = '[model]\nname = "m"\nparam = "m.param"\nbin = "m.bin"\nreference = "ncnn"\n'
ONNX_MODEL = '[model]\nname = "m"\nonnx = "m.onnx"\nparam = "m.param"\nbin = "m.bin"\n'
PARAM = "7767517\n2 2\nInput x 0 1 x\nReLU r 1 1 x y\n"
LIST = ("matrix", "--config", "c.toml", "--list")
MATRIX_RUN = ("matrix", "--config", "c.toml")
AUDIT = (
    *("audit", "--param", "m.param", "--config", "c.toml", "--corpus", "known"),
    *("--version", "20250503", "--arch", "x86"),
)


def files(**given: Content) -> Make:
    """Return what writes files, by their names with `__` for a dot and `_IN_` for a slash."""
    named = {n.replace("_IN_", "/").replace("__", "."): content for n, content in given.items()}
    return lambda folder: _write(folder, named)


def at(**given: Content) -> Make:
    """Return the same, with a valid configuration and corpus beside them."""
    usual: dict[str, Content] = {"c__toml": CONFIG, "m__param": PARAM, "m__bin": b""}
    return files(**{**usual, "known_IN_a__toml": corpus(entry()), **given})


def usual(folder: Path) -> None:
    """Write a valid configuration, a model of one ReLU, and a corpus."""
    at()(folder)


def config(text: str | bytes) -> Make:
    """Return what writes a configuration."""
    return files(c__toml=text)


def then(make: Make, *more: Make) -> Make:
    """Return what does one after another."""

    def all_of_them(folder: Path) -> None:
        for each in (make, *more):
            each(folder)

    return all_of_them


def fifo(name: str) -> Make:
    """Return what makes a pipe, into which nobody writes."""
    return lambda folder: _anew(folder / name, os.mkfifo)


def link(name: str, target: str) -> Make:
    """Return what makes a symbolic link."""
    return lambda folder: _anew(folder / name, lambda path: path.symlink_to(target))


def directory(name: str) -> Make:
    """Return what makes a folder."""
    return lambda folder: _anew(folder / name, Path.mkdir)


def sparse(name: str, size: int = 1 << 40) -> Make:
    """Return what makes a file that is large and takes no space."""

    def make(path: Path) -> None:
        with path.open("wb") as stream:
            stream.truncate(size)

    return lambda folder: _anew(folder / name, make)


def corpus(*entries: dict[str, object]) -> str:
    """Return the text of a file of the corpus."""
    return "".join(f"[[advisory]]\n{toml_text(each)}" for each in entries)


def _anew(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    make(path)


def _write(folder: Path, named: dict[str, Content]) -> None:
    for name, content in named.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content() if callable(content) else content
        path.write_bytes(data.encode(errors="surrogatepass") if isinstance(data, str) else data)
        if data[:2] in ("#!", b"#!"):
            path.chmod(0o755)
