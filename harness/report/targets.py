"""Which files a report may replace: those of an earlier report, and no others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from harness.domain.commits import FILE as COMMITS
from harness.domain.coverage import COVERAGE
from harness.domain.findings import FILE as FINDING
from harness.execution.run_directory import CELLS, LEFT_OUT, STATE
from harness.report.sweep_about import FILE as SWEEP
from harness.report.write import OTHER_FORMS, beside
from harness.util.errors import UsageError
from harness.util.paths import real
from harness.util.reading import open_regular

if TYPE_CHECKING:
    from pathlib import Path

PAGE, MARKDOWN, JUNIT = ".html", ".md", ".xml"
_BEGINNINGS = {
    PAGE: re.compile(
        rb"\s*<!doctype html>.{,500}Content-Security-Policy.{,20}default-src 'none'", re.DOTALL
    ),
    ".csv": re.compile(rb"model,machine\b|layer,reference,version,run,"),
    ".json": re.compile(rb'\{\s*"schema_version": 1,\s*"title": '),
    JUNIT: re.compile(rb"<testsuites\b"),
}
"""What each form of a report begins with. Markdown has no mark: it is known by its page."""
_OF_A_RUN = frozenset({CELLS, COMMITS, COVERAGE, FINDING, LEFT_OUT, STATE, SWEEP})
"""What reports are made from, where it is there."""
_BEGINNING = 2000
"""Bytes that are looked at."""


def check_targets(
    page: Path, *, usual: bool = False, junit: Path | None = None, summary: Path | None = None
) -> None:
    """Refuse files that a report must not go to, before anything is written.

    Args:
        page: the HTML, whose other forms stand beside it.
        usual: whether it is the report of a run, in its directory under the usual name.
        junit: where JUnit XML goes.
        summary: what Markdown is appended to.

    Raises:
        UsageError: one file is to have two forms, or is there and no report, or would be taken for
            what a run found.
    """
    forms = {PAGE: page, **{suffix: beside(page, suffix) for suffix in OTHER_FORMS}}
    replaced = [*({} if usual else forms).items(), *([(JUNIT, junit)] if junit else [])]
    written = [*forms.values(), *(path for path in (junit, summary) if path)]
    for at, path in enumerate(written):
        if real(path) in map(real, written[:at]):
            raise UsageError(
                f"{path}: two forms of the report would go into it. Give each a file of its own."
            )
        if path.name in _OF_A_RUN and any((path.parent / name).is_file() for name in _OF_A_RUN):
            raise UsageError(
                f"{path}: this is how a run directory calls what reports are made from. Name "
                "another file."
            )
    for form, path in replaced:
        known = _is_report(page, PAGE) if form == MARKDOWN else _is_report(path, form)
        if path.exists() and not known:
            raise UsageError(
                f"{path}: is there, and no report of an earlier time that may be replaced. Name "
                "another file, or move it away."
            )


def _is_report(path: Path, form: str) -> bool:
    """Return whether a file is one form of a report, or is empty."""
    try:
        with open_regular(path) as stream:
            beginning = stream.read(_BEGINNING)
    except OSError:
        return False
    return not beginning or _BEGINNINGS[form].match(beginning) is not None
