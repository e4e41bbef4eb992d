"""Settings for all tests."""

import shutil

import pytest
from hypothesis import settings

# Loaded machines are slow, and no test may depend on timing.
settings.register_profile("default", deadline=None)
settings.load_profile("default")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("native") and not shutil.which("c++"):
        pytest.skip("no C++ compiler: apt-get install g++")
