"""The run options that every case of a sweep is run with."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.analysis.attribution.experiments import OF_DEVICES
from harness.domain.formatting import option_text
from harness.domain.spec import THREADS, RunSpec
from harness.sources.options import most_exact, one_at_a_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.domain.spec import OptionValue
    from harness.sources.options import OptionField

    Options = tuple[tuple[str, OptionValue], ...]

DEFAULT, SINGLE_PRECISION, EXACT = "default", "fp32", "exact"
"""Names of the runs that the others are seen beside: as a version has it, that without narrow
formats, and that with every optimisation off."""
THREAD_COUNTS = (2, 3, 4)
_NARROW = ("use_fp16_", "use_bf16_")
_WITHOUT_EFFECT = ("lightmode", "use_reserved")


def sweep_runs(fields: Sequence[OptionField], base: Options = ()) -> tuple[RunSpec, ...]:
    """Return what every case is run with in a version, the most telling first.

    As it is by default; without narrow formats; with everything off; each option against its
    default; several threads.

    Args:
        fields: the options that the version has.
        base: options that all runs have, such as Vulkan's.
    """
    device = any(name == "use_vulkan_compute" and value for name, value in base)
    used = [f for f in fields if f.is_bool and _matters(f.name, device=device)]
    narrow = ((f.name, False) for f in used if f.name.startswith(_NARROW))
    singles = (run for run in one_at_a_time(used, threads=1) if run.options not in ((), base))
    threads = (RunSpec(name=f"{THREADS}={n}", threads=n) for n in THREAD_COUNTS)
    runs = [
        RunSpec(name=DEFAULT),
        RunSpec(name=SINGLE_PRECISION, options=tuple(sorted(narrow))),
        replace(most_exact(fields), name=EXACT),
        *singles,
        *threads,
    ]
    return tuple(replace(run, options=_merged(base, run.options)) for run in runs)


def exact_run(runs: Iterable[RunSpec]) -> RunSpec:
    """Return the most exact of the runs of a sweep."""
    return next(run for run in runs if run.name == EXACT)


def _matters(name: str, *, device: bool) -> bool:
    return not name.startswith(_WITHOUT_EFFECT) and (device or not name.startswith(OF_DEVICES))


def _merged(base: Options, more: Options) -> Options:
    return tuple(sorted({**dict(base), **dict(more)}.items()))


def run_words(run: RunSpec) -> str:
    """Return a run as `--run` takes it."""
    pairs = [f"{name}={option_text(value)}" for name, value in run.options]
    if run.threads != 1:
        pairs.append(f"{THREADS}={run.threads}")
    return ",".join(pairs) or DEFAULT
