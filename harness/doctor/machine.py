"""What was found out about a machine, as values: all that the checks look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of looking for something: what was found, or why nothing was."""

    found: str = ""
    missing: str = ""
    """Why it is not here; empty if it is."""


@dataclass(frozen=True, kw_only=True)
class FlagSetNeeds:
    """What one flag set asks of the machine."""

    name: str
    compiler: str = ""
    """By name; empty for the first at hand."""
    lacking: str = ""
    """CPU features that are not here, in words; empty if all are."""
    target: str = ""


@dataclass(frozen=True, kw_only=True)
class Software:
    """Programs and libraries."""

    python: str = "3.11.0"
    compiler: Answer = field(default_factory=Answer)
    """The compiler that is used where none is named."""
    headers: Answer = field(default_factory=Answer)
    """Python's headers, for the binding."""
    tools: Mapping[str, Answer] = field(default_factory=dict)
    """CMake and Ninja, which come as wheels."""
    programs: Mapping[str, Answer] = field(default_factory=dict)
    """Optional programs by name."""
    compilers: Mapping[str, Answer] = field(default_factory=dict)
    """Compilers that flag sets name, by name."""
    targets: Mapping[str, Answer] = field(default_factory=dict)
    """Compiler and emulator of each target, by its name."""
    cache: Answer = field(default_factory=Answer)
    """The compiler cache."""
    asan: Answer = field(default_factory=Answer)
    """AddressSanitizer's library."""


@dataclass(frozen=True, kw_only=True)
class Vulkan:
    """What there is of Vulkan."""

    devices: tuple[str, ...] = ()
    trouble: str = ""
    """Why there is no device, if that is known."""
    headers: bool = True


@dataclass(frozen=True, kw_only=True)
class Place:
    """A directory that is written to."""

    option: str
    """The option that names it, such as `--builds`; empty for the temporary directory."""
    path: str
    trouble: str = ""
    """Why it cannot be written to; empty if it can."""
    foreign: bool = False
    """Whether it is another user's."""
    free: int = 1 << 40
    """Bytes."""
    allocates: bool = True
    """Whether a file of `probing.PIECE` bytes can be had: a quota is not in the free space."""
    filesystem: str = "ext4"
    executable: bool = True
    """Whether programs and modules in it may be executed."""
    locks: bool = True
    """Whether a second process is kept out by a lock."""
    skew: float = 0.0
    """Seconds by which its files' times are ahead of the clock."""


@dataclass(frozen=True, kw_only=True)
class StoreHealth:
    """What the build store holds."""

    bytes: int = 0
    limit: int = 20 << 30
    leftovers: int = 0
    """Directories of builds that were interrupted, and that nobody works in."""


@dataclass(frozen=True, kw_only=True)
class Resources:
    """Processors, memory, and limits on both."""

    cpu: str = ""
    cores: int = 4
    usable: float = 4.0
    """Processors that this process may keep busy, by affinity and the container's quota."""
    memory: int = 16 << 30
    """Bytes that are available, also by the container's limit."""
    limits: Mapping[str, int | None] = field(default_factory=dict)
    """Soft limits by the letter of `ulimit`, in bytes, seconds or pieces; None for none."""
    cores_to_files: bool = False
    """Whether the kernel writes core dumps into the crashed process's directory."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """The network, the clock, the locale, the kernel's means to confine a process."""

    index: Answer | None = None
    """The package index; None if it was not asked."""
    pip: str = ""
    """What is wrong with pip's configuration."""
    now: str = "2100-01-01"
    """Today, ISO 8601."""
    newest: str = ""
    """The newest release that the harness knows of, ISO 8601: it cannot be in the future."""
    encodings: Mapping[str, str] = field(default_factory=dict)
    """What text is written and names are read in, by what it is for."""
    exposed: tuple[str, ...] = ()
    """What builds under test are not kept from, each with the reason."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A machine, as far as the harness depends on it."""

    software: Software = field(default_factory=Software)
    flag_sets: tuple[FlagSetNeeds, ...] = ()
    vulkan: Vulkan = field(default_factory=Vulkan)
    places: tuple[Place, ...] = ()
    store: StoreHealth = field(default_factory=StoreHealth)
    resources: Resources = field(default_factory=Resources)
    surroundings: Surroundings = field(default_factory=Surroundings)
    memory_gib: float = 8.0
    """Address space that the configuration gives a cell."""
    unpinned: tuple[str, ...] = ()
    """What the configuration may download and no lock pins."""
    config: str = "configs/default.toml"
