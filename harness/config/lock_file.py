"""Lock files: what may be downloaded, each file by its SHA-256 and each revision by its commit.

A hash is over content: it holds whichever index, mirror or directory the file comes from, and so no
address of an index is written down.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Literal

from packaging.utils import canonicalize_name, canonicalize_version
from pydantic import BaseModel, ConfigDict, Field

from harness.config.loading import validated
from harness.util.codes import Code
from harness.util.errors import ConfigError
from harness.util.reading import read_text
from harness.util.toml import FILE_LIMIT, parse_toml

SUFFIX = ".lock"
HEADING = """\
# What may be downloaded, by content. Written by `python -m harness lock`; docs/supply-chain.md.
"""
Kind = Literal["wheel", "sdist"]


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PinnedFile(_Entry):
    """One file of the package index."""

    project: str = Field(min_length=1, description="Name on the index.")
    version: str = Field(min_length=1, description="Exact version.")
    file: str = Field(pattern=r"^[\w.+!-]+$", description="File name on the index.")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="Of the file's bytes.")
    size: int = Field(ge=0, description="Bytes.")

    @property
    def kind(self) -> Kind:
        """Which sort of distribution it is."""
        return "wheel" if self.file.endswith(".whl") else "sdist"

    @property
    def name(self) -> str:
        """Project and version, as messages name them."""
        return f"{self.project} {self.version}"


class PinnedCommit(_Entry):
    """One revision of a git repository that is a URL."""

    repository: str = Field(min_length=1, description="URL, without credentials.")
    revision: str = Field(min_length=1, description="Tag, branch or the beginning of an id.")
    commit: str = Field(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$", description="Full id.")

    @property
    def name(self) -> str:
        """Repository and revision, as messages name them."""
        return f"{self.repository} {self.revision}"


class Lock(_Entry):
    """What one or several lock files pin."""

    format: Literal[1] = 1
    files: tuple[PinnedFile, ...] = ()
    commits: tuple[PinnedCommit, ...] = ()

    def distribution(self, project: str, version: str, kind: Kind) -> dict[str, PinnedFile]:
        """Return what is pinned of one version of a project, by file name."""
        wanted = (canonicalize_name(project), canonicalize_version(version), kind)
        return {
            pin.file: pin
            for pin in self.files
            if (canonicalize_name(pin.project), canonicalize_version(pin.version), pin.kind)
            == wanted
        }

    def commit(self, repository: str, revision: str) -> PinnedCommit | None:
        """Return the commit that a revision of a URL is pinned to; None if it is not."""
        name = f"{without_credentials(repository)} {revision}"
        return next((pin for pin in self.commits if pin.name == name), None)

    def over(self, other: Lock) -> Lock:
        """Return both together; of what both pin, this one's."""
        files = {pin.file: pin for pin in (*other.files, *self.files)}
        commits = {pin.name: pin for pin in (*other.commits, *self.commits)}
        return Lock(files=tuple(files.values()), commits=tuple(commits.values()))

    def without(self, other: Lock) -> Lock:
        """Return what is not in another one in the same words."""
        return Lock(
            files=tuple(pin for pin in self.files if pin not in other.files),
            commits=tuple(pin for pin in self.commits if pin not in other.commits),
        )

    def text(self) -> str:
        """Return the content of a lock file, the same for the same pins in any order."""
        files = sorted(self.files, key=lambda pin: (pin.project, pin.version, pin.file))
        commits = sorted(self.commits, key=lambda pin: pin.name)
        parts = [f"{HEADING}format = {self.format}\n"]
        parts += [f"[[files]]\n{_lines(file)}" for file in files]
        parts += [f"[[commits]]\n{_lines(commit)}" for commit in commits]
        return "\n".join(parts)


def _lines(entry: _Entry) -> str:
    # Strings and numbers are written as in JSON.
    pairs = entry.model_dump().items()
    return "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in pairs)


def parse_lock(text: str, place: str) -> Lock:
    """Return what the text of a lock file says.

    Raises:
        ConfigError: it is not valid; every mistake is one line with `place`.
    """
    lock = validated(Lock, parse_toml(text, place), place)
    for names, what in (
        ([pin.file for pin in lock.files], "file"),
        ([pin.name for pin in lock.commits], "revision"),
    ):
        twice = next((name for name in names if names.count(name) > 1), "")
        if twice:
            raise ConfigError(
                f"{place}: the {what} {twice} is pinned twice. Keep the entry that is right, or "
                "delete both and run `python -m harness lock`.",
                code=Code.LOCK_FILE,
            )
    return lock


def read_lock(path: Path) -> Lock:
    """Return what a lock file pins; nothing if there is none.

    Raises:
        ConfigError: it cannot be read or is not valid.
    """
    if not path.exists():
        return Lock()
    return parse_lock(read_text(path, limit=FILE_LIMIT, error=ConfigError), str(path))


def lock_path(config: Path) -> Path:
    """Return where the lock of a configuration file is: beside it.

    Raises:
        ConfigError: the configuration is called like a lock file.
    """
    if config.suffix == SUFFIX:
        raise ConfigError(
            f"{config}: names that end in {SUFFIX} are those of lock files. Name the "
            f"configuration, or call it {config.with_suffix('.toml').name}."
        )
    return config.with_suffix(SUFFIX)


def builtin_path() -> Path:
    """Return the harness's own lock file: the known releases, the model and its converters."""
    return Path(str(resources.files("harness.config.resources").joinpath(f"harness{SUFFIX}")))


@cache
def builtin_lock() -> Lock:
    """Return what the harness itself pins."""
    return read_lock(builtin_path())


def without_credentials(where: str) -> str:
    """Return a URL without the name and password in it; anything else as it is."""
    return re.sub(r"^([^:/]+://)[^/]*@", r"\1", where)
