"""What a run directory says of the matrix that it is a shard of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from pydantic import model_validator

from harness.config.shards import MOST_SHARDS
from harness.domain.base import StoredValue
from harness.util.files import write_atomically
from harness.util.kept import kept_value

if TYPE_CHECKING:
    from pathlib import Path

FILE = "shard.json"


class ShardState(StoredValue):
    """One shard, and how the whole matrix was divided: equal for all shards of one matrix."""

    index: int
    """Counted from 1."""
    model: str
    builds: tuple[tuple[str, ...], ...]
    """Ids of the builds of each shard."""

    @model_validator(mode="after")
    def _is_a_division(self) -> Self:
        if not (1 <= self.index <= len(self.builds) <= MOST_SHARDS and all(self.builds)):
            raise ValueError("no shard of a matrix")
        return self


def write_shard(state: ShardState, folder: Path) -> None:
    """Put it into a run directory."""
    write_atomically(folder / FILE, state.model_dump_json(indent=1))


def read_shard(folder: Path) -> ShardState | None:
    """Return which shard a run is; None if it is the whole matrix, or the file is damaged."""
    return kept_value(folder / FILE, ShardState.model_validate_json)
