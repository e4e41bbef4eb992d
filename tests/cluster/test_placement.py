"""Who gets what, and who is to blame."""

from __future__ import annotations

from harness.cluster.placement import (
    PATIENCE_SECONDS,
    TRIES,
    Placement,
    Unit,
    WorkerState,
    is_to_blame,
)

X86, ARM = frozenset({"kernels x86"}), frozenset({"kernels arm"})


def workers(**threads: int) -> dict[str, WorkerState]:
    return {name: WorkerState(offers=X86, threads=count) for name, count in threads.items()}


def build(needs: frozenset[str] = X86) -> Unit:
    return Unit(needs=needs, whole=True)


def run(home: str = "") -> Unit:
    return Unit(needs=X86, whole=False, home=home)


def placement(*units: Unit, **threads: int) -> Placement[Unit]:
    made: Placement[Unit] = Placement()
    made.update(workers(**threads))
    for unit in units:
        made.add(unit)
    return made


def test_a_build_has_a_worker_for_itself_and_runs_go_where_theirs_is() -> None:
    first, second, third = build(), build(), build()
    made = placement(first, second, third, a=4, b=2)
    assert list(made.assigned()) == [(first, "a"), (second, "b")]
    assert list(made.assigned()) == []
    made.done(second, "b")
    runs = [run("b") for _ in range(3)]
    for unit in runs:
        made.add(unit)
    # Runs come first: they are short, and somebody waits for their numbers.
    assert list(made.assigned()) == [(runs[0], "b"), (runs[1], "b")]
    made.done(first, "a")
    assert list(made.assigned()) == [(third, "a")]
    made.done(runs[0], "b")
    assert list(made.assigned()) == [(runs[2], "b")]


def test_what_waits_for_a_worker_that_dies_is_not_to_blame() -> None:
    running, waiting = run("a"), run("a")
    made = placement(running, waiting, a=1)
    assert list(made.assigned()) == [(running, "a")]
    assert made.update(workers(b=1)) == [running]
    assert (running.deaths, waiting.deaths) == (1, 0)
    assert list(made.assigned()) == [(waiting, "b")]


def test_what_saw_a_worker_die_runs_alone_and_only_then_is_given_up() -> None:
    guilty, innocent = run("w0"), run("w0")
    made = placement(guilty, innocent, w0=2)
    assert len(list(made.assigned())) == 2
    for number in range(1, 20):
        lost = made.update(workers(**{f"w{number}": 2}))
        for unit in lost:
            if not is_to_blame(unit):
                made.add(unit)
        now = [unit for unit, _ in made.assigned()]
        if not now:
            break
        assert len(now) == 1
        if now == [innocent]:
            made.done(innocent, f"w{number}")
            assert [unit for unit, _ in made.assigned()] == [guilty]
    assert (is_to_blame(guilty), is_to_blame(innocent)) == (True, False)
    assert guilty.deaths == TRIES


def test_what_no_worker_can_do_any_more_is_waited_for_and_then_left_out() -> None:
    now = [0.0]
    made: Placement[Unit] = Placement(clock=lambda: now[0])
    made.update(workers(a=1))
    unit = build(ARM)
    made.add(unit)
    assert made.hopeless() == []
    now[0] += PATIENCE_SECONDS - 1
    made.update({"a": WorkerState(offers=ARM, threads=1)})
    assert made.hopeless() == []
    made.update(workers(a=1))
    now[0] += 2
    assert made.hopeless() == []
    now[0] += PATIENCE_SECONDS
    assert made.hopeless() == [(unit, "none of 1 workers has kernels arm")]
    assert not made.is_waiting
