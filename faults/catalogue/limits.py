"""Limits that a shell or a batch system sets: what fails by them says nothing of ncnn."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from faults.fault import SAME, Fault, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.run import Ended
    from faults.stage import Stage

MIB = 1 << 20


def _limited(which: int, amount: int) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        return stage.run(prepare=lambda: resource.setrlimit(which, (amount, amount)))

    return strike


def _fault(name: str, how: str, which: int, amount: int, start: Start) -> Fault:
    return Fault(
        id=f"limit-{name}",
        kind="limits",
        where="the harness and all that it starts",
        how=how,
        expected="it works, or one line names what is lacking; nothing is blamed on ncnn",
        codes=(SAME, 0, 3),
        strike=_limited(which, amount),
        start=start,
    )


FAULTS = (
    _fault(
        "memory-building", "ulimit -v: 3 GiB of addresses", resource.RLIMIT_AS, 3 << 30, "fetched"
    ),
    _fault("memory", "ulimit -v: 1 GiB of addresses", resource.RLIMIT_AS, 1 << 30, "built"),
    _fault(
        "memory-tight", "ulimit -v: 400 MiB of addresses", resource.RLIMIT_AS, 400 * MIB, "built"
    ),
    _fault("file-size", "ulimit -f: files of 100 KiB", resource.RLIMIT_FSIZE, 100 << 10, "built"),
    _fault(
        "file-size-building",
        "ulimit -f: files of 500 KiB",
        resource.RLIMIT_FSIZE,
        500 << 10,
        "fetched",
    ),
    _fault(
        "file-size-tiny",
        "ulimit -f: files of 2 KiB",
        resource.RLIMIT_FSIZE,
        2 << 10,
        "built",
    ),
    _fault("files", "ulimit -n: 24 open files", resource.RLIMIT_NOFILE, 24, "built"),
    _fault("stack", "ulimit -s: 256 KiB of stack", resource.RLIMIT_STACK, 256 << 10, "built"),
    _fault("processor", "ulimit -t: 2 seconds of processor time", resource.RLIMIT_CPU, 2, "built"),
)
