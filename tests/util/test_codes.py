"""Codes in the sources and in docs/errors.md are the same ones, both ways."""

import ast
import re
from pathlib import Path

import pytest

from harness.util import errors
from harness.util.codes import Code
from harness.util.errors import BuildError, ConfigError, HarnessError, SourceError

ROOT = Path(__file__).parents[2]
EXPLAINED = (ROOT / "docs" / "errors.md").read_text()
SECTIONS = dict(re.findall(r"^### (\w\d\d): (.+?)(?=^##|\Z)", EXPLAINED, re.MULTILINE | re.DOTALL))
EXITS = {"U": {2}, "F": {2, 3}, "C": {2}, "M": {2}, "D": {3}, "E": {3}, "B": {3}, "N": {5}}


def uses() -> list[tuple[str, str, str]]:
    """Return place, class and code of each error that is made with a code in the sources."""
    found = []
    for path in sorted((ROOT / "harness").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                for word in node.keywords:
                    if word.arg == "code" and ast.unparse(word.value).startswith("Code."):
                        place = f"{path.relative_to(ROOT)}:{node.lineno}"
                        code = ast.unparse(word.value).removeprefix("Code.")
                        found.append((place, ast.unparse(node.func), code))
    return found


def test_the_same_codes_in_sources_and_docs() -> None:
    assert list(SECTIONS) == [code.value for code in Code]
    text = "\n".join(path.read_text() for path in (ROOT / "harness").rglob("*.py"))
    assert not [code.name for code in Code if not re.search(rf"\bCode\.{code.name}\b", text)]


@pytest.mark.parametrize("code", Code)
def test_explained(code: Code) -> None:
    section = SECTIONS[code]
    assert "\n- *Kept*: " in section
    assert "\n- *Remedy*: " in section
    assert section.count("```") == 2
    assert set(re.findall(r"error\[(\w+)\]", section)) <= {code}


def test_letters_say_how_a_command_ends() -> None:
    wrong = []
    for place, name, code in uses():
        kind = getattr(errors, name, None)
        if kind and kind.exit_code not in EXITS.get(Code[code].value[0], {kind.exit_code}):
            wrong.append(f"{place}: {name} with {code}")
    assert not wrong
    assert len(uses()) > 100


def test_a_code_of_its_own_or_that_of_the_class() -> None:
    assert ConfigError("x").code is Code.CONFIG
    assert SourceError("x", code=Code.NOT_PINNED).code is Code.NOT_PINNED
    assert BuildError("x", first_error="y", code=Code.TOO_OLD).code is Code.TOO_OLD
    classes = [c for c in vars(errors).values() if isinstance(c, type)]
    usual = [c.usual_code for c in classes if issubclass(c, HarnessError) and c is not HarnessError]
    assert len(set(usual)) == len(usual)
