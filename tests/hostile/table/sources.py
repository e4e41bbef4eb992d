"""Where the source of ncnn comes from: archives of an index, git repositories, folders."""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

from tests.hostile.case import MACHINE, USAGE, Hostile
from tests.hostile.making import CONFIG, MATRIX_RUN, MODEL, at, files, link, then
from tests.local_index import NCNN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hostile.making import Make

VERSION = "20990101"
"""No lock has a hash of it."""
NAME = f"ncnn-1.0.{VERSION}"
SDIST = f"{NAME}.tar.gz"
INDEX = {"PIP_FIND_LINKS": "{here}/index"}
REFUSED = MACHINE | USAGE


def _case(
    kind: str, name: str, make: Make, *names: str, config: str = "", env: bool = False
) -> Hostile:
    text = CONFIG.replace("20250503", VERSION) if env else CONFIG
    return Hostile(
        id=f"{kind.replace(' ', '-')}/{name}",
        kind=kind,
        words=MATRIX_RUN,
        make=then(at(c__toml=MODEL + text + config), make),
        shown=f"{name} {config}".strip(),
        names=names,
        ends=REFUSED,
        env=INDEX if env else {},
        seconds=120.0,
    )


def _member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> bytes:
    """Return the head of a member; nothing follows it, whatever size it tells."""
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, target, size
    return member.tobuf(tarfile.PAX_FORMAT)


