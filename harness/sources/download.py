"""The one downloader: distributions from the user's package index, as data.

Nothing that a package contains is executed: archives are fetched, verified and kept, no more.
Which index, mirror, certificate and so on is pip's configuration to say: `pip_config.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import ssl
import tempfile
import time
from functools import cache as memoised
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

import httpx2
from filelock import FileLock
from packaging.tags import Tag, sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from unearth import HashMismatchError, Package, PackageFinder, UnpackError
from unearth.auth import MultiDomainBasicAuth

from harness.config.pinning import in_force
from harness.domain.versions import nearest
from harness.sources.index_client import IndexClient
from harness.sources.pip_config import PipConfig
from harness.util.codes import Code
from harness.util.errors import MachineError, ModelError, SourceError
from harness.util.files import (
    append_line,
    directory_atomically,
    disk_trouble_explained,
    sha256_of,
)
from harness.util.naming import file_name
from harness.util.reading import read_text
from harness.util.sealed import check_machine, is_file_with_hash, is_intact, set_aside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from unearth.fetchers import Fetcher

    from harness.config.lock_file import Kind, PinnedFile

logger = logging.getLogger(__name__)

_WORDS: dict[Kind, str] = {"wheel": "wheel", "sdist": "source distribution"}
_ATTEMPTS = 3
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    AssertionError,
    RecursionError,
)
"""What unearth raises for pages that are neither HTML nor JSON as an index sends them."""
STAMP = "sha256"
"""File beside a download with its hash and name, as `sha256sum --check` takes it."""
_T = TypeVar("_T")


@contextlib.contextmanager
def distribution(
    project: str,
    version: str,
    *,
    kind: Kind,
    cache: Path,
    session_log: Path | None = None,
) -> Iterator[Path]:
    """Yield the path of a distribution file, downloaded unless `cache` has it.

    The file agrees with the hash that the index states and with the one that a lock pins
    (`harness.config.pinning`); a cached file is verified again on every call. Of several wheels the
    one that suits this interpreter best is taken; `requires-python` is not looked at, since nothing
    is installed.

    It stays there until who asked has done with it: others who want the same file wait. One that
    turns out to be none (`SourceError` or `ModelError` while it is unpacked) is forgotten, so that
    the next run downloads another; what a lock pins is what it should be, and is kept.

    Args:
        project: name of the project, in any spelling.
        version: exact version.
        kind: which sort of file.
        cache: directory of finished downloads, shared by any number of processes.
        session_log: file that gets one line per download: URL and hash.

    Raises:
        SourceError: no such version or file, a hash does not match, or nothing is pinned and
            only what is pinned may be used.
        MachineError: no network, disk full.
        ConfigError: pip's configuration is unusable.
    """
    slot = cache / file_name(canonicalize_name(project)) / file_name(f"{version}-{kind}")
    with contextlib.ExitStack() as stack:
        with disk_trouble_explained(cache):
            slot.parent.mkdir(parents=True, exist_ok=True)
            # Where this user may only read there is nobody to keep off.
            if os.access(slot.parent, os.W_OK):
                stack.enter_context(FileLock(slot.with_name(f"{slot.name}.lock")))
            archive = _fetched(project, version, kind, slot, session_log)
        try:
            yield archive
        except (SourceError, ModelError):
            digest, _ = _stamp(slot)
            if not any(pin.sha256 == digest for pin in in_force().lock.files):
                set_aside(slot, "unusable", then="downloaded again by the next run")
            raise


def _fetched(project: str, version: str, kind: Kind, slot: Path, session_log: Path | None) -> Path:
    """Return the file in a slot, downloaded if need be, by who has the slot's lock."""
    pinning = in_force()
    pins = pinning.distribution(project, version, kind)
    cached = _cached(slot, pins)
    if cached is not None:
        pinning.allow(cached.name, pins)
        return cached
    with _finder(PipConfig.load()) as finder:
        package = _choose(finder, project, version, kind, pins)
        name = package.link.filename
        pinning.allow(name, pins)
        with directory_atomically(slot) as work:
            digest = _download(finder, package, work, pins.get(name))
    if session_log is not None:
        append_line(session_log, f"downloaded {package.link.redacted} sha256={digest}")
    if name not in pins:
        logger.warning("%s: SHA-256 is %s, which no lock has. %s", name, digest, pinning.remedy)
    return slot / name


def list_versions(project: str, kind: Kind) -> list[tuple[str, str, int | None]]:
    """Return every version that the index has as (version, file name, size), newest first.

    The size is in bytes, or None where the index does not tell; one entry per file.

    Raises:
        MachineError: no network.
        ConfigError: pip's configuration is unusable.
    """
    with _finder(PipConfig.load()) as finder:
        packages = _find_all(finder, project, kind)
    return [(package.version or "", package.link.filename, _size(package)) for package in packages]


