"""What all values that are written to disk or sent to another process have in common."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that tables and NumPy can hold too."""

_FIELDS: dict[frozenset[str], set[str]] = {}
"""Sets of the fields that were given, of which there are few, each held once."""


class StoredValue(BaseModel):
    """Frozen; what a file of a newer version says besides is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")

    def model_post_init(self, _context: Any, /) -> None:
        """Share what pydantic keeps of the given fields: more than half of a record's memory.

        A matrix holds the records of all its cells, each of hundreds of such values.
        """
        given = self.__pydantic_fields_set__
        shared = _FIELDS.setdefault(frozenset(given), given)
        object.__setattr__(self, "__pydantic_fields_set__", shared)


class MessageValue(BaseModel):
    """Frozen; both sides are of the same version, so that an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
