"""The report for machines: a table as CSV, everything as JSON, a test suite as JUnit XML."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from harness.domain.formatting import number
from harness.domain.records import CellRecord, Verdict
from harness.report.cause_text import cause_head, cause_title, fix_words
from harness.report.csv_tables import frame_csv, matrix_table
from harness.report.details import plain
from harness.report.record_values import output_error
from harness.util.printable import printable

if TYPE_CHECKING:
    from harness.analysis.attribution.causes import Fix
    from harness.report.model import Part, Report

_RESULTS = {
    Verdict.DROP: Failure,
    Verdict.MODEL_DIFFERS: Failure,
    Verdict.BROKEN: Error,
    Verdict.UNSTABLE: Error,
    Verdict.BUILD_FAILED: Error,
    Verdict.UNSUPPORTED: Skipped,
    Verdict.SKIPPED: Skipped,
}


def csv(report: Report) -> str:
    """Return one row per cell: the table of the run directory, with model and machine."""
    table = matrix_table(report.records)
    table.insert(0, "model", [record.model for record in report.records])
    table.insert(1, "machine", [record.machine_name for record in report.records])
    return frame_csv(table)


def json_text(report: Report) -> str:
    """Return everything the report says, and every cell without its layers."""
    content = {
        "schema_version": 1,
        "title": report.title,
        "tolerance": report.tolerance.model_dump(),
        "incomplete": report.incomplete,
        "parts": [_part(part) for part in report.parts],
        "findings": [finding.model_dump() for finding in report.findings],
        "commits": [commit.model_dump() for commit in report.commits],
        "changes": _changes(report),
    }
    return json.dumps(content, ensure_ascii=False, indent=1, default=str) + "\n"


def _part(part: Part) -> dict[str, Any]:
    best = part.recommendation
    return {
        "model": part.scope.model,
        "machine": part.scope.machine,
        "verdict": part.sentence,
        "counts": part.summary.counts,
        "recommendation": {
            "version": best.version,
            "flags": best.flags,
            "run": best.records[0].run,
            "converter": best.records[0].converter,
            "threads": best.threads,
            "scale_relative": best.error,
            "latency_ms": best.latency_ms,
            "options": best.options,
            "settings": best.settings,
        }
        if best
        else None,
        "causes": [
            {
                "words": f"{cause_head(cause)} {cause_title(cause)}",
                "level": cause.level,
                "proved": cause.is_proved,
                "layer_type": cause.layer_type,
                "also": cause.also,
                "worst": _finite(cause.worst),
                "layers": cause.layers,
                "cells": cause.cells,
                "versions": [span._asdict() for span in cause.spans],
                "clean_versions": cause.clean,
                "fixes": [_fix(fix) for fix in cause.fixes],
                "easing": [_fix(fix) for fix in cause.easing],
            }
            for cause in part.summary.causes
        ],
        "not_tested": {
            "cells": part.summary.explanations,
            "flags_without_effect": part.summary.ineffective,
            "layers": part.unaligned,
            "no_record": part.absent,
        },
        "cells": [
            record.model_dump(mode="json", exclude={"layers": True, "build": {"layers"}})
            for record in part.scope.records
        ],
        "experiments": [
            record.model_dump(mode="json", exclude={"layers": True, "build": {"layers"}})
            for record in part.scope.experiments
        ],
    }


def _fix(fix: Fix) -> dict[str, Any]:
    return {
        "words": fix_words(fix),
        "change": [setting._asdict() for setting in sorted(fix.change)],
        **{k: _finite(v) for k, v in asdict(fix).items() if k != "change"},
    }


def _finite(value: object) -> object:
    """Return a value that JSON has: no infinity."""
    return value if not isinstance(value, float) or math.isfinite(value) else None


def _changes(report: Report) -> dict[str, list[dict[str, str]]] | None:
    if report.changes is None:
        return None
    found: dict[str, list[dict[str, str]]] = {}
    for change in report.changes.changes:
        found.setdefault(str(change.kind), []).append({"cell": change.cell, "words": change.words})
    return found


def junit(report: Report) -> str:
    """Return a test suite per build and machine with a test case per cell.

    A drop is a failure, `broken` and `build-failed` are errors, as is what is missing of the
    matrix, the rest is skipped. The time of a case is its latency in seconds.
    """
    document = JUnitXml(printable(report.title))
    if report.incomplete:
        shards = TestSuite("shards")
        shards.add_testcases([_gap(note) for note in report.incomplete])
        document.add_testsuite(shards)
    for part in report.parts:
        suites: dict[str, TestSuite] = {}
        for record in part.scope.records:
            name = printable(f"{record.version}-{record.flags}")
            if name not in suites:
                suites[name] = TestSuite(name)
                suites[name].add_property("model", printable(part.scope.model))
                suites[name].add_property("machine", printable(plain(part.scope.machine)))
            suites[name].add_testcase(_case(record, report))
        for suite in suites.values():
            document.add_testsuite(suite)
    text: bytes = document.tostring()  # type: ignore[no-untyped-call]
    return text.decode()


def _gap(note: str) -> TestCase:
    """Return what stands for cells that nothing is known of."""
    words = printable(plain(note))
    case = TestCase(words, classname="shards")
    case.result = [Error(words, "incomplete")]
    return case


def _case(record: CellRecord, report: Report) -> TestCase:
    case = TestCase(
        printable(f"{record.way}/{record.input}"),
        classname=printable(f"{record.model}.{record.version}-{record.flags}"),
        time=(record.latency_ms or 0.0) / 1000,
    )
    kind = _RESULTS.get(record.verdict)
    if kind:
        reason = printable(plain(f"{record.verdict}: {record.reason}"))
        result = kind(reason, str(record.verdict))
        result.text = printable(f"reproduce: {report.reproduce(record)}")
        case.result = [result]
    if record.output:
        case.system_out = f"scale-relative error of the output {number(output_error(record))}"
    if record.stderr:
        case.system_err = printable(plain(record.stderr))
    return case
