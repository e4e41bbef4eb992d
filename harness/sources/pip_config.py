"""Where the user's pip looks for packages.

pip itself may be missing from the environment (uv makes such environments), so its configuration
is read here, by the rules that the topic "Configuration" of its documentation gives: the
files and their order, the `PIP_*` variables, and which of them win.
"""

from __future__ import annotations

import configparser
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.util.codes import Code
from harness.util.errors import ConfigError
from harness.util.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SECTIONS = ("global", "install", "download")
"""Sections that concern downloads; a later one overrides an earlier one."""
_MOST_BYTES = 1 << 20
"""Of a configuration file."""
_FALSE = ("", "0", "false", "no", "off", "n", "f")


@dataclass(frozen=True, kw_only=True)
class PipConfig:
    """The settings of pip that decide where packages come from."""

    index_url: str = ""
    """Empty for the default index."""
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    """Directories, pages and URLs that list distributions."""
    trusted_hosts: tuple[str, ...] = ()
    cert: str = ""
    """File or directory with CA certificates; empty for the default."""
    client_cert: str = ""
    proxy: str = ""
    timeout: float = 15.0
    """Seconds without an answer."""
    no_index: bool = False

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> PipConfig:
        """Read pip's configuration files and `PIP_*` variables.

        Args:
            environ: the environment; `os.environ` if None.

        Raises:
            ConfigError: a configuration file cannot be parsed, or a value has no meaning.
        """
        environ = os.environ if environ is None else environ
        values: dict[str, str] = {}
        parser = _read_files(environ)
        for section in _SECTIONS:
            if parser.has_section(section):
                values |= {_key(name): text for name, text in parser.items(section) if text}
        values |= {
            _key(name.removeprefix("PIP_")): text
            for name, text in environ.items()
            if name.startswith("PIP_") and text
        }
        return cls(
            index_url=values.get("index-url", ""),
            extra_index_urls=tuple(values.get("extra-index-url", "").split()),
            find_links=tuple(values.get("find-links", "").split()),
            trusted_hosts=tuple(values.get("trusted-host", "").split()),
            cert=values.get("cert", ""),
            client_cert=values.get("client-cert", ""),
            proxy=values.get("proxy", ""),
            timeout=_seconds(values.get("timeout") or values.get("default-timeout") or "15"),
            no_index=values.get("no-index", "").lower() not in _FALSE,
        )


def _key(name: str) -> str:
    return name.lower().replace("_", "-").removeprefix("--")


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(
            f"pip's timeout is {text!r}: not a number of seconds. Correct PIP_TIMEOUT or pip.conf.",
            code=Code.PIP_CONFIG,
        ) from error


def _read_files(environ: Mapping[str, str]) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    for path in _files(environ):
        if not path.exists():
            continue
        text = read_text(path, limit=_MOST_BYTES, error=ConfigError)
        try:
            parser.read_string(text, source=str(path))
        except configparser.Error as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(
                f"{path}: pip's configuration is not readable ({reason}).", code=Code.PIP_CONFIG
            ) from error
    return parser


def _files(environ: Mapping[str, str]) -> Iterator[Path]:
    """Yield pip's configuration files, the weakest first, whether they exist or not."""
    own = environ.get("PIP_CONFIG_FILE", "")
    if own == os.devnull:
        return
    for folder in reversed(environ.get("XDG_CONFIG_DIRS", "/etc/xdg").split(os.pathsep)):
        yield Path(folder) / "pip" / "pip.conf"
    yield Path("/etc/pip.conf")
    if not (own and Path(own).exists()):
        home = Path(environ.get("HOME") or "~").expanduser()
        yield home / ".pip" / "pip.conf"
        yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "pip" / "pip.conf"
    yield Path(sys.prefix) / "pip.conf"
    if own:
        yield Path(own)