def fetch_files(project: str, version: str, kind: Kind, folder: Path) -> list[Path]:
    """Download all files of one version, for whichever machine, into a folder and return them.

    They agree with the hashes that the index states, if it states any.

    Raises:
        SourceError: no such version, or a hash does not match.
        MachineError: no network, disk full.
        ConfigError: pip's configuration is unusable.
    """
    with _finder(PipConfig.load()) as finder:
        packages = _of_version(finder, project, version, kind)
        # An index and a mirror of it list the same file.
        for name, package in {each.link.filename: each for each in reversed(packages)}.items():
            with disk_trouble_explained(folder), directory_atomically(folder / name) as work:
                _download(finder, package, work, None)
    return sorted(path for path in folder.glob("*/*") if path.name == path.parent.name)


def _cached(slot: Path, pins: Mapping[str, PinnedFile]) -> Path | None:
    """Return the file in a finished slot, if it still is what was stored, and what is pinned."""
    if not is_intact(slot, _damage):
        return None
    digest, name = _stamp(slot)
    if name in pins and pins[name].sha256 != digest:
        set_aside(slot, f"SHA-256 of {name} is {digest}, and {pins[name].sha256} is pinned")
        return None
    return slot / name


def _stamp(slot: Path) -> tuple[str, str]:
    """Return hash and name of the file in a slot."""
    digest, _, name = read_text(slot / STAMP, limit=1 << 10, error=SourceError).partition("  ")
    return digest, name.rstrip("\n")


def _damage(slot: Path) -> str:
    """Return what is wrong with a finished slot; empty if nothing is."""
    try:
        digest, name = _stamp(slot)
    except SourceError as error:
        check_machine(slot, error.__cause__)
        return f"{STAMP} cannot be read"
    fits = is_file_with_hash(slot / name, digest) if Path(name).name == name else False
    return "" if fits else f"{name or STAMP}: not what was downloaded"


