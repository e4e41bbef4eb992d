"""What a worker of a cluster can do, and what a cell asks of it; Dask calls both resources."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from harness.build.runner import compiler_of
from harness.build.toolchain import cpu_description, cpu_features, find_compiler, layer_arch
from harness.doctor.probing import vulkan_devices
from harness.domain.spec import content_key
from harness.execution.session import USE_VULKAN
from harness.util.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from harness.domain.spec import CellSpec, FlagSet, RunSpec, Target

VULKAN = "Vulkan"
KIND = "kind "
"""How the name begins that is the same at workers whose numbers may stand side by side."""
PREFIX = "ncnn "
"""Before each name, since others have resources at the same workers."""


def required(cells: Iterable[CellSpec], arch: str) -> frozenset[str]:
    """Return what a worker needs that is to build and run cells of one build.

    Args:
        cells: the cells; they have one build.
        arch: ncnn's folder with the kernels of builds that name no target, such as `x86`.
    """
    return frozenset().union(*(needs_of(cell.build.flags, cell.run, arch) for cell in cells))


def needs_of(flags: FlagSet, run: RunSpec, arch: str) -> frozenset[str]:
    """Return what a worker needs that is to compile one way and run one way, see `required`."""
    if flags.target:
        return frozenset({f"target {flags.target.name}"})
    found = {f"kernels {arch}", f"compiler {flags.compiler or 'C++'}"}
    found |= {f"cpu {feature}" for feature in flags.needs}
    if dict(run.options).get(USE_VULKAN):
        found.add(VULKAN)
    return frozenset(found)


def offered(compilers: Iterable[str], targets: Iterable[Target]) -> frozenset[str]:
    """Return what the machine at hand can do.

    Args:
        compilers: those that flag sets name.
        targets: those that flag sets are for.
    """
    found = {f"kernels {layer_arch()}", *(f"cpu {feature}" for feature in cpu_features())}
    versions = []
    for compiler in ("", *compilers):
        with suppress(MachineError):
            versions.append(find_compiler(compiler).version)
            found.add(f"compiler {compiler or 'C++'}")
    for target in targets:
        with suppress(MachineError):
            versions.append(f"{compiler_of(target).version}, {target.emulator}")
            found.add(f"target {target.name}")
    devices, _ = vulkan_devices()
    if devices:
        found.add(VULKAN)
    found.add(f"{KIND}{_kind(versions, devices)}")
    return frozenset(found)


def _kind(versions: Sequence[str], devices: Sequence[str]) -> str:
    """Return what is the same only where the same work gives the same numbers."""
    all_of_it = content_key([cpu_features(), *versions, *devices])
    first = [f"compiled by {version}" for version in versions[:1]]
    return ", ".join([cpu_description(), *first, all_of_it[:6]])


def kind_of(offers: Iterable[str]) -> str:
    """Return the kind among what a worker offers."""
    return next((n.removeprefix(KIND) for n in offers if n.startswith(KIND)), "")


def lacking(needed: Collection[str], workers: Mapping[str, Collection[str]]) -> str:
    """Return why no worker can run what needs something; empty if one can.

    Args:
        needed: names as of `required`.
        workers: what each worker offers, by its address.
    """
    if any(set(needed) <= set(names) for names in workers.values()):
        return ""
    if not workers:
        return "the cluster has no worker that can be used"
    nobody = sorted(name for name in needed if not any(name in w for w in workers.values()))
    if nobody:
        return f"none of {len(workers)} workers has {', '.join(nobody)}"
    return f"none of {len(workers)} workers has all of {', '.join(sorted(needed))}"


def as_resources(names: Iterable[str]) -> dict[str, float]:
    """Return names as Dask has them, which counts resources."""
    return {f"{PREFIX}{name}": 1.0 for name in names}


def from_resources(resources: Mapping[str, float]) -> frozenset[str]:
    """Return the names among what Dask says of a worker."""
    return frozenset(n.removeprefix(PREFIX) for n in resources if n.startswith(PREFIX))
