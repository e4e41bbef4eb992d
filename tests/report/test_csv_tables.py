from harness.domain.records import Verdict
from harness.report.csv_tables import layer_table, matrix_table
from tests.records import cell


def test_tables() -> None:
    records = [
        cell({"A": 1e-3, "B": 1e-6}),
        cell({}, run="bf16", verdict=Verdict.BROKEN, reason="SIGSEGV"),
    ]
    table = matrix_table(records)
    assert list(table["verdict"]) == ["drop", "broken"]
    assert table["worst_layer_type"][0] == "A"
    assert table["output_max_abs"][0] == 1e-3
    layers = layer_table(records)
    assert list(layers["alone_scale_relative"]) == [1e-3, 1e-6]
