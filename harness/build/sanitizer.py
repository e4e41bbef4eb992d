"""What a build with AddressSanitizer needs of this machine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from harness.build.toolchain import ANSWER_SECONDS
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.process import capture

if TYPE_CHECKING:
    from harness.build.toolchain import Compiler


def asan_library(compiler: Compiler) -> Path:
    """Return the library that a process must load before all others.

    Raises:
        MachineError: the compiler has none, or is not GCC.
    """
    if "clang" in compiler.version:
        raise MachineError(
            f"{compiler.path}: its AddressSanitizer cannot be loaded into Python here. Use GCC for "
            'this flag set: compiler = "g++"',
            code=Code.SANITIZER,
        )
    command = (compiler.path, "-print-file-name=libasan.so")
    found = Path(capture(command, timeout=ANSWER_SECONDS).text.strip())
    if found.is_absolute() and found.exists():
        return found.resolve()
    major = re.search(r" (\d+)\.\d+", compiler.version)
    raise MachineError(
        f"{compiler.path} has no libasan. Install it, on Debian or Ubuntu with: "
        f"apt-get install libgcc-{major[1] if major else 'VERSION'}-dev",
        code=Code.SANITIZER,
    )
