from harness.analysis.bisection.inside.hunks import diff_text
from harness.report.side_by_side import side_by_side

OLD = b"int f(int a)\n{\nalways:\n" + b"    line();\n" * 5 + b"    old(a);\n    end();\n}\n"
NEW = OLD.replace(b"    old(a);\n", b"    new(a);\n    more();\n")


def test_lines_that_replace_each_other_are_beside_each_other() -> None:
    diff = diff_text({"src/x.cpp": OLD}, {"src/x.cpp": NEW})
    assert "@@ -6,6 +6,7 @@ int f(int a)" in diff.splitlines()
    head, *pairs = side_by_side(diff)
    assert head.heading == "src/x.cpp, in int f(int a)"
    shown = [(p.before_number, p.before.strip(), p.after_number, p.after.strip()) for p in pairs]
    assert shown[2:6] == [
        (8, "line();", 8, "line();"),
        (9, "old(a);", 9, "new(a);"),
        (0, "", 10, "more();"),
        (10, "end();", 11, "end();"),
    ]
    assert [p.is_changed for p in pairs] == [False] * 3 + [True, True] + [False] * 2


def test_files_that_are_new_or_gone() -> None:
    diff = diff_text({"a.h": b"x\n", "b.h": None}, {"a.h": None, "b.h": b"y\n--- z\n"})
    shown = [(p.heading, p.before, p.after) for p in side_by_side(diff)]
    assert shown == [
        ("a.h", "", ""),
        ("", "x", ""),
        ("b.h", "", ""),
        ("", "", "y"),
        ("", "", "--- z"),
    ]


def test_nothing() -> None:
    assert side_by_side("") == ()
