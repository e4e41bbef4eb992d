"""`requirements/` locks what pyproject.toml asks for, and nothing else."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
INSTALLED = [*PROJECT["project"]["dependencies"], *GROUPS["build"]]
LOCKED = {
    "harness": INSTALLED,
    "tests": [*INSTALLED, *GROUPS["test"]],
    "fuzz": [*INSTALLED, *GROUPS["test"], *GROUPS["fuzz"]],
    "types": [*INSTALLED, *GROUPS["types"]],
    **{name: GROUPS[name] for name in ("lint", "audit", "lock", "ci")},
}
PIN = re.compile(
    r"^(\S+)==(\S+)(?: ; (.+?))? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


@pytest.mark.parametrize("name", LOCKED)
def test_everything_is_pinned_with_hashes(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    pins = {match[1]: match[2] for match in PIN.finditer(text)}
    # Nothing else is in the file: no address of an index, no requirement without a hash.
    assert PIN.sub("", text).splitlines() == text.splitlines()[:2]
    for line in LOCKED[name]:
        wanted = Requirement(line)
        assert pins[canonicalize_name(wanted.name)] in wanted.specifier, line
    build = {Requirement(line).name for line in PROJECT["build-system"]["requires"]}
    assert build <= set(pins) or name not in ("harness", "tests", "fuzz", "types")


def test_all_files_are_used() -> None:
    assert {path.stem for path in (ROOT / "requirements").glob("*")} == set(LOCKED)
