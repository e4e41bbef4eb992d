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


def compiled(path: Path, *flags: str) -> Path:
    """Compile the core that misbehaves."""
    source = Path(__file__).with_name("fake_core.cpp")
    command: list[str | Path] = [
        find_compiler("").path,
        "-shared",
        "-fPIC",
        *flags,
        f"-I{NATIVE}",
        source,
    ]
    subprocess.run([*command, "-o", path], check=True)
    return path


@pytest.fixture(scope="session")
def core(store: Store) -> Path:
    return compiled(store.root / "fake_core.so")
