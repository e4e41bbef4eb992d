"""What a worker of a cluster can do, and what a cell asks of it; Dask calls both resources."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from harness.build.runner import compiler_of
from harness.build.toolchain import cpu_features, find_compiler, layer_arch
from harness.doctor.probing import vulkan_devices
from harness.execution.session import USE_VULKAN
from harness.util.errors import MachineError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from harness.domain.spec import CellSpec, Target

VULKAN = "Vulkan"
PREFIX = "ncnn "
"""Before each name, since others have resources at the same workers."""


def required(cells: Iterable[CellSpec], arch: str) -> frozenset[str]:
    """Return what a worker needs that is to build and run cells of one build.

    Args:
        cells: the cells; they have one build.
        arch: ncnn's folder with the kernels of builds that name no target, such as `x86`.
    """
    found: set[str] = set()
    for cell in cells:
        flags = cell.build.flags
        if flags.target:
            found.add(f"target {flags.target.name}")
            continue
        found |= {f"kernels {arch}", f"compiler {flags.compiler or 'C++'}"}
        found |= {f"cpu {feature}" for feature in flags.needs}
        if dict(cell.run.options).get(USE_VULKAN):
            found.add(VULKAN)
    return frozenset(found)


def offered(compilers: Iterable[str], targets: Iterable[Target]) -> frozenset[str]:
    """Return what the machine at hand can do.

    Args:
        compilers: those that flag sets name.
        targets: those that flag sets are for.
    """
    found = {f"kernels {layer_arch()}", *(f"cpu {feature}" for feature in cpu_features())}
    for compiler in ("", *compilers):
        with suppress(MachineError):
            find_compiler(compiler)
            found.add(f"compiler {compiler or 'C++'}")
    for target in targets:
        with suppress(MachineError):
            compiler_of(target)
            found.add(f"target {target.name}")
    devices, _ = vulkan_devices()
    if devices:
        found.add(VULKAN)
    return frozenset(found)


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
