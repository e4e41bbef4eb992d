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
    from collections.abc import Collection, Iterable, Mapping

    from harness.domain.spec import CellSpec, FlagSet, RunSpec, Target

VULKAN = "Vulkan"
KIND = "kind "
"""How names begin that say which of something a worker has: where they are the same, numbers of
the same work may stand side by side."""
CPU = "cpu"
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
    # The Python binding is compiled where anything is run, also what runs elsewhere.
    binding = "compiler C++"
    if flags.target:
        return frozenset({f"target {flags.target.name}", binding})
    found = {f"kernels {arch}", f"compiler {flags.compiler or 'C++'}", binding}
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
    which = {CPU: f"{cpu_description()}, {content_key(cpu_features())[:6]}"}
    for compiler in ("", *compilers):
        with suppress(MachineError):
            which[f"compiler {compiler or 'C++'}"] = find_compiler(compiler).version
    for target in targets:
        with suppress(MachineError):
            which[f"target {target.name}"] = f"{compiler_of(target).version}, {target.emulator}"
    devices, _ = vulkan_devices()
    if devices:
        which[VULKAN] = ", ".join(devices)
    found |= which.keys() - {CPU}
    found |= {f"{KIND}{name}: {words}" for name, words in which.items()}
    return frozenset(found)


def kind_of(offers: Iterable[str], needed: Iterable[str]) -> str:
    """Return which CPU a worker has, and which of what is needed.

    Only that: a worker says more with each command that asks it about other compilers, and goes on
    saying it, while one that came later was never asked.

    Args:
        offers: what the worker offers.
        needed: names as of `required`.
    """
    starts = tuple(f"{KIND}{name}: " for name in (CPU, *sorted(needed)))
    found = sorted(name for name in offers if name.startswith(starts))
    words = [name.removeprefix(KIND) for name in found]
    return "; ".join(sorted(words, key=lambda each: not each.startswith(f"{CPU}: ")))


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
