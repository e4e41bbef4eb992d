"""Clocks that jump: what is measured and decided must not depend on the time of day."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from faults.fault import Fault, Start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from faults.run import Ended
    from faults.stage import Stage

_SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
/* The clock of day is right, then wrong from a moment on, or at every other look at it. */
static long shift(void)
{
    static int looks;
    const char *by = getenv("FAULT_CLOCK_BY"), *how = getenv("FAULT_CLOCK_HOW");
    if (!by || !how) return 0;
    looks++;
    switch (how[0]) {
    case 'a': return atol(by);
    case 'm': return looks > 40 ? atol(by) : 0;
    default: return looks % 2 ? atol(by) : 0;
    }
}
int clock_gettime(clockid_t which, struct timespec *out)
{
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int code = real(which, out);
    if (!code && which == CLOCK_REALTIME) out->tv_sec += shift();
    return code;
}
time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *out, void *zone)
{
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""
YEAR = 365 * 24 * 3600


def shim(folder: Path) -> Path:
    """Compile what stands between a program and the clock, and return the library."""
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_SHIM, encoding="ascii")
    words = ["cc", "-shared", "-fPIC", "-O1", "-w", str(source), "-o", str(library), "-ldl"]
    subprocess.run(words, check=True)
    return library


def _jumping(by: int, how: str) -> Callable[[Stage], Ended]:
    def strike(stage: Stage) -> Ended:
        library = shim(stage.scratch("clock"))
        shifted = {"FAULT_CLOCK_BY": str(by), "FAULT_CLOCK_HOW": how}
        return stage.run(env={"LD_PRELOAD": str(library), **shifted})

    return strike


def _fault(name: str, how: str, by: int, kind: str, start: Start) -> Fault:
    return Fault(
        id=f"clock-{name}",
        kind="clock",
        where="the clock of day",
        how=how,
        expected="no limit of time strikes, nothing in use is pruned, no number differs",
        strike=_jumping(by, kind),
        start=start,
    )


FAULTS = (
    _fault(
        "forward",
        "ten years forward in the middle of a run",
        10 * YEAR,
        "middle",
        "built",
    ),
    _fault(
        "backward",
        "ten years back in the middle of a run",
        -10 * YEAR,
        "middle",
        "built",
    ),
    _fault("to-and-fro", "an hour to and fro at each look", 3600, "fro", "built"),
    _fault("to-and-fro-building", "an hour to and fro at each look", -3600, "fro", "fetched"),
    _fault("future", "the year 2090 from the start", 65 * YEAR, "always", "fetched"),
    _fault("epoch", "before the year 1980 from the start", -48 * YEAR, "always", "built"),
)
