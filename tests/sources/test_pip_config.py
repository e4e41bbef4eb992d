from pathlib import Path

import pytest

from harness.sources.pip_config import PipConfig
from harness.util.errors import ConfigError


def environ(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "XDG_CONFIG_DIRS": str(home / "xdg"), **more}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_stronger_places_win(tmp_path: Path) -> None:
    write(tmp_path / "xdg/pip/pip.conf", "[global]\nindex-url = one\nproxy = p\ncert = c\n")
    write(tmp_path / ".config/pip/pip.conf", "[global]\nindex-url = two\ncert = d\n")
    assert PipConfig.load(environ(tmp_path)).index_url == "two"
    config = PipConfig.load(environ(tmp_path, PIP_INDEX_URL="three"))
    assert (config.index_url, config.cert, config.proxy) == ("three", "d", "p")


def test_later_sections_win(tmp_path: Path) -> None:
    write(tmp_path / ".pip/pip.conf", "[download]\ncert = d\n[global]\ncert = g\nindex_url = u\n")
    config = PipConfig.load(environ(tmp_path))
    assert (config.cert, config.index_url) == ("d", "u")


def test_lists_and_numbers(tmp_path: Path) -> None:
    text = "[global]\nfind-links =\n  /a\n  https://b/\ntrusted-host = h:1 i\ntimeout = 60\n"
    write(tmp_path / ".config/pip/pip.conf", text)
    config = PipConfig.load(environ(tmp_path, PIP_EXTRA_INDEX_URL="x y"))
    assert config.find_links == ("/a", "https://b/")
    assert config.trusted_hosts == ("h:1", "i")
    assert config.extra_index_urls == ("x", "y")
    assert config.timeout == 60


def test_own_file_replaces_the_users(tmp_path: Path) -> None:
    write(tmp_path / ".config/pip/pip.conf", "[global]\nproxy = p\n")
    own = write(tmp_path / "own.conf", "[global]\nindex-url = own\n")
    config = PipConfig.load(environ(tmp_path, PIP_CONFIG_FILE=str(own)))
    assert (config.index_url, config.proxy) == ("own", "")
    config = PipConfig.load(environ(tmp_path, PIP_CONFIG_FILE="/dev/null", PIP_CERT="c"))
    assert (config.index_url, config.proxy, config.cert) == ("", "", "c")


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("true", True), ("0", False), ("no", False)]
)
def test_no_index(tmp_path: Path, text: str, value: bool) -> None:
    assert PipConfig.load(environ(tmp_path, PIP_NO_INDEX=text)).no_index is value


def test_nonsense_names_the_place(tmp_path: Path) -> None:
    path = write(tmp_path / ".config/pip/pip.conf", "index-url = x\n")
    with pytest.raises(ConfigError, match=str(path)):
        PipConfig.load(environ(tmp_path))
    with pytest.raises(ConfigError, match="PIP_TIMEOUT"):
        PipConfig.load({"PIP_CONFIG_FILE": "/dev/null", "PIP_TIMEOUT": "soon"})
