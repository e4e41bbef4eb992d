"""Three workers with processes of their own."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import dask.config
import pytest
from distributed import LocalCluster

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def _three_workers() -> Iterator[LocalCluster]:
    # It would do without workers that are killed again and again.
    patience = {"distributed.deploy.lost-worker-timeout": "10 minutes"}
    with (
        dask.config.set(patience),
        LocalCluster(
            n_workers=3, threads_per_worker=1, dashboard_address=":0", silence_logs=100
        ) as made,
    ):
        yield made


@pytest.fixture
def local() -> Iterator[LocalCluster]:
    with _three_workers() as made:
        yield made


@pytest.fixture(scope="module")
def shared() -> Iterator[LocalCluster]:
    """The same for all tests of a module, which may kill workers: others begin in their place."""
    with _three_workers() as made:
        yield made
