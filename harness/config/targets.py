"""`[targets.NAME]`: machines that builds are made for, other than the one at hand."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from harness.domain.spec import Target

if TYPE_CHECKING:
    from collections.abc import Mapping


class TargetTable(BaseModel):
    """One `[targets.NAME]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    compiler: str = Field(description="C++ compiler by name or path.")
    system: str = Field(default="Linux", description="CMAKE_SYSTEM_NAME.")
    processor: str = Field(description="CMAKE_SYSTEM_PROCESSOR.")
    arch: str = Field(
        pattern=r"^[a-z0-9_]{1,64}$", description="Folder below ncnn's src/layer with its kernels."
    )
    emulator: str = Field(
        default="",
        description="Command in front of a program of the target. The paths in its arguments "
        "must mean the same files there.",
    )
    install: str = Field(default="", description="Command that installs compiler and emulator.")
    network: bool = Field(
        default=False,
        description="Whether the emulator's command needs the network, as ssh does: builds under "
        "test have none otherwise.",
    )

    def named(self, name: str) -> Target:
        """Return the table as the value that specifications carry."""
        return Target(name=name, **self.model_dump())


NO_TARGETS: Mapping[str, TargetTable] = MappingProxyType({})
