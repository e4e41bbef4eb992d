"""Where a fault strikes: a store, results, temporary files and a model of its own.

The path is always the same, since compilers' caches look at paths; so one fault is tried after
the other.
"""

from __future__ import annotations

import os
import random
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from faults import confinement
from faults.run import PATIENCE_SECONDS, Ended, Running, harness_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from faults.index import Index

ROOT = Path(__file__).parent.parent
PLACES = ("store", "results", "tmp", "model", "home", "cwd", "logs")
"""What is in a stage; a run may write to the first three."""
CONFIG = "one.toml"
BAD_CONFIG = "misbehaving.toml"
SOCKET = "ncnn-build-"
"""How the names of the compiler cache's socket and of its lock begin, which outlive a run."""


@dataclass(kw_only=True)
class Stage:
    """One directory with all that a run of the harness may touch."""

    root: Path
    served_by: Index | None = None
    """Where packages come from; None for what the user's own settings say."""
    seed: int = 0
    config: str = CONFIG
    only: tuple[str, ...] = ()
    """Patterns of the cells to run."""
    results: Path = field(init=False)
    store: Path = field(init=False)
    tmp: Path = field(init=False)
    _runs: int = 0

    def __post_init__(self) -> None:
        """Name the directories; a fault may exchange them for others."""
        self.store, self.results, self.tmp = (
            self.root / name for name in ("store", "results", "tmp")
        )
        self.random = random.Random(self.seed)

    @property
    def model(self) -> Path:
        """Where the model and the configurations are."""
        return self.root / "model"

    @property
    def index(self) -> Index:
        """The package index of the suite."""
        assert self.served_by is not None
        return self.served_by

    @property
    def sources(self) -> Path:
        """Where the store keeps what was downloaded and extracted."""
        return self.store / "sources"

    def lay(self, kept: Path) -> None:
        """Replace everything by a copy of a stage that was kept."""
        self.clear()
        shutil.copytree(kept, self.root, symlinks=True)
        for name in PLACES:
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def clear(self) -> None:
        """Remove everything, mounts included."""
        confinement.unmount_below(self.root)
        shutil.rmtree(self.root, ignore_errors=True)

    def environment(self) -> dict[str, str]:
        """Return all of the environment of a run."""
        fixed = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "COLUMNS": "200",
            "TMPDIR": str(self.tmp),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if self.served_by is None:
            own = ("HOME", "PIP_", "SSL_", "http_proxy", "https_proxy", "no_proxy")
            return fixed | {k: v for k, v in os.environ.items() if k.startswith(own)}
        return fixed | {
            "HOME": str(self.root / "home"),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": self.index.url,
            "PIP_TIMEOUT": "2",
        }

    def matrix(self, *words: str) -> list[str]:
        """Return the command line of the run that is disturbed, and of the one after it."""
        only = [word for pattern in self.only for word in ("--only", pattern)]
        places = ["--builds", str(self.store), "--results", str(self.results)]
        config = str(self.model / self.config)
        return harness_words("matrix", "--config", config, "--jobs", "2", *places, *only, *words)

    def start(
        self,
        *words: str,
        command: list[str] | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        nobody: bool = False,
        stdout: Path | None = None,
        prepare: Callable[[], None] | None = None,
    ) -> Running:
        """Start the run with more words or variables, or another command."""
        self._runs += 1
        return Running(
            command or self.matrix(*words),
            place=self.root,
            cwd=cwd or self.root / "cwd",
            log=self.root / "logs" / f"run-{self._runs}.log",
            env={**self.environment(), **(env or {})},
            nobody=nobody,
            stdout=stdout,
            prepare=prepare,
        )

    def run(
        self,
        *words: str,
        env: Mapping[str, str] | None = None,
        patience: float = PATIENCE_SECONDS,
        nobody: bool = False,
        prepare: Callable[[], None] | None = None,
    ) -> Ended:
        """Run to the end."""
        started = self.start(*words, env=env, nobody=nobody, prepare=prepare)
        return started.ended(patience=patience)

    def cells_written(self) -> int:
        """Return how many records there are in all run directories."""
        return sum(path.read_bytes().count(b"\n") for path in self.results.glob("*/cells.jsonl"))

    def scratch(self, name: str) -> Path:
        """Return a new directory for what a fault needs, such as wrappers of compilers."""
        path = self.root / "logs" / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def leftovers(self) -> list[str]:
        """Return what is in the directory of temporary files, but for the cache's socket."""
        if not self.tmp.is_dir():
            return []
        return sorted(p.name for p in self.tmp.iterdir() if not p.name.startswith(SOCKET))

    def outside(self) -> list[str]:
        """Return what lies where nothing should have been written."""
        strange = [path.name for path in self.root.iterdir() if path.name not in PLACES]
        for name in ("home", "cwd"):
            folder = self.root / name
            strange += [f"{name}/{path.name}" for path in folder.iterdir()]
        return sorted(strange)

    def program(self, name: str, text: str) -> Path:
        """Write a Python program under a name of somebody else's, and return its directory."""
        folder = self.scratch("bin")
        path = folder / name
        path.write_text(f"#!{sys.executable} -S\n{text}", encoding="utf-8")
        path.chmod(0o755)
        return folder
