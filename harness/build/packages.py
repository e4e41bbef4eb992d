"""What Debian and Ubuntu call what a build needs, beyond a compiler for the machine at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.domain.spec import BuildSpec

INSTALL = "apt-get install"
USUAL = "g++"
"""The package of the compiler that a machine for jobs has."""
VULKAN_DRIVER = "mesa-vulkan-drivers"
"""Has a Vulkan device in software."""
VULKAN_HEADERS = "libvulkan-dev"


def compiler_packages(name: str) -> tuple[str, ...]:
    """Return the packages of a compiler by its name; an empty one is that of the machine."""
    # Clang's OpenMP is a package of its own, without which ncnn is compiled single-threaded.
    return ("clang", "libomp-dev") if "clang" in name else (USUAL,)


def packages_of(build: BuildSpec) -> tuple[str, ...]:
    """Return what to install for a build where there is nothing but the usual compiler.

    What installs a target by another command than `apt-get` is left to whoever wrote it.
    """
    flags = build.flags
    found: list[str] = []
    if flags.target:
        _, apt, packages = flags.target.install.partition(INSTALL)
        found += packages.split() if apt else []
    elif flags.compiler:
        found += (name for name in compiler_packages(flags.compiler) if name != USUAL)
    if flags.wants_vulkan:
        found.append(VULKAN_DRIVER)
        # Releases of the package index are new enough to bring their own headers.
        found += [] if build.revision.kind == "index" else [VULKAN_HEADERS]
    return tuple(found)
