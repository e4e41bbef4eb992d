"""The corpus of the project: each entry is consistent with itself."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.advisories.affected import affected
from harness.advisories.loading import load_corpus
from harness.advisories.matching import meets
from harness.advisories.subject import Setting, subject_of
from harness.cases.expectation import expect
from harness.cases.sample import sample_of
from harness.config.axes import with_flags, with_run
from harness.config.cells import run_of
from harness.config.flags import resolve_flag_set
from harness.config.loading import load_config

if TYPE_CHECKING:
    from harness.advisories.advisory import Advisory

CONFIG = load_config(Path(__file__).parents[2] / "configs" / "default.toml")
CORPUS = load_corpus()
FAULTS = [each for each in CORPUS if each.is_fault]
BUILD = ("NCNN_", "CMAKE_")


def setting(advisory: Advisory, run: str, **more: Any) -> Setting:
    """How an entry says that it is run."""
    config, flags = with_flags(CONFIG, advisory.flags)
    built = resolve_flag_set(flags, config.flags, config.targets)
    config, name = with_run(config, run)
    spec = run_of(name, config)
    return Setting(
        version=advisory.bad[0],
        arch=built.target.arch if built.target else "x86",
        options=dict(spec.options),
        threads=spec.threads,
        flags=dict(built.options),
        **more,
    )


def each(advisories: list[Advisory] | tuple[Advisory, ...]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("advisory", advisories, ids=[a.id for a in advisories])


@each(CORPUS)
def test_the_case_is_defined(advisory: Advisory) -> None:
    outputs = expect(sample_of(advisory.layer_case)).outputs
    assert all(output.is_judged for output in outputs)


@each(FAULTS)
def test_the_own_case_meets_it_and_with_the_fix_it_does_not(advisory: Advisory) -> None:
    outputs = expect(sample_of(advisory.layer_case)).outputs
    subject = subject_of(advisory.layer_case, [output.value.shape for output in outputs])
    answer = meets(advisory, subject, setting(advisory, advisory.run))
    # What no .param tells stays open, and nothing else.
    assert answer.met is (None if advisory.needs else True)
    assert len(answer.missing) == bool(advisory.needs)
    if advisory.fix and not advisory.fix.startswith(BUILD):
        fixed = ",".join(filter(None, (advisory.run, advisory.fix)))
        assert meets(advisory, subject, setting(advisory, fixed)).met is False


@each(FAULTS)
def test_versions_and_dates_of_commits_agree(advisory: Advisory) -> None:
    assert all(affected(advisory, version).met for version in advisory.bad)
    day = timedelta(days=2)
    for on, before in ((advisory.introduced_on, False), (advisory.repaired_on, True)):
        if on is not None:
            found = [affected(advisory, f"{when:%Y%m%d}").met for when in (on - day, on + day)]
            assert found == [before, not before]
