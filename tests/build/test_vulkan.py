from pathlib import Path

import pytest

from harness.build.glslang import shareable
from harness.build.toolchain import Compiler
from harness.build.vulkan import check_sdk
from harness.sources import SourceTree
from harness.util.errors import MachineError


def tree(folder: Path, text: str) -> SourceTree:
    (folder / "CMakeLists.txt").write_text(text)
    return SourceTree(path=folder, digest="", description="")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("option(NCNN_SYSTEM_GLSLANG x)\nfind_package(glslang QUIET)\n", True),
        ("option(NCNN_SYSTEM_GLSLANG x)\ninclude(${GLSLANG_TARGET_DIR}/x.cmake)\n", False),
        ("project(ncnn)\n", False),
    ],
)
def test_versions_that_take_a_glslang_from_outside(tmp_path: Path, text: str, answer: bool) -> None:
    assert shareable(tree(tmp_path, text)) == answer


def test_version_with_its_own_headers_needs_no_sdk(tmp_path: Path) -> None:
    no_compiler = Compiler(path=Path("/nonexistent"), version="")
    check_sdk(tree(tmp_path, "option(NCNN_SIMPLEVK)\n").path, no_compiler)


@pytest.mark.parametrize("has_header", [True, False])
def test_older_version_asks_the_compiler_for_headers(tmp_path: Path, has_header: bool) -> None:
    script = tmp_path / "c++"
    script.write_text(f"#!/bin/sh\nexit {int(not has_header)}\n")
    script.chmod(0o755)
    source = tree(tmp_path, "project(ncnn)\n")
    if has_header:
        check_sdk(source.path, Compiler(path=script, version=""))
        return
    with pytest.raises(MachineError, match="apt-get install libvulkan-dev"):
        check_sdk(source.path, Compiler(path=script, version=""))
