"""What the directories that are written to mean for what can be done here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor.finding import Finding, State
from harness.util.limits import GIB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.doctor.machine import Machine, Place

TOPIC = "places"
SPACE = {"--builds": 3.0, "--results": 0.5, "": 1.0}
"""GiB that the default matrix may take, by the option that names the directory."""
NETWORKED = ("nfs", "cifs", "smb", "fuse", "9p")
SKEW_SECONDS = 5.0


def check_places(machine: Machine) -> Iterator[Finding]:
    """Yield what is to be said of directories and of the build store."""
    for place in machine.places:
        yield from _place(place)
    yield _store(machine)


def _place(place: Place) -> Iterator[Finding]:
    name = place.option or "temporary directory"
    move = f"name another with {place.option}" if place.option else "set TMPDIR to another"
    size = f"{place.free / GIB:.1f} GiB" if place.free >= GIB else f"{place.free >> 20} MiB"
    free = f"{place.path}: {size} free on {place.filesystem}"
    if place.trouble:
        yield Finding(
            topic=TOPIC,
            what=name,
            state=State.MISSING,
            found=place.trouble,
            cost="nothing can be kept",
            remedy=f"make it writable, or {move}",
            needed=True,
        )
        return
    troubles = list(_troubles(place, move))
    if not troubles:
        yield Finding(topic=TOPIC, what=name, found=free)
    for found, cost, remedy, needed in troubles:
        yield Finding(
            topic=TOPIC,
            what=name,
            state=State.ODD,
            found=found or free,
            cost=cost,
            remedy=remedy,
            needed=needed,
        )


def _troubles(place: Place, move: str) -> Iterator[tuple[str, str, str, bool]]:
    """Yield what is odd: what was found, its cost, the remedy, and whether all stops for it."""
    if place.free < SPACE[place.option] * GIB:
        size = "python -m harness store --prune, or " if place.option == "--builds" else ""
        yield "", "the disk may become full in the middle of a run", f"{size}{move}", False
    elif not place.allocates:
        yield (
            f"{place.path}: no room for a file, though the disk has space",
            "a quota may end builds",
            f"ask for a larger quota, or {move}",
            False,
        )
    if not place.executable and place.option != "--results":
        is_store = place.option == "--builds"
        cost = "no build can be loaded" if is_store else "`reproducer` and `bench` fail"
        yield f"{place.path}: mounted noexec", cost, move, is_store
    if place.foreign:
        yield (
            f"{place.path}: another user's",
            "what is in it cannot be pruned, and stamps of use are lost",
            move,
            False,
        )
    if not place.locks:
        yield (
            f"{place.path}: locks keep nobody out ({place.filesystem})",
            "two commands at the same time may spoil each other's builds",
            f"run one at a time, or {move}",
            False,
        )
    elif place.option == "--builds" and place.filesystem.startswith(NETWORKED):
        yield (
            f"{place.path}: on {place.filesystem}",
            "builds are many times slower than on a local disk",
            move,
            False,
        )
    if abs(place.skew) > SKEW_SECONDS:
        yield (
            f"{place.path}: its files' times differ from the clock by {place.skew:.0f} s",
            "the store forgets too early, or too late, what was not used for longest",
            "synchronise both machines' clocks",
            False,
        )


def _store(machine: Machine) -> Finding:
    store = machine.store
    found = f"{store.bytes / GIB:.1f} of at most {store.limit / GIB:.1f} GiB"
    if store.leftovers and store.bytes <= store.limit:
        found = f"{found}; {store.leftovers} leftovers of interrupted builds"
    elif store.bytes <= store.limit:
        return Finding(topic=TOPIC, what="build store", found=found)
    return Finding(
        topic=TOPIC,
        what="build store",
        state=State.ODD,
        found=found,
        cost="disk space",
        remedy="python -m harness store --prune",
    )
