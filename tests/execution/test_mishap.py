import signal

import pytest

from harness.execution import mishap
from harness.execution.mishap import EXIT_MACHINE, mishap_of
from harness.util.errors import EXIT_INTERNAL
from harness.util.limits import GIB
from harness.util.process import Completed


def ended(
    code: int = 0, output: str = "", *, timed_out: bool = False, over: bool = False
) -> Completed:
    return Completed(
        command=("worker",),
        returncode=code,
        seconds=1.0,
        output=output,
        timed_out=timed_out,
        over_memory=over,
    )


@pytest.mark.parametrize(
    ("end", "reason", "again"),
    [
        (ended(-signal.SIGKILL, over=True), "more than 2 GiB", False),
        (ended(-signal.SIGKILL), "ended from outside by SIGKILL", True),
        (ended(-signal.SIGXCPU), "ulimit -t", True),
        (ended(-signal.SIGXFSZ), "ulimit -f", True),
        (ended(-signal.SIGTERM), "SIGTERM", True),
        (ended(-signal.SIGABRT, "what():  std::bad_alloc\n"), "no memory left", True),
        (ended(EXIT_MACHINE, "noise\nthe disk is full. Free some\n"), "the disk is full", True),
        (ended(EXIT_INTERNAL, "Traceback\nKeyError: 1\n"), "harness, or memory", True),
    ],
)
def test_what_the_machine_did(end: Completed, reason: str, again: bool) -> None:
    found = mishap_of(end, 2 * GIB)
    assert found
    assert reason in found.reason
    assert found.again is again


@pytest.mark.parametrize(
    "end",
    [
        ended(0),
        ended(7, "std::bad_alloc"),
        ended(-signal.SIGSEGV),
        ended(-signal.SIGABRT, "munmap_chunk(): invalid pointer"),
        ended(-signal.SIGTERM, timed_out=True),
        ended(-signal.SIGKILL, timed_out=True),
    ],
)
def test_what_the_build_did(end: Completed) -> None:
    assert mishap_of(end, 2 * GIB) is None


@pytest.mark.parametrize(("outer", "blames"), [(0, True), (64 * GIB, True), (4 * GIB, False)])
def test_nobody_is_blamed_where_addresses_are_short(
    monkeypatch: pytest.MonkeyPatch, outer: int, blames: bool
) -> None:
    monkeypatch.setattr(mishap, "outer_address_space", lambda: outer)
    assert (mishap_of(ended(-signal.SIGSEGV), 2 * GIB) is None) is blames
