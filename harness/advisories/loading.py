"""The corpus: files of advisories, checked, with one clear line per mistake."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from harness.advisories.advisory import Advisory
from harness.config.loading import validated
from harness.util.codes import Code
from harness.util.errors import ConfigError
from harness.util.toml import read_toml

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHECKOUT = Path(__file__).parents[2] / "configs" / "corpus"
"""Where it is in a checkout of this project; an installed package has a copy inside."""


def corpus_folder() -> Path:
    """Return the folder with the corpus of this project, in a checkout or installed.

    Raises:
        ConfigError: neither has it.
    """
    packaged = Path(str(resources.files("harness.advisories"))) / "corpus"
    for folder in (packaged, _CHECKOUT):
        if folder.is_dir():
            return folder
    raise ConfigError(f"{_CHECKOUT}: no such folder. Name one with --corpus.", code=Code.CORPUS)


def load_corpus(folder: Path | None = None) -> tuple[Advisory, ...]:
    """Read all files of a folder, the project's own by default.

    Returns:
        Advisories in the order of the files' names.

    Raises:
        ConfigError: there is none, a file cannot be read or is not valid, or two have one id.
    """
    folder = corpus_folder() if folder is None else folder
    files = sorted(folder.glob("*.toml"))
    if not files:
        raise ConfigError(
            f"{folder}: no .toml files there. Name the folder of a corpus.", code=Code.CORPUS
        )
    found: dict[str, Path] = {}
    advisories: list[Advisory] = []
    for file in files:
        for advisory in load_file(file):
            if advisory.id in found:
                raise ConfigError(
                    f"{file}: advisory {advisory.id}: id: {found[advisory.id]} has one of the same "
                    "id. Rename one of them.",
                    code=Code.CORPUS,
                )
            found[advisory.id] = file
            advisories.append(advisory)
    return tuple(advisories)


def load_file(path: Path) -> Sequence[Advisory]:
    """Read one file.

    Raises:
        ConfigError: not readable, not TOML, or not valid; every mistake is one line.
    """
    data = read_toml(path)
    entries = data.pop("advisory", [])
    tables = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    if data or not tables:
        key = next(iter(data), "advisory")
        raise ConfigError(
            f"{path}: {key}: not known here. Write tables of the form [[advisory]].",
            code=Code.CORPUS,
        )
    found, mistakes = [], []
    for number, entry in enumerate(entries, start=1):
        name = entry.get("id", f"number {number}")
        try:
            found.append(validated(Advisory, entry, f"{path}: advisory {name}"))
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes), code=Code.CORPUS)
    return found
