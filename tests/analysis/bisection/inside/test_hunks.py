"""Hunks, and files in which some of them are applied."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.bisection.inside.hunks import applied, diff_text, hunks_between

LINES = st.lists(st.sampled_from([b"a\n", b"b\n", b"c\r\n", b"\n"]), max_size=8)
CONTENT = st.builds(lambda lines, end: b"".join(lines) + end, LINES, st.sampled_from([b"", b"z"]))
TREE = st.dictionaries(st.sampled_from(["x", "y/z", "w"]), CONTENT, max_size=3)


@given(TREE, TREE)
def test_all_hunks_make_the_newer_tree_and_none_the_older(
    older: dict[str, bytes], newer: dict[str, bytes]
) -> None:
    hunks = hunks_between(older, newer)
    made = {**older, **applied(older, hunks)}
    assert {path: content for path, content in made.items() if content is not None} == newer
    assert applied(older, []) == {}


def test_some_hunks_are_applied_where_they_belong() -> None:
    older = {"f": b"1\n2\n3\n4\n5\n"}
    newer = {"f": b"one\n2\n3\nfour\nand a half\n5\n6\n", "g": b"new\n"}
    hunks = hunks_between(older, newer)
    assert [hunk.name for hunk in hunks] == ["f:1", "f:4", "f:6", "g"]
    for size in range(len(hunks) + 1):
        for some in combinations(hunks, size):
            text = (applied(older, some).get("f", older["f"]) or b"").decode()
            assert ("one" in text) is (hunks[0] in some)
            assert ("four\nand a half" in text) is (hunks[1] in some)
            assert text.endswith("6\n") is (hunks[2] in some)


def test_a_file_that_is_new_or_gone_is_one_hunk() -> None:
    hunks = hunks_between({"gone": b"a\nb\n"}, {"new": b"c\n"})
    assert [(hunk.name, hunk.kind) for hunk in hunks] == [("gone", "deleted"), ("new", "added")]
    assert applied({"gone": b"a\nb\n"}, hunks) == {"gone": None, "new": b"c\n"}


def test_the_diff_of_files_names_what_is_not_there() -> None:
    text = diff_text({"f": b"a\n", "n": None}, {"f": b"b\n", "n": b"c\n"})
    assert text.splitlines() == [
        *("--- a/f", "+++ b/f", "@@ -1 +1 @@", "-a", "+b"),
        *("--- /dev/null", "+++ b/n", "@@ -0,0 +1 @@", "+c"),
    ]
