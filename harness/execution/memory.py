"""Measured cells, remembered: equal conditions give the record that is there.

What is remembered are numbers. The verdict is passed anew on each recall, since limits may have
changed, and what had no numbers, or other ones the second time, is measured again.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING

import harness
from harness.build.toolchain import ANSWER_SECONDS
from harness.domain.code_digest import code_digest
from harness.domain.records import CellRecord
from harness.domain.spec import CellSpec, content_key
from harness.execution.session import USE_VULKAN
from harness.util.files import stamp
from harness.util.process import capture
from harness.util.sealed import read_sealed, write_sealed

if TYPE_CHECKING:
    from harness.build.builder import Build
    from harness.model.prepared_model import PreparedModel
    from harness.reference.prepared_input import PreparedInput
    from harness.util.build_store import Store

RECORD = "record"
"""File with a record, as JSON below its hash."""
MEASURING = ("domain", "model", "definition", "reference", "compare", "execution")
"""Packages whose code decides what is measured: with another one, nothing is remembered."""

_COMPUTES_NOTHING = ("system", "python", "not kept from builds")
"""What a record says of the machine that no number depends on."""


@dataclass(frozen=True, kw_only=True)
class CellMemory:
    """Records below the store, by what they depend on."""

    store: Store
    recalls: bool = True
    """Whether to use what is there; what is measured is remembered in any case."""

    def key(
        self,
        cell: CellSpec,
        build: Build,
        model: PreparedModel,
        item: PreparedInput,
        machine: dict[str, str],
    ) -> str:
        """Return a key of everything that the numbers depend on; empty if not all is known."""
        options = dict(cell.run.options)
        if options.get(USE_VULKAN):
            return ""  # on which driver it would run is not known before
        return content_key(
            {
                "harness": [harness.__version__, code_digest(MEASURING)],
                "build": build.record.key,
                "runner": [*build.runner, *(_version_of(build.runner[0]) if build.runner else "")],
                "options": options,
                "threads": cell.run.threads,
                "when": cell.run.when,
                "model": model.digest,
                "alignments": [dataclasses.asdict(a) for a in model.conversion.alignments],
                "input": [item.reference.directory.name, *sorted(item.feeds)],
                "noise": item.noise.channels.directory.name,
                "machine": {k: v for k, v in machine.items() if k not in _COMPUTES_NOTHING},
            }
        )

    def recall(self, key: str) -> CellRecord | None:
        """Return what was measured under a key; None if nothing was, or if it is damaged."""
        path = self.store.measurements / key / RECORD
        text = read_sealed(path, then="measured again") if key and self.recalls else None
        if text is None:
            return None
        try:
            record = CellRecord.model_validate_json(text)
        except ValueError:
            return None  # of another version of the harness
        stamp(path.parent)
        return record.model_copy(update={"recalled": datetime.now(UTC).isoformat("T", "seconds")})

    def keep(self, key: str, record: CellRecord) -> None:
        """Remember a record, if its numbers can be relied on and the store is not only to read."""
        if not (key and record.verdict.has_numbers) or self.store.is_read_only:
            return
        write_sealed(self.store.measurements / key / RECORD, record.model_dump_json())


@cache
def _version_of(program: str) -> tuple[str, ...]:
    """Return what an emulator says of its version."""
    said = capture([program, "--version"], timeout=ANSWER_SECONDS)
    return tuple(said.text.splitlines()[:1])
