"""The core that misbehaves, compiled once."""

import subprocess
from pathlib import Path

import pytest

from harness.build.plan import NATIVE
from harness.build.toolchain import find_compiler
from harness.util.build_store import Store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(root=tmp_path_factory.mktemp("builds"))


@pytest.fixture(scope="session")
def core(store: Store) -> Path:
    path = store.root / "fake_core.so"
    source = Path(__file__).with_name("fake_core.cpp")
    command: list[str | Path] = [
        find_compiler("").path,
        "-shared",
        "-fPIC",
        f"-I{NATIVE}",
        source,
        "-o",
        path,
    ]
    subprocess.run(command, check=True)
    return path