class _Complaints(logging.Handler):
    """Collects what unearth only logs: pages that could not be read."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    logger = logging.getLogger("unearth.collector")
    handler = _Complaints()
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield handler.lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


@contextlib.contextmanager
def _finder(config: PipConfig) -> Iterator[PackageFinder]:
    if config.no_index and not config.find_links:
        raise SourceError(
            "pip's configuration says no-index and names no find-links: there is nowhere to "
            "download from. Unset PIP_NO_INDEX or set PIP_FIND_LINKS."
        )
    with IndexClient(
        trusted_hosts=config.trusted_hosts,
        verify=_tls(config),
        timeout=config.timeout,
        follow_redirects=True,
        proxy=config.proxy or None,
    ) as session:
        finder = PackageFinder(
            cast("Fetcher", session),
            index_urls=[config.index_url] if config.index_url else [],
            ignore_compatibility=True,
        )
        # Without an index URL unearth has filled in the default one, as pip would.
        if config.no_index:
            finder.sources.clear()
        else:
            for url in config.extra_index_urls:
                finder.add_index_url(url)
        for place in config.find_links:
            # pip passes over a directory that is not there; unearth would give up.
            if "://" in place or Path(place).exists():
                finder.add_find_links(place)
        indexes = [source["url"] for source in finder.sources if source["type"] == "index"]
        session.auth = MultiDomainBasicAuth(prompting=False, index_urls=indexes)
        yield finder


def _tls(config: PipConfig) -> ssl.SSLContext | bool:
    if not (config.cert or config.client_cert):
        return True
    try:
        is_directory = Path(config.cert).is_dir()
        context = ssl.create_default_context(
            cafile=config.cert if config.cert and not is_directory else None,
            capath=config.cert if config.cert and is_directory else None,
        )
        if config.client_cert:
            context.load_cert_chain(config.client_cert)
    except OSError as error:
        raise MachineError(
            f"{config.cert or config.client_cert}: pip's certificate setting is unusable "
            f"({error.strerror or error}). Correct `cert` or `client-cert`.",
            code=Code.NO_NETWORK,
        ) from error
    return context


def _with_retries(what: str, action: Callable[[], _T]) -> _T:
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return action()
        except httpx2.TransportError as error:
            if attempt == _ATTEMPTS:
                raise MachineError(
                    f"{what}: the package index cannot be reached ({error}). Check the network, "
                    "or pip's index-url, proxy and cert settings.",
                    code=Code.NO_NETWORK,
                ) from error
            time.sleep(0.3 * attempt)
        except (httpx2.HTTPError, httpx2.InvalidURL, *_UNREADABLE) as error:
            why = "not a page of an index" if isinstance(error, _UNREADABLE) else error
            raise SourceError(
                f"{what}: the package index gave an unusable answer ({why}). Check pip's "
                "index-url.",
                code=Code.STRANGE_INDEX,
            ) from error
    raise AssertionError("unreachable")


def _find_all(finder: PackageFinder, project: str, kind: Kind) -> list[Package]:
    """Return all files of one kind, newest first; SourceError if there is none."""
    with _complaints() as lines:
        packages = [
            package
            for package in _with_retries(
                project, lambda: list(finder.find_all_packages(project, allow_yanked=True))
            )
            if package.link.is_wheel == (kind == "wheel")
        ]
    if not packages:
        reason = f" ({'; '.join(lines)})" if lines else ""
        raise SourceError(
            f"{project}: the package index has no {_WORDS[kind]} of it{reason}. Check the name "
            "and pip's index-url, extra-index-url and find-links.",
            code=Code.NO_SUCH_VERSION,
        )
    return packages


def _of_version(finder: PackageFinder, project: str, version: str, kind: Kind) -> list[Package]:
    """Return all files of one version; SourceError if there is none."""
    packages = _find_all(finder, project, kind)
    same = [package for package in packages if _same_version(package.version, version)]
    if not same:
        known = list(dict.fromkeys(package.version or "" for package in packages))
        raise SourceError(
            f"{project} {version}: the package index has no such {_WORDS[kind]}. Nearest: "
            f"{', '.join(nearest(version, known))}.",
            code=Code.NO_SUCH_VERSION,
        )
    return same


def _choose(
    finder: PackageFinder, project: str, version: str, kind: Kind, pins: Mapping[str, PinnedFile]
) -> Package:
    same = _of_version(finder, project, version, kind)
    usable = [package for package in same if kind == "sdist" or _suits(package)]
    if not usable:
        raise SourceError(
            f"{project} {version}: no wheel for this platform among "
            f"{len(same)} ({same[0].link.filename}, …). Use another version or machine.",
            code=Code.NO_SUCH_VERSION,
        )
    # Files that are pinned come first; of several places that have one, those that may be right.
    pinned = [package for package in usable if package.link.filename in pins]
    for package in pinned:
        stated = (package.link.hash_option or {}).get("sha256")
        if stated is None or pins[package.link.filename].sha256 in stated:
            return package
    if pinned:
        link = pinned[0].link
        stated = (link.hash_option or {})["sha256"]
        raise SourceError(
            f"{link.redacted}: the index states SHA-256 {', '.join(stated)}, and "
            f"{pins[link.filename].sha256} is pinned. {_other_content()}",
            code=Code.OTHER_CONTENT,
        )
    return usable[0]


def _download(finder: PackageFinder, package: Package, work: Path, pin: PinnedFile | None) -> str:
    """Put the file and a stamp with its hash into `work`, and return the hash."""
    link = package.link
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        try:
            got = _with_retries(link.redacted, lambda: finder.download(link, scratch))
        except HashMismatchError as error:
            raise SourceError(
                f"{link.redacted}: the file does not have the hash that the index states. Run "
                "again; if it stays so, the index or a proxy is at fault.",
                code=Code.STRANGE_INDEX,
            ) from error
        except UnpackError as error:
            raise SourceError(
                f"{link.redacted}: {error}. Run again later.", code=Code.STRANGE_INDEX
            ) from error
        except FileNotFoundError as error:
            raise SourceError(
                f"{link.redacted}: the index lists this file, but it is not there. Check pip's "
                "find-links and extra-index-url.",
                code=Code.STRANGE_INDEX,
            ) from error
        digest = sha256_of(got)
        if pin is not None and digest != pin.sha256:
            size = got.stat().st_size
            raise SourceError(
                f"{link.redacted}: SHA-256 is {digest} ({size} bytes), and {pin.sha256} "
                f"({pin.size} bytes) is pinned. {_other_content()}",
                code=Code.OTHER_CONTENT,
            )
        # A local file is where the user keeps it, and must stay there.
        shutil.copyfile(got, work / link.filename)
    (work / STAMP).write_text(f"{digest}  {link.filename}\n", encoding="utf-8")
    return digest


def _other_content() -> str:
    return (
        "The file was replaced or is truncated: check pip's index-url and find-links. Where it is "
        f"meant to be another one, `{in_force().command} --update` pins what is there now."
    )


def _same_version(one: str | None, other: str) -> bool:
    try:
        return one is not None and Version(one) == Version(other)
    except InvalidVersion:
        return one == other


@memoised
def _tags() -> frozenset[Tag]:
    return frozenset(sys_tags())


def _suits(package: Package) -> bool:
    return not _tags().isdisjoint(parse_wheel_filename(package.link.filename)[-1])


def _size(package: Package) -> int | None:
    link = package.link
    return link.file_path.stat().st_size if link.is_file and link.file_path.is_file() else None
