"""What network, clock, locale and kernel mean for what can be done here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor.finding import Finding, State

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.doctor.machine import Machine

TOPIC = "surroundings"


def check_surroundings(machine: Machine) -> Iterator[Finding]:
    """Yield what is to be said of network, clock, locale, kernel and lock files."""
    yield from _network(machine)
    yield _lock(machine)
    yield _clock(machine)
    yield _encoding(machine)
    yield _confinement(machine)


def _network(machine: Machine) -> Iterator[Finding]:
    answer, trouble = machine.surroundings.index, machine.surroundings.pip
    if trouble:
        yield Finding(
            topic=TOPIC,
            what="pip's configuration",
            state=State.ODD,
            found=trouble,
            cost="nothing can be downloaded",
            remedy="pip config debug",
        )
    elif answer is None:
        yield Finding(topic=TOPIC, what="package index", state=State.UNKNOWN)
    elif answer.missing:
        yield Finding(
            topic=TOPIC,
            what="package index",
            state=State.MISSING,
            found=answer.missing,
            cost="only versions and models that are in the store",
            remedy="check the network, or pip's index-url, proxy and cert: pip config list",
        )
    else:
        yield Finding(topic=TOPIC, what="package index", found=answer.found)


def _lock(machine: Machine) -> Finding:
    if not machine.unpinned:
        return Finding(topic=TOPIC, what="lock file", found=f"all of {machine.config} is pinned")
    return Finding(
        topic=TOPIC,
        what="lock file",
        state=State.ODD,
        found=f"not pinned: {', '.join(machine.unpinned)}",
        cost="what is downloaded there is taken as it comes; --locked refuses it",
        remedy=f"python -m harness lock --config {machine.config}",
    )


def _clock(machine: Machine) -> Finding:
    around = machine.surroundings
    if around.now >= around.newest:
        return Finding(topic=TOPIC, what="clock", found=around.now)
    return Finding(
        topic=TOPIC,
        what="clock",
        state=State.ODD,
        found=f"{around.now}, before the release of {around.newest}",
        cost="certificates are refused, and the store forgets the wrong things",
        remedy="timedatectl set-ntp true",
    )


def _encoding(machine: Machine) -> Finding:
    others = {
        use: name
        for use, name in machine.surroundings.encodings.items()
        if name.lower().replace("-", "") != "utf8"
    }
    if not others:
        return Finding(topic=TOPIC, what="encoding", found="UTF-8")
    return Finding(
        topic=TOPIC,
        what="encoding",
        state=State.ODD,
        found=", ".join(f"{use}: {name}" for use, name in others.items()),
        cost="names and signs beyond ASCII are shown as escapes, or files of such names not found",
        remedy="export PYTHONUTF8=1 LC_ALL=C.UTF-8",
    )


def _confinement(machine: Machine) -> Finding:
    exposed = machine.surroundings.exposed
    if not exposed:
        return Finding(topic=TOPIC, what="sandbox", found="Landlock, and a network of its own")
    costs, _, reasons = zip(*(words.partition(": ") for words in exposed), strict=True)
    return Finding(
        topic=TOPIC,
        what="sandbox",
        state=State.MISSING,
        cost=f"builds under test: {'; '.join(costs)}",
        remedy="; ".join(dict.fromkeys(filter(None, reasons))) or "see the kernel's log",
    )
