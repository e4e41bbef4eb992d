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


def compiled(path: Path, *flags: str, source: str = "fake_core.cpp") -> Path:
    """Compile a core that misbehaves."""
    command: list[str | Path] = [
        find_compiler("").path,
        "-shared",
        "-fPIC",
        *flags,
        f"-I{NATIVE}",
        Path(__file__).with_name(source),
    ]
    subprocess.run([*command, "-o", path], check=True)
    return path


@pytest.fixture(scope="session")
def core(store: Store) -> Path:
    return compiled(store.root / "fake_core.so")


@pytest.fixture(scope="session")
def case_core(store: Store) -> Path:
    return compiled(store.root / "fake_case_core.so", source="fake_case_core.cpp")
