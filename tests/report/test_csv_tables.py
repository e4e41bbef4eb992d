from io import StringIO

import pandas as pd

from harness.domain.records import Verdict
from harness.report.csv_tables import layers_csv, matrix_table
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
    layers = pd.read_csv(StringIO(layers_csv(records)))
    assert list(layers["name"]) == ["A_0", "B_1"]
    assert list(layers["alone_scale_relative"]) == [1e-3, 1e-6]
