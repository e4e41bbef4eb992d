from pathlib import Path

import pytest

from harness.build import compiler_cache as compilercache
from harness.build.compiler_cache import CompilerCache, find_compiler_cache, forget_damaged


@pytest.mark.parametrize(
    ("installed", "chosen", "size"),
    [
        (("ccache", "sccache"), "ccache", ("CCACHE_MAXSIZE", "1.5G")),
        (("sccache",), "sccache", ("SCCACHE_CACHE_SIZE", "1536M")),
    ],
)
def test_choice(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    installed: tuple[str, ...],
    chosen: str,
    size: tuple[str, str],
) -> None:
    for name in installed:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", "")
    cache = find_compiler_cache(tmp_path / "objects", gib=1.5)
    assert cache is not None
    assert cache.program == tmp_path / chosen
    assert cache.environment[f"{chosen.upper()}_DIR"] == str(tmp_path / "objects" / chosen)
    assert cache.environment[size[0]] == size[1]


def test_none_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    monkeypatch.setenv("PATH", "")
    assert find_compiler_cache(tmp_path, gib=1) is None


@pytest.mark.parametrize(("code", "usable"), [(0, True), (2, False)])
def test_a_server_that_does_not_start(tmp_path: Path, code: int, usable: bool) -> None:
    program = tmp_path / "sccache"
    program.write_text(f"#!/bin/sh\nexit {code}\n")
    program.chmod(0o755)
    address = str(tmp_path / "socket")
    assert CompilerCache(program=program, address=address).start() is usable


def test_socket_is_short_and_of_this_store(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 200)
    sockets = {
        compilercache._sccache(Path("sccache"), folder, 1).environment["SCCACHE_SERVER_UDS"]
        for folder in (deep, tmp_path)
    }
    assert len(sockets) == 2
    assert all(len(socket) < 100 for socket in sockets)


@pytest.mark.parametrize(
    ("output", "removed"),
    [
        ("sccache: encountered fatal error\nsccache: error: io error: unexpected end\n", True),
        ("a.cpp:1:1: error: sccache\n", False),
    ],
)
def test_what_sccache_cannot_read_is_removed(tmp_path: Path, output: str, removed: bool) -> None:
    notes = tmp_path / "sccache" / "preprocessor"
    notes.mkdir(parents=True)
    assert forget_damaged(tmp_path, output) is removed
    assert notes.exists() is not removed
    assert not forget_damaged(tmp_path / "none", output)
