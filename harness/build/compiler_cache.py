"""The compiler cache: object files found again across versions, commits and flag sets.

Every build compiles at the same path (`Store.slot`), so that a file whose text and flags are
unchanged is the same compilation, whichever version of ncnn it belongs to.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import socket
import sysconfig
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from harness.util.process import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IDLE_SECONDS = 120
"""After this time without work, sccache's server ends by itself.

Nobody stops it: another process may be compiling with it.
"""
START_SECONDS = 30.0
_FATAL = "sccache: encountered fatal error"

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class CompilerCache:
    """A program that is put in front of the compiler, and how it is told where to keep what."""

    program: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    address: str = ""
    """Where its server listens, if it has one."""

    def start(self) -> bool:
        """Start its server, if it has one, or keep it from ending; return whether it can be used.

        Two compilers that start at the same time would each start one, and so would an explicit
        `--start-server`, which takes over the socket of a server that runs.
        """
        if not self.address:
            return True
        with FileLock(f"{self.address}.lock"):
            verb = "--show-stats" if _listens(self.address) else "--start-server"
            return capture([self.program, verb], timeout=START_SECONDS, env=self.environment).ok


def _listens(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(address)
        except OSError:
            return False
        return True


def find_compiler_cache(folder: Path, *, gib: float) -> CompilerCache | None:
    """Return the compiler cache at hand: ccache where it is installed, else sccache, else None.

    Args:
        folder: where it keeps object files.
        gib: how much it keeps, in GiB.
    """
    makers: tuple[tuple[str, Callable[[Path, Path, float], CompilerCache]], ...] = (
        ("ccache", _ccache),
        ("sccache", _sccache),
    )
    for name, make in makers:
        program = _program(name)
        if program:
            return make(program, folder / name, gib)
    return None


def forget_damaged(folder: Path, output: str) -> bool:
    """Remove what sccache could not read, if a build failed for that; return whether it did.

    It checks object files by their hash and compiles again what is damaged. Its notes of which
    headers a file includes have no hash, and one that it cannot read ends the compilation.

    Args:
        folder: where caches keep their files.
        output: what the build printed.
    """
    notes = folder / "sccache" / "preprocessor"
    if not (_FATAL in output and notes.is_dir()):
        return False
    shutil.rmtree(notes, ignore_errors=True)
    logger.warning("%s: damaged (sccache cannot read it): removed, made again", notes)
    return True


def _program(name: str) -> Path | None:
    # What was installed with the harness counts too when its environment is not activated.
    places = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=places)
    return Path(found) if found else None


def _ccache(program: Path, folder: Path, gib: float) -> CompilerCache:
    environment = {
        "CCACHE_DIR": str(folder),
        "CCACHE_MAXSIZE": f"{gib:.1f}G",
        # The dependencies that the compiler reports are enough: no file is preprocessed apart.
        "CCACHE_DEPEND": "1",
        # What a precompiled header needs; ncnn uses neither __DATE__ nor __TIME__.
        "CCACHE_SLOPPINESS": "pch_defines,time_macros",
    }
    return CompilerCache(program=program, environment=environment)


def _sccache(program: Path, folder: Path, gib: float) -> CompilerCache:
    # One server per cache. The name of a socket must be short, that of the store need not be.
    name = hashlib.sha256(f"{os.getuid()} {folder}".encode()).hexdigest()[:16]
    address = str(Path(tempfile.gettempdir()) / f"ncnn-build-{name}.sock")
    environment = {
        "SCCACHE_DIR": str(folder),
        "SCCACHE_CACHE_SIZE": f"{max(round(gib * 1024), 1)}M",
        "SCCACHE_DIRECT": "true",
        "SCCACHE_IDLE_TIMEOUT": str(IDLE_SECONDS),
        "SCCACHE_SERVER_UDS": address,
        # Without its server it compiles, and only loses time.
        "SCCACHE_IGNORE_SERVER_IO_ERROR": "1",
    }
    return CompilerCache(program=program, environment=environment, address=address)
