"""The command `store`: what it lists, and what it says stays."""

import os
import re
from pathlib import Path

import pytest

from harness.__main__ import main
from harness.util.build_store import Store

MIB = bytes(1 << 20)


@pytest.mark.parametrize(
    ("words", "modules", "said"),
    [
        ([], ["2"], "5 MiB of at most 20.0 GiB"),
        (["--limit=0"], ["2"], "5 MiB of at most 0 MiB|until the next build, or --prune"),
        (["--prune-to=0"], [], "3 MiB of at most 20.0 GiB"),
        (["--limit=0", "--prune"], [], "3 MiB of at most 0 MiB|the compiler cache (objects)"),
    ],
)
def test_what_is_listed(
    words: list[str],
    modules: list[str],
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = Store(root=tmp_path / "builds")
    store.prepare()
    for place, size in (
        (store.modules / "x" / "record.json", 2),
        (store.objects / "sccache" / "x", 3),
        (store.modules / "binding-x" / "x", 4),
        (store.logs / "x", 5),
    ):
        place.parent.mkdir(parents=True)
        place.write_bytes(MIB * size)
        os.utime(place.parent, (0, 0))
    del store
    assert main(["store", f"--builds={tmp_path / 'builds'}", *words]) == 0
    out = capsys.readouterr().out
    assert all(part in out for part in said.split("|"))
    assert re.findall(r"modules .* (\d+) MiB", out) == modules
    assert re.findall(r"(?:objects|no limit) .* (\d+) MiB", out) == ["3", "9"]
    assert ("beyond the limit" in out) == ("--limit=0" in words)
