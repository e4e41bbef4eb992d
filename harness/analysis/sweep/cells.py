"""Runs of a case as the cells of a table, so that causes are found in them as in any table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import harness
from harness.cases.judgement import CaseOutcome
from harness.domain.records import CellRecord, Failure, LayerRecord, Metrics, Verdict
from harness.domain.spec import content_key

if TYPE_CHECKING:
    from harness.cases.judgement import CaseVerdict
    from harness.cases.layer_case import LayerCase
    from harness.domain.records import BuildRecord
    from harness.domain.spec import RunSpec
    from harness.domain.verdict import Tolerance

INPUT = "case"
_VERDICTS = {
    CaseOutcome.OK: Verdict.OK,
    CaseOutcome.DROP: Verdict.DROP,
    CaseOutcome.BROKEN: Verdict.BROKEN,
    CaseOutcome.UNSTABLE: Verdict.UNSTABLE,
    CaseOutcome.CRASH: Verdict.BROKEN,
    CaseOutcome.HANG: Verdict.BROKEN,
    CaseOutcome.SHAPE: Verdict.BROKEN,
    CaseOutcome.REFUSED: Verdict.BROKEN,
    CaseOutcome.UNSUPPORTED: Verdict.UNSUPPORTED,
    CaseOutcome.UNJUDGED: Verdict.SKIPPED,
}
_FAILURES = {
    CaseOutcome.CRASH: Failure.RUN,
    CaseOutcome.HANG: Failure.TIMEOUT,
    CaseOutcome.SHAPE: Failure.RUN,
    CaseOutcome.REFUSED: Failure.RUN,
}


def cell_record(
    case: LayerCase,
    run: RunSpec,
    verdict: CaseVerdict,
    build: BuildRecord,
    tolerance: Tolerance,
    *,
    words: str,
) -> CellRecord:
    """Return one run of a case as a cell of a model of this layer alone.

    Args:
        case: the case.
        run: its run options.
        verdict: what became of it.
        build: the build.
        tolerance: the limits that the verdict was made with.
        words: the run options as `--run` takes them: the name of the run in the table.
    """
    layers: tuple[LayerRecord, ...] = ()
    error = None
    if verdict.outcome in (CaseOutcome.OK, CaseOutcome.DROP, CaseOutcome.BROKEN):
        error = _metrics(verdict)
        blob = case.layer.outputs[0]
        layers = (
            LayerRecord(
                index=len(case.layer.inputs),
                name=case.layer.name,
                type=case.type,
                blob=blob,
                aligned="definition",
                chain=error,
                alone=error,
                floor=verdict.limit / tolerance.floors,
            ),
        )
    return CellRecord(
        cell=f"{build.id}/{words}/{INPUT}",
        model=case.id,
        version=build.version,
        flags=build.flags,
        run=words,
        input=INPUT,
        verdict=_VERDICTS[verdict.outcome],
        reason=verdict.reason,
        failure=_FAILURES.get(verdict.outcome),
        options={**build.options, **dict(run.options)},
        threads=run.threads,
        output_blob=layers[0].blob if layers else "",
        output=error,
        outputs={layers[0].blob: error} if layers and error else {},
        reference="ncnn's definition of the layer in float64",
        layers=layers,
        build=build,
        harness_version=harness.__version__,
    )


def _metrics(verdict: CaseVerdict) -> Metrics:
    """Return the measures that are known of a verdict."""
    finite = math.isfinite(verdict.error)
    error = verdict.error if finite else 0.0
    return Metrics(
        max_abs=error,
        mean_abs=error,
        scale_relative=error,
        cosine=math.nan,
        snr_db=math.nan,
        nan=0 if finite else 1,
        inf=0,
    )


def finding_id(layer: str, case: str, kind: str) -> str:
    """Return a short name of a finding that is the same for the same case."""
    return f"{layer.lower()}-{content_key([case, kind])[:6]}"
