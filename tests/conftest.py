"""Settings for all tests."""

import shutil
import signal

import pytest
from hypothesis import settings

# Loaded machines are slow, and no test may depend on timing.
settings.register_profile("default", deadline=None)
settings.load_profile("default")


# What this process ignores, its children do as well: shells let background jobs ignore SIGINT, and
# nohup SIGHUP.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("native") and not shutil.which("c++"):
        pytest.skip("no C++ compiler: apt-get install g++")
