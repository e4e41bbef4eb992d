"""Undisturbed runs: what each fault starts from, and what it is compared with."""

from __future__ import annotations

import compileall
import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, cast

from faults import misbehaving, processes
from faults.stage import BAD_CONFIG, PLACES, ROOT, Stage
from faults.table import Table, records_of, table_of
from harness.sources.download import distribution
from tests.one_layer import CONFIG as ONE_LAYER
from tests.one_layer import write_model

if TYPE_CHECKING:
    from faults.fault import Start
    from faults.index import Index
    from faults.run import Ended

VERSION = "20250503"
MATRIX = f"""
[inputs.other]
random = 2
shape = [1, 40, 120]
[matrix]
versions = ["{VERSION}"]
flags = ["avx2", "sse2"]
runs = ["default", "fp16-off"]
[limits]
run_seconds = 10
memory_gib = 4
build_seconds = 200
"""
MAKERS = ("faults/misbehaving.py", "faults/misbehave.h", "tests/one_layer.py")
"""Files that decide what an undisturbed run leaves, besides those of the harness."""
GONE: dict[Start, tuple[str, ...]] = {
    "empty": ("store", "results"),
    "unfetched": ("store/sources",),
    "unbound": ("store/modules/binding-*", "store/measurements"),
    "cold": ("store/modules/2*", "store/references", "store/measurements", "store/objects"),
    "fetched": ("store/modules/2*", "store/references", "store/measurements"),
    "built": ("store/measurements",),
    "measured": (),
}
"""What to take away of a finished stage, and of its results, which only `measured` keeps."""


class BaselineError(Exception):
    """An undisturbed run does not do what it should: nothing can be said of disturbed ones."""


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Stages as undisturbed runs left them, below a working directory."""

    work: Path
    index: Index
    seed: int = 0

    @cached_property
    def _digest(self) -> str:
        digest = hashlib.sha256(f"{self.work}{MATRIX}".encode())
        for path in [*sorted((ROOT / "harness").rglob("*")), *(ROOT / name for name in MAKERS)]:
            if path.is_file() and path.suffix in (".py", ".cpp", ".h", ".cmake", ".toml"):
                digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def sdist(self) -> Path:
        """Return the release that everything is made of, from the real package index."""
        with distribution(
            "ncnn", f"1.0.{VERSION}", kind="sdist", cache=self.work / "downloads"
        ) as archive:
            return archive

    def stage(self, config: str, *, seed: int = 0, only: tuple[str, ...] = ()) -> Stage:
        """Return the one stage, as yet without anything in it."""
        return Stage(
            root=self.work / "stage", served_by=self.index, seed=seed, config=config, only=only
        )

    def lay(self, stage: Stage, start: Start) -> None:
        """Fill a stage with what is to be there when a fault strikes."""
        kept = self.kept(stage.config)
        stage.lay(kept)
        for pattern in GONE[start]:
            for path in stage.root.glob(pattern):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if start != "measured":
            shutil.rmtree(stage.results, ignore_errors=True)
        for name in PLACES:
            (stage.root / name).mkdir(exist_ok=True)

    def table(self, config: str) -> Table:
        """Return what an undisturbed run of a configuration finds."""
        text = (self._kept_folder(config) / "table.json").read_text(encoding="utf-8")
        return cast("Table", json.loads(text)["cells"])

    def code(self, config: str) -> int:
        """Return how an undisturbed run ends."""
        text = (self._kept_folder(config) / "table.json").read_text(encoding="utf-8")
        return int(json.loads(text)["code"])

    def _kept_folder(self, config: str) -> Path:
        return self.work / f"kept-{self._digest}" / config.removesuffix(".toml")

    def kept(self, config: str) -> Path:
        """Return a finished stage, made now if it is not there.

        Raises:
            BaselineError: an undisturbed run fails.
        """
        folder = self._kept_folder(config)
        if not (folder / "table.json").exists():
            shutil.rmtree(folder, ignore_errors=True)
            self._make(config, folder)
            for old in self.work.glob("kept-*"):
                if old != folder.parent:
                    shutil.rmtree(old)
        return folder / "stage"

    def _make(self, config: str, folder: Path) -> None:
        print(f"preparing an undisturbed run of {config}", flush=True)
        compileall.compile_dir(ROOT / "harness", quiet=2)
        stage = self.stage(config)
        stage.clear()
        for name in PLACES:
            (stage.root / name).mkdir(parents=True)
        for objects in self.work.glob(f"kept-*/{folder.name}/stage/store/objects"):
            # Compiled files of another state of the harness are as good.
            shutil.copytree(objects, stage.store / "objects", dirs_exist_ok=True)
        write_model(stage.model)
        (stage.model / "one.toml").write_text(ONE_LAYER + MATRIX, encoding="utf-8")
        if config == BAD_CONFIG:
            misbehaving.prepare(stage.model, self.sdist())
            stage.only = misbehaving.GOOD
        first = stage.run()
        table = self._table(first)
        again = self._table(stage.run("--fresh"))
        if table != again:
            raise BaselineError("two undisturbed runs differ: this machine cannot be judged by")
        processes.end_all()
        for name in ("tmp", "logs"):
            shutil.rmtree(stage.root / name)
        for run in sorted(stage.results.iterdir())[:-1]:
            shutil.rmtree(run)
        folder.mkdir(parents=True)
        shutil.copytree(stage.root, folder / "stage", symlinks=True)
        text = json.dumps({"code": first.code, "cells": table})
        (folder / "table.json").write_text(text, encoding="utf-8")

    def _table(self, ended: Ended) -> Table:
        run = run_of(ended)
        if ended.code not in (0, 1) or run is None:
            raise BaselineError(f"an undisturbed run ends with {ended.fate}:\n{ended.output}")
        return table_of(records_of(run))


def run_of(ended: Ended) -> Path | None:
    """Return the run directory that a finished run names."""
    line = ended.line(r"^results: ")
    return Path(line.partition(": ")[2]) if line else None
