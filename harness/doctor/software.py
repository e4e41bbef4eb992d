"""What programs and libraries mean for what can be done here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.build.packages import INSTALL, VULKAN_DRIVER
from harness.build.vulkan import HEADERS_REMEDY
from harness.doctor.finding import Finding, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.doctor.machine import Answer, Machine

TOPIC = "software"
OPTIONAL = {
    "git": (
        "no revision of a repository: `--repo`, `bisect` over commits, configs/issue-4666.toml",
        "apt-get install git",
    ),
    "addr2line": ("crashes are told without names of functions", "apt-get install binutils"),
    "chromium": (
        "tests of the report in a browser are skipped; nothing else needs it",
        "apt-get install chromium",
    ),
    "chromedriver": (
        "tests of the report in a browser are skipped; nothing else needs it",
        "apt-get install chromium-driver",
    ),
}
"""Programs that not everybody needs: what goes without them, and what installs them."""


def check_software(machine: Machine) -> Iterator[Finding]:
    """Yield what is to be said of programs and libraries."""
    software = machine.software
    yield Finding(topic=TOPIC, what="Python", found=software.python)
    nothing = "nothing can be built"
    yield _needed("C++ compiler", software.compiler, nothing)
    yield _needed("Python's headers", software.headers, "no cell can be run")
    for name, tool in software.tools.items():
        yield _needed(name, tool, nothing)
    yield from _compilers(machine)
    yield from _targets(machine)
    yield _optional(
        "AddressSanitizer", software.asan, "flag set avx2-asan, and what `diagnose` says of crashes"
    )
    yield _optional("compiler cache", software.cache, "every build compiles all of its files")
    for name, answer in software.programs.items():
        cost, remedy = OPTIONAL[name]
        yield _optional(name, answer, cost, remedy)
    yield from _vulkan(machine)


def _needed(what: str, answer: Answer, cost: str) -> Finding:
    return replace(_optional(what, answer, cost), needed=True)


def _optional(what: str, answer: Answer, cost: str, remedy: str = "") -> Finding:
    if not answer.missing:
        return Finding(topic=TOPIC, what=what, found=answer.found)
    # What the harness itself would say ends with what installs it.
    words, install, package = answer.missing.partition(INSTALL)
    if package and not remedy:
        return Finding(
            topic=TOPIC, what=what, state=State.MISSING, cost=cost, remedy=install + package
        )
    return Finding(topic=TOPIC, what=what, state=State.MISSING, cost=cost, remedy=remedy or words)


def _compilers(machine: Machine) -> Iterator[Finding]:
    for name, answer in machine.software.compilers.items():
        users = [each.name for each in machine.flag_sets if each.compiler == name]
        yield _optional(name, answer, f"`skipped`: flag set {', '.join(users)}")


def _targets(machine: Machine) -> Iterator[Finding]:
    for name, answer in machine.software.targets.items():
        users = [each.name for each in machine.flag_sets if each.target == name]
        cost = f"`skipped`: flag set {', '.join(users) or 'for this target'}"
        yield _optional(f"target {name}", answer, cost)


def _vulkan(machine: Machine) -> Iterator[Finding]:
    vulkan = machine.vulkan
    if vulkan.devices:
        yield Finding(topic=TOPIC, what="Vulkan device", found=", ".join(vulkan.devices))
    else:
        yield Finding(
            topic=TOPIC,
            what="Vulkan device",
            state=State.MISSING,
            found=vulkan.trouble,
            cost="`skipped`: run options vulkan-*, configs/vulkan.toml",
            remedy=f"{INSTALL} {VULKAN_DRIVER}",
        )
    if not vulkan.headers:
        yield Finding(
            topic=TOPIC,
            what="Vulkan headers",
            state=State.MISSING,
            cost="`skipped`: flag set vulkan of versions before 2023-11",
            remedy=HEADERS_REMEDY,
        )
