"""What processors, memory and limits of the process mean for what can be done here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor.finding import Finding, State
from harness.util.limits import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.doctor.machine import Machine

TOPIC = "resources"
COMPILER_BYTES = 1 << 30
"""Memory that one compiler may take: ncnn's largest files take most of it."""
LIMITS: dict[str, tuple[int, str, str]] = {
    "n": (256, "open files", "ulimit -n 4096"),
    "u": (256, "processes", "ulimit -u unlimited"),
    "s": (4 << 20, "stack", "ulimit -s 8192"),
    "f": (4 << 30, "size of a file", "ulimit -f unlimited"),
    "t": (3600, "CPU seconds", "ulimit -t unlimited"),
}
"""By the letter of `ulimit`: the least that suffices, what it is of, and what lifts it."""


def check_resources(machine: Machine) -> Iterator[Finding]:
    """Yield what is to be said of processors, memory and limits."""
    yield from _processors(machine)
    yield _memory(machine)
    yield from _limits(machine)


def _processors(machine: Machine) -> Iterator[Finding]:
    resources = machine.resources
    yield Finding(topic=TOPIC, what="CPU", found=f"{resources.cpu}, {resources.cores} processors")
    lacking = [each for each in machine.flag_sets if each.lacking]
    if lacking:
        yield Finding(
            topic=TOPIC,
            what="CPU features",
            state=State.MISSING,
            found="; ".join(f"{each.name}: {each.lacking}" for each in lacking),
            cost=f"`unsupported`: flag set {', '.join(each.name for each in lacking)}",
            remedy="a CPU that has them; build_unsupported = true in [matrix] compiles them all "
            "the same",
        )
    if resources.usable < resources.cores:
        # What the commands take unless they are told otherwise is the number of processors.
        jobs = max(int(resources.usable), 1)
        yield Finding(
            topic=TOPIC,
            what="CPU quota",
            state=State.ODD,
            found=f"{resources.usable:.3g} of {resources.cores} processors may be used",
            cost="too many compilers and cells at a time: slower, and more memory",
            remedy=f"--jobs {jobs}",
        )


def _memory(machine: Machine) -> Finding:
    resources = machine.resources
    found = f"{resources.memory / GIB:.1f} GiB available"
    jobs = int(resources.memory // COMPILER_BYTES)
    if jobs >= resources.cores:
        return Finding(topic=TOPIC, what="memory", found=found)
    return Finding(
        topic=TOPIC,
        what="memory",
        state=State.ODD,
        found=found,
        cost=f"{resources.cores} compilers at a time may be killed for lack of memory",
        remedy=f"--jobs {max(jobs, 1)}",
    )


def _limits(machine: Machine) -> Iterator[Finding]:
    limits = machine.resources.limits
    needed = int(machine.memory_gib * GIB)
    table = {**LIMITS, "v": (needed, "address space", "ulimit -v unlimited")}
    for letter, (least, what, remedy) in table.items():
        value = limits.get(letter)
        if value is not None and value < least:
            yield Finding(
                topic=TOPIC,
                what=f"limit on {what}",
                state=State.ODD,
                found=f"{value}, and {least} suffice",
                cost="compilers and cells fail for a reason that is not ncnn's",
                remedy=remedy,
            )
    if machine.resources.cores_to_files and limits.get("c") != 0:
        yield Finding(
            topic=TOPIC,
            what="core dumps",
            state=State.ODD,
            found="each crash writes a core file",
            cost="disk space and time with every cell that crashes",
            remedy="ulimit -c 0",
        )
