"""Made-up records for tests of what reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.domain.records import BuildRecord, CellRecord, LayerRecord, Metrics, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

OPTIONS: dict[str, bool | int] = {
    "use_fp16_storage": True,
    "use_bf16_storage": False,
    "use_packing_layout": True,
    "num_threads": 1,
}


def metrics(error: float, *, nan: int = 0) -> Metrics:
    return Metrics(
        max_abs=error,
        mean_abs=error / 10,
        scale_relative=error,
        cosine=1.0,
        snr_db=100.0,
        nan=nan,
        inf=0,
    )


def cell(
    errors: Mapping[str, float],
    *,
    version: str = "20250503",
    flags: str = "avx2",
    build: Mapping[str, str] | None = None,
    run: str = "default",
    options: Mapping[str, bool | int] | None = None,
    input_name: str = "short",
    verdict: Verdict = Verdict.DROP,
    reason: str = "",
    converter: str = "",
    alone: bool = True,
    machine: str = "",
) -> CellRecord:
    """A cell whose layers, one per type, have the given errors of their own."""
    layers = tuple(
        LayerRecord(
            index=index,
            name=f"{kind}_{index}",
            type=kind,
            blob=f"blob_{index}",
            value=f"blob_{index}",
            aligned="name",
            chain=metrics(error * 2),
            alone=metrics(error) if alone else None,
        )
        for index, (kind, error) in enumerate(errors.items())
    )
    build_id = f"{version}-{flags}"
    label = f"@{converter.replace(' ', '-')}" if converter else ""
    return CellRecord(
        cell=f"{build_id}/{run}{label}/{input_name}",
        model="test",
        version=version,
        flags=flags,
        run=run,
        input=input_name,
        converter=converter,
        verdict=verdict,
        reason=reason,
        options={**OPTIONS, **(options or {})},
        output=metrics(1e-3) if layers else None,
        layers=layers,
        build=BuildRecord(
            id=build_id, key="k", version=version, flags=flags, cmake_cache=dict(build or {})
        ),
        machine={"cpu": machine} if machine else {},
    )
