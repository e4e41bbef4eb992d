"""Three workers with processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask.config
import pytest
from distributed import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def local() -> Iterator[LocalCluster]:
    # It would do without workers that are killed again and again.
    patience = {"distributed.deploy.lost-worker-timeout": "10 minutes"}
    with (
        dask.config.set(patience),
        LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=":0", silence_logs=100
        ) as made,
    ):
        yield made
