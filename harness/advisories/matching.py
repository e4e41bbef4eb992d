"""Whether a layer meets a known fault: yes, no, or it depends on what is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.advisories.advisory import ARCHES
from harness.advisories.affected import affected
from harness.advisories.condition import NO, YES, Answer, Unknown
from harness.advisories.subject import VULKAN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.advisories.advisory import Advisory
    from harness.advisories.subject import LayerSubject, Setting

_VULKAN_ARCH = ARCHES[-1]


def meets(advisory: Advisory, subject: LayerSubject, setting: Setting) -> Answer:
    """Return whether a layer meets a fault, run in a setting.

    What is in the corpus for not being a fault is met by nothing.
    """
    missing: dict[str, None] = {}
    for answer in _answers(advisory, subject, setting):
        if answer.met is False:
            return NO
        missing.update(dict.fromkeys(answer.missing))
    return Answer(met=None, missing=tuple(missing)) if missing else YES


def _answers(advisory: Advisory, subject: LayerSubject, setting: Setting) -> Iterator[Answer]:
    """Yield what must hold, the cheapest first."""
    if not advisory.is_fault or advisory.layer != subject.layer.type:
        yield NO
        return
    yield affected(advisory, setting.version)
    names = subject.names(setting, advisory.defaults)
    yield _on_arch(advisory, setting.arch, names[f"opt.{VULKAN}"])
    try:
        yield advisory.condition.of(names)
    except ValueError as error:
        yield Answer(met=None, missing=(f"what `when` means here: {error}",))
    if advisory.needs:
        yield Answer(met=None, missing=(needed(advisory),))


def needed(advisory: Advisory) -> str:
    """Return what is missing where it is not known whether there is what a fault needs."""
    return f"whether there is {advisory.needs}"


def _on_arch(advisory: Advisory, arch: str, vulkan: object) -> Answer:
    on_cpu, on_vulkan = arch in advisory.arch, _VULKAN_ARCH in advisory.arch
    if "any" in advisory.arch or (on_cpu and on_vulkan):
        return YES
    if isinstance(vulkan, Unknown):
        return Answer(met=None, missing=(vulkan.why,)) if on_cpu or on_vulkan else NO
    if on_vulkan:
        return YES if vulkan else NO
    if on_cpu and vulkan:
        return Answer(met=None, missing=("whether this layer runs on the CPU instead of Vulkan",))
    return YES if on_cpu else NO
