"""Tiny distributions in a local directory, which pip's configuration is made to lead to."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.config.lock_file import Lock

NCNN = {
    "CMakeLists.txt": "project(ncnn)\n",
    "cmake/ncnn_add_layer.cmake": "# macro\n",
    "src/CMakeLists.txt": "ncnn_add_layer(InnerProduct)\n",
    "src/layer/innerproduct.cpp": "int innerproduct;\n",
    "src/net.cpp": "int net;\n",
}
"""The least that looks like the source of ncnn."""


def use_find_links(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let pip's configuration name nothing but this directory, with files that no lock knows."""
    monkeypatch.setattr("harness.config.pinning.builtin_lock", Lock)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))


def make_sdist(
    folder: Path,
    version: str,
    files: Mapping[str, str],
    *,
    raw: Sequence[tarfile.TarInfo] = (),
    project: str = "ncnn",
) -> Path:
    """Write a source distribution; `raw` members are added as they are."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{project}-{version}.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{project}-{version}/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        for member in raw:
            tar.addfile(member, io.BytesIO(b"x" * member.size))
    return path
