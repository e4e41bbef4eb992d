"""Where a finding of a sweep is a fault that was known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.advisories.matching import meets
from harness.advisories.measured import setting_of
from harness.advisories.subject import subject_of
from harness.analysis.sweep.suspects import FaultKind
from harness.cases.layer_case import parse_case
from harness.report.known_faults import KnownFault

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.advisories.advisory import Advisory
    from harness.analysis.sweep.finding import Explained

_EXPECTED: Mapping[FaultKind, frozenset[str]] = {
    FaultKind.CRASH: frozenset({"crash", "hang"}),
    FaultKind.UNSTABLE: frozenset({"unstable", "broken"}),
    # How much is wrong depends on the values.
    FaultKind.VALUES: frozenset({"broken", "drop"}),
    FaultKind.PRECISION: frozenset({"broken", "drop"}),
    FaultKind.REFUSAL: frozenset({"shape"}),
    FaultKind.NARROW: frozenset({"narrow"}),
}
"""What a known fault makes of its case, by the kind of finding that it may be."""


def known_faults(explained: Explained, advisories: Sequence[Advisory]) -> tuple[KnownFault, ...]:
    """Return the known faults that a finding is: its smallest case meets them in all bad builds.

    Args:
        explained: the finding, with its runs.
        advisories: known faults of ncnn.
    """
    finding = explained.finding
    settings = [setting_of(record) for record in explained.shown_by]
    if not settings or not all(setting.arch for setting in settings):
        return ()
    subject = subject_of(parse_case(finding.case))
    return tuple(
        KnownFault(advisory=each, version=finding.bad[-1], certain=True, cells=1, of=1)
        for each in advisories
        if each.expect in _EXPECTED[finding.kind]
        and all(meets(each, subject, setting).met for setting in settings)
    )
