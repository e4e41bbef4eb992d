"""What all values that are written to disk or sent to another process have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Integer = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that tables and NumPy can hold too."""


class StoredValue(BaseModel):
    """Frozen; what a file of a newer version says besides is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")


class MessageValue(BaseModel):
    """Frozen; both sides are of the same version, so that an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
