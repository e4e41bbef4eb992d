"""What all values that are written to disk or sent to another process have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StoredValue(BaseModel):
    """Frozen; what a file of a newer version says besides is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")


class MessageValue(BaseModel):
    """Frozen; both sides are of the same version, so that an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")
