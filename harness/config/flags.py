"""Flag sets: their inheritance, and what they really mean in one version of ncnn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field

from harness.config.targets import NO_TARGETS, TargetTable
from harness.domain.spec import FlagSet
from harness.util.codes import Code
from harness.util.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

OptionName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_.+-]{0,127}$")]
"""Of a CMake option, as it can stand in `-DNAME=VALUE`."""


class FlagTable(BaseModel):
    """One `[flags.NAME]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    summary: str = Field(default="", description="One line for people.")
    base: str = Field(default="", description="Another flag set to start from.")
    options: dict[OptionName, str | bool] = Field(
        default_factory=dict, description="CMake options of ncnn; true and false mean ON and OFF."
    )
    needs: tuple[str, ...] = Field(
        default=(), description="CPU features the compiled code executes without asking."
    )
    compiler: str = Field(default="", description="C++ compiler by name or path.")
    cxx_flags: str = Field(default="", description="Flags appended after ncnn's own.")
    target: str = Field(default="", description="What to build for: a name from [targets].")


def resolve_flag_set(
    name: str, tables: Mapping[str, FlagTable], targets: Mapping[str, TargetTable] = NO_TARGETS
) -> FlagSet:
    """Return the flag set `name` with everything it inherits.

    Raises:
        ConfigError: an unknown base or target, or a cycle of bases.
    """
    chain: list[FlagTable] = []
    seen: list[str] = []
    current = name
    while current:
        if current in seen:
            ring = " → ".join([*seen, current])
            raise ConfigError(f"flags.{name}: the bases {ring} form a ring. Break it.")
        if current not in tables:
            user = seen[-1] if seen else name
            raise ConfigError(
                f"flags.{user}: no flag set '{current}'. Define it.", code=Code.UNKNOWN_NAME
            )
        seen.append(current)
        chain.append(tables[current])
        current = tables[current].base
    options: dict[str, str] = {}
    for table in reversed(chain):
        options |= {key: _cmake_value(value) for key, value in table.options.items()}
    target = next((table.target for table in chain if table.target), "")
    if target and target not in targets:
        raise ConfigError(
            f"flags.{name}: no target '{target}'. Define [targets.{target}].",
            code=Code.UNKNOWN_NAME,
        )
    return FlagSet(
        name=name,
        options=tuple(sorted(options.items())),
        needs=frozenset(feature for table in chain for feature in table.needs),
        compiler=next((table.compiler for table in chain if table.compiler), ""),
        cxx_flags=" ".join(table.cxx_flags for table in reversed(chain) if table.cxx_flags),
        target=targets[target].named(target) if target else None,
    )


def _cmake_value(value: str | bool) -> str:
    if isinstance(value, bool):
        return "ON" if value else "OFF"
    return value
