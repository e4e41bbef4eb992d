"""The one downloader: distributions from the user's package index, as data.

Nothing that a package contains is executed: archives are fetched, verified and kept, no more.
Which index, mirror, certificate and so on is pip's configuration to say: `pip_config.py`.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import ssl
import tempfile
import time
from datetime import date
from difflib import get_close_matches
from functools import cache as memoised
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import httpx2
from filelock import FileLock
from packaging.tags import Tag, sys_tags
from packaging.utils import canonicalize_name, parse_wheel_filename
from packaging.version import InvalidVersion, Version
from unearth import HashMismatchError, Package, PackageFinder, UnpackError
from unearth.auth import MultiDomainBasicAuth
from unearth.fetchers import Fetcher, PyPIClient

from harness.sources.pip_config import PipConfig
from harness.util.errors import MachineError, SourceError
from harness.util.files import (
    append_line,
    directory_atomically,
    disk_trouble_explained,
    sha256_of,
)
from harness.util.naming import file_name
from harness.util.reading import read_text
from harness.util.sealed import check_machine, is_file_with_hash, is_intact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Kind = Literal["wheel", "sdist"]
_WORDS: dict[Kind, str] = {"wheel": "wheel", "sdist": "source distribution"}
_ATTEMPTS = 3
STAMP = "sha256"
"""File beside a download with its hash and name, as `sha256sum --check` takes it."""
_T = TypeVar("_T")


def fetch_distribution(
    project: str,
    version: str,
    *,
    kind: Kind,
    cache: Path,
    sha256: str | None = None,
    session_log: Path | None = None,
) -> Path:
    """Return the path of a distribution file, downloaded unless `cache` has it.

    The file agrees with the hash that the index states and, if given, with `sha256`; a cached
    file is verified again on every call. Of several wheels the one that suits this interpreter
    best is taken; `requires-python` is not looked at, since nothing is installed.

    Args:
        project: name of the project, in any spelling.
        version: exact version.
        kind: which sort of file.
        cache: directory of finished downloads, shared by any number of processes.
        sha256: the pinned hash in hexadecimal.
        session_log: file that gets one line per download: URL and hash.

    Raises:
        SourceError: no such version or file, or a hash does not match.
        MachineError: no network, disk full.
        ConfigError: pip's configuration is unusable.
    """
    key = f"{version}-{kind}" + (f"-{sha256[:16]}" if sha256 else "")
    slot = cache / file_name(canonicalize_name(project)) / file_name(key)
    cached = _cached(slot)
    if cached is not None:
        return cached
    with disk_trouble_explained(cache):
        slot.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(slot.with_name(f"{slot.name}.lock")):
            cached = _cached(slot)
            if cached is not None:
                return cached
            with _finder(PipConfig.load()) as finder:
                package = _choose(finder, project, version, kind, sha256)
                with directory_atomically(slot) as work:
                    _download(finder, package, work, sha256)
    fetched = slot / package.link.filename
    if session_log is not None:
        append_line(session_log, f"downloaded {package.link.redacted} sha256={sha256_of(fetched)}")
    return fetched


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


def _cached(slot: Path) -> Path | None:
    """Return the file in a finished slot, if it still is what was stored."""
    return slot / _stamp(slot)[1] if is_intact(slot, _damage) else None


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
    return "" if fits else f"{name}: not what was downloaded"


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
    with PyPIClient(
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
            f"({error.strerror or error}). Correct `cert` or `client-cert`."
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
                    "or pip's index-url, proxy and cert settings."
                ) from error
            time.sleep(0.3 * attempt)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise SourceError(
                f"{what}: the package index gave an unusable answer ({error}). Check pip's "
                "index-url."
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
            "and pip's index-url, extra-index-url and find-links."
        )
    return packages


def _choose(
    finder: PackageFinder, project: str, version: str, kind: Kind, sha256: str | None
) -> Package:
    packages = _find_all(finder, project, kind)
    same = [package for package in packages if _same_version(package.version, version)]
    if not same:
        known = list(dict.fromkeys(package.version or "" for package in packages))
        raise SourceError(
            f"{project} {version}: the package index has no such {_WORDS[kind]}. Nearest: "
            f"{', '.join(nearest(version, known))}."
        )
    usable = [package for package in same if kind == "sdist" or _suits(package)]
    if not usable:
        raise SourceError(
            f"{project} {version}: no wheel for this platform among "
            f"{len(same)} ({same[0].link.filename}, …). Use another version or machine."
        )
    for package in usable:
        stated = (package.link.hash_option or {}).get("sha256")
        if sha256 is None or stated is None or sha256 in stated:
            return package
    raise SourceError(
        f"{usable[0].link.redacted}: the index states another SHA-256 than the pinned {sha256}. "
        "The file was replaced, or pip's configuration leads to a wrong index."
    )


def _download(finder: PackageFinder, package: Package, work: Path, sha256: str | None) -> None:
    """Put the file and a stamp with its hash into `work`."""
    link = package.link
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        try:
            got = _with_retries(link.redacted, lambda: finder.download(link, scratch))
        except HashMismatchError as error:
            raise SourceError(
                f"{link.redacted}: the file does not have the hash that the index states. Run "
                "again; if it stays so, the index or a proxy is at fault."
            ) from error
        except UnpackError as error:
            raise SourceError(f"{link.redacted}: {error}. Run again later.") from error
        except FileNotFoundError as error:
            raise SourceError(
                f"{link.redacted}: the index lists this file, but it is not there. Check pip's "
                "find-links and extra-index-url."
            ) from error
        digest = sha256_of(got)
        if sha256 is not None and digest != sha256:
            raise SourceError(
                f"{link.redacted}: SHA-256 is {digest}, not the pinned {sha256}. The file is "
                "truncated or was replaced; check pip's find-links and index-url."
            )
        # A local file is where the user keeps it, and must stay there.
        shutil.copyfile(got, work / link.filename)
    (work / STAMP).write_text(f"{digest}  {link.filename}\n", encoding="utf-8")


def nearest(version: str, known: Sequence[str], count: int = 3) -> list[str]:
    """Return the versions most like `version`; if it ends in a date, those nearest in time."""
    wanted = _day(version)
    if wanted is not None:
        dated = [(abs(day - wanted), name) for name in known if (day := _day(name)) is not None]
        if dated:
            return [name for _, name in sorted(dated)[:count]]
    return get_close_matches(version, known, count, cutoff=0.3) or list(known[:count])


def _day(version: str) -> int | None:
    """Return the number of the day that a version such as `1.0.20250503` names."""
    try:
        return date.fromisoformat(version.rpartition(".")[2]).toordinal()
    except ValueError:
        return None


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
