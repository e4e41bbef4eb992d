"""What a Vulkan build needs on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.build.packages import INSTALL, VULKAN_HEADERS
from harness.build.toolchain import ANSWER_SECONDS, Compiler
from harness.sources.tree import source_text
from harness.util.codes import Code
from harness.util.errors import MachineError
from harness.util.process import capture

if TYPE_CHECKING:
    from pathlib import Path

HEADERS_REMEDY = f"{INSTALL} {VULKAN_HEADERS}"
HEADER = b"#include <vulkan/vulkan.h>\n"


def check_sdk(tree: Path, compiler: Compiler) -> None:
    """Make sure that a version of ncnn finds the headers of Vulkan.

    Versions with `NCNN_SIMPLEVK` (since 2023-11) bring their own.

    Raises:
        MachineError: the headers are missing; the message says how to install them.
    """
    if "NCNN_SIMPLEVK" in source_text(tree / "CMakeLists.txt"):
        return
    if not has_headers(compiler):
        raise MachineError(
            f"versions of ncnn before 2023-11 need the headers of Vulkan: {HEADERS_REMEDY}",
            code=Code.VULKAN,
        )


def has_headers(compiler: Compiler) -> bool:
    """Return whether a compiler finds the headers of Vulkan."""
    command = [str(compiler.path), "-E", "-x", "c++", "-"]
    return capture(command, timeout=ANSWER_SECONDS, stdin=HEADER).ok