def _whole(*more: bytes) -> bytes:
    """Return a tar archive that looks like ncnn's source, but for the C++ in it."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, text in NCNN.items():
            member = tarfile.TarInfo(f"{NAME}/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    body = stream.getvalue().rstrip(b"\0")
    body += bytes(-len(body) % 512)
    return body + b"".join(more) + bytes(1024)


def _archive(
    name: str, data: bytes | Callable[[], bytes], *names: str, harmless: bool = False
) -> Hostile:
    """Return a case; what is harmless may be taken, so that there is nothing to name."""

    def make(folder: Path) -> None:
        (folder / "index").mkdir()
        content = data() if callable(data) else data
        (folder / "index" / SDIST).write_bytes(content)

    named = () if harmless else names or ("ncnn",)
    return _case("archive", name, make, *named, env=True)


def _with(
    name: str, *members: bytes, names: tuple[str, ...] = (), harmless: bool = False
) -> Hostile:
    return _archive(name, gzip.compress(_whole(*members)), *names, harmless=harmless)


SRC = f"{NAME}/src"
_ARCHIVES = (
    _archive("empty", b""),
    _archive("text", b"no archive"),
    _archive("gzip-of-nothing", gzip.compress(b"")),
    _archive("gzip-of-text", gzip.compress(b"no archive" * 100)),
    _archive("cut", gzip.compress(_whole())[:-20]),
    # No bytes of any file are affected.
    _archive("checksum", gzip.compress(_whole())[:-8] + bytes(8), harmless=True),
    _archive("nothing-inside", gzip.compress(bytes(1024))),
    _with("up", _member(f"{SRC}/../../../pwned"), names=("pwned|outside",)),
    _with("up-backslash", _member(f"{SRC}/..\\..\\pwned"), harmless=True),
    _with("absolute", _member("/tmp/pwned")),
    _with("link-up", _member(f"{SRC}/l", tarfile.SYMTYPE, "/etc")),
    _with(
        "through-a-link",
        _member(f"{SRC}/l", tarfile.SYMTYPE, "../../../.."),
        _member(f"{SRC}/l/pwned"),
    ),
    _with("hard-link", _member(f"{SRC}/h", tarfile.LNKTYPE, "/etc/passwd")),
    _with("device", _member(f"{SRC}/null", tarfile.CHRTYPE)),
    _with("pipe", _member(f"{SRC}/p", tarfile.FIFOTYPE)),
    _with("nul", _member(f"{SRC}/a\0b"), harmless=True),
    _with("long-name", _member(f"{SRC}/" + "n" * 5000), names=("nnn",)),
    _with("deep", _member(f"{SRC}/" + "d/" * 1500 + "f"), names=("d/d",)),
    _with("file-and-folder", _member(f"{SRC}/a"), _member(f"{SRC}/a/b"), harmless=True),
    _archive(
        "bomb",
        lambda: gzip.compress(_whole(_member(f"{SRC}/b", size=3 << 30)) + bytes(1 << 26), 9),
    ),
)


def _git(*more: Callable[[Path], object]) -> Make:
    """Return what makes a repository without any commit, and changes it."""

    def make(folder: Path) -> None:
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(folder)}
        subprocess.run(
            ["git", "init", "-q", "-b", "main", "repo"], cwd=folder, env=environment, check=True
        )
        for each in more:
            each(folder / "repo")

    return make


def _tree(*entries: tuple[str, str, str]) -> Callable[[Path], None]:
    """Return what commits a tree of (mode, name, content), however wrong, as main."""

    def make(repo: Path) -> None:
        def git(*words: str, given: bytes = b"") -> str:
            done = subprocess.run(
                ["git", "-c", "user.name=x", "-c", "user.email=x@x", *words],
                cwd=repo,
                input=given,
                capture_output=True,
                check=True,
            )
            return done.stdout.decode().strip()

        lines = b""
        for mode, name, content in entries:
            sha = git("hash-object", "-w", "--stdin", given=content.encode())
            lines += f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha)
        tree = git("hash-object", "-w", "-t", "tree", "--literally", "--stdin", given=lines)
        commit = git("commit-tree", "-m", "x", tree)
        git("update-ref", "refs/heads/main", commit)

    return make


def _wrote(name: str, text: str) -> Callable[[Path], object]:
    return lambda repo: (repo / ".git" / name).write_text(text)


ALIEN = '[source]\ngit = "repo"\n[sources.20250503]\ngit = "repo"\nrevision = "main"\n'
_PLAIN = _tree(("100644", "CMakeLists.txt", "x"))
_HOOK = "#!/bin/sh\ntouch builds/pwned\n"
_REPOSITORIES = tuple(
    _case("git", name, make, *names, config=config)
    for name, make, config, *names in (
        ("no-commits", _git(), ALIEN, "repo"),
        ("nothing-of-ncnn", _git(_PLAIN), ALIEN),
        ("head-to-nowhere", _git(_PLAIN, _wrote("HEAD", "ref: ../../../etc/passwd")), ALIEN),
        ("head-empty", _git(_PLAIN, _wrote("HEAD", "")), ALIEN),
        ("ref-nonsense", _git(_wrote("refs/heads/main", "zzz\n")), ALIEN),
        ("ref-zero", _git(_wrote("refs/heads/main", "0" * 40 + "\n")), ALIEN),
        ("config-broken", _git(_PLAIN, _wrote("config", "[[[")), ALIEN),
        (
            "config-monitor",
            _git(_PLAIN, _wrote("config", "[core]\nfsmonitor=touch pwned\n")),
            ALIEN,
        ),
        ("config-pager", _git(_PLAIN, _wrote("config", "[core]\npager=touch pwned\n")), ALIEN),
        ("hook", _git(_PLAIN, _wrote("hooks/post-checkout", _HOOK)), ALIEN),
        ("alternates-zero", _git(_PLAIN, _wrote("objects/info/alternates", "/dev/zero\n")), ALIEN),
        ("gitdir-file", files(repo_IN___git="gitdir: /etc\n"), ALIEN),
        ("gitdir-itself", files(repo_IN___git="gitdir: .git\n"), ALIEN),
        ("link", link("repo", "repo"), ALIEN),
        ("home-of-nobody", files(), ALIEN.replace("repo", "~nobody-at-all/x")),
        ("tree-up", _git(_tree(("100644", "..", "x"))), ALIEN),
        ("tree-dot-git", _git(_tree(("100644", ".git", "x"))), ALIEN),
        ("tree-slash", _git(_tree(("100644", "src/../../x", "x"))), ALIEN),
        ("tree-link", _git(_tree(("120000", "CMakeLists.txt", "/etc/passwd"))), ALIEN),
        ("tree-submodule", _git(_tree(("160000", "src", "x"))), ALIEN),
        ("tree-mode", _git(_tree(("777777", "src", "x"))), ALIEN),
        ("tree-twice", _git(_tree(("100644", "src", "x"), ("40000", "src", "x"))), ALIEN),
        ("revision-range", _git(_PLAIN), ALIEN.replace('"main"', '"main..main"')),
        ("revision-file", _git(_PLAIN), ALIEN.replace('"main"', '"main:CMakeLists.txt"')),
        ("revision-digits", _git(_PLAIN), ALIEN.replace('"main"', f'"main~{"9" * 5000}"')),
        ("revision-search", _git(_PLAIN), ALIEN.replace('"main"', '":/x"')),
        ("revision-newline", _git(_PLAIN), ALIEN.replace('"main"', '"main\\nx"')),
        ("revision-brace", _git(_PLAIN), ALIEN.replace('"main"', '"main@{999999999999999999999}"')),
    )
)
_REMOTES = tuple(
    _case("git", f"remote/{name}", files(), config=f"[source]\ngit = '''{url}'''\n")
    for name, url in (
        ("ext", "ext::sh -c touch% builds/pwned"),
        ("fd", "fd::0"),
        ("option", "--upload-pack=touch builds/pwned"),
        ("ssh-option", "ssh://-oProxyCommand=touch%20pwned/x"),
        ("scp-option", "-oProxyCommand=touch:x"),
        ("unknown-scheme", "evil://x/y"),
        ("no-host", "https:///x"),
        ("closed", "http://127.0.0.1:1/x.git"),
        ("port", "http://127.0.0.1:99999/x.git"),
        ("file-absent", "file:///nowhere/x"),
        ("file-passwd", "file:///etc/passwd"),
        ("password", "http://user:secret@127.0.0.1:1/x.git"),
    )
)
_FOLDERS = tuple(
    _case("source folder", name, make, config=f'[source]\ndirectory = "{path}"\n')
    for name, path, make in (
        ("absent", "nowhere", files()),
        ("file", "c.toml", files()),
        ("null", "/dev/null", files()),
        ("proc", "/proc/self", files()),
        ("empty", "tree", lambda folder: (folder / "tree").mkdir()),
        ("circle", "tree", link("tree", "tree")),
        ("circle-inside", "tree", then(files(tree_IN_CMakeLists__txt="x"), link("tree/src", "."))),
        (
            "not-utf-8",
            "tree",
            files(
                tree_IN_CMakeLists__txt=b"\xff",
                tree_IN_src_IN_CMakeLists__txt=b"\xff",
                tree_IN_src_IN_layer_IN_a__cpp=b"\xff",
            ),
        ),
    )
)

CASES = (*_ARCHIVES, *_REPOSITORIES, *_REMOTES, *_FOLDERS)
