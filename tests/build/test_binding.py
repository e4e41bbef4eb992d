from pathlib import Path

import pytest

from harness.build.binding import build_binding
from harness.build.toolchain import Compiler
from harness.util.build_store import Store
from harness.util.errors import MachineError


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("ld: final link failed: No space left on device", "Free disk"),
        ("x.cpp:1: error: what is this", "does not compile: .*what is this"),
    ],
)
def test_a_full_disk_is_no_fault_of_the_compiler(tmp_path: Path, said: str, told: str) -> None:
    compiler = tmp_path / "c++"
    compiler.write_text(
        f'#!/bin/sh\ntest "$TMPDIR" != {tmp_path} || exit 9\necho "{said}"; exit 1\n'
    )
    compiler.chmod(0o755)
    with pytest.raises(MachineError, match=told):
        build_binding(Store(root=tmp_path / "store"), Compiler(path=compiler, version="1"))
