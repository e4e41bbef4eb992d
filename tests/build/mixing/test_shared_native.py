"""Functions that share something: with other units, or with each other."""

from pathlib import Path

import pytest

from harness.analysis.bisection.inside.answer import InsideAnswer
from tests.build.mixing.test_mixer_native import compiled, names, searched_between

pytestmark = pytest.mark.native

CORE = """
float run(float);
extern "C" float error(float x) { return run(x) != 2 * x; }
"""
NOINLINE = "__attribute__((noinline))"
TWICE = f"template <typename T> {NOINLINE} T twice(T x) {{ return x * 2; }}\n"
THRICE_IF_BAD = f"template <typename T> {NOINLINE} T twice(T x) {{ return x * (2 + FAULT); }}\n"


def searched(tmp_path: Path, sources: dict[str, str], compiler: str = "g++") -> InsideAnswer:
    every = {**sources, "core.cpp": CORE}
    good, bad = (compiled(tmp_path, fault, every, compiler=compiler) for fault in (0, 1))
    return searched_between(tmp_path, good, bad)


def test_a_function_of_which_the_linker_takes_another_units_is_innocent(tmp_path: Path) -> None:
    answer = searched(
        tmp_path,
        {
            "first.cpp": TWICE + "float part(float);\n"
            "float run(float x) { return part(x) + twice(x) - 2 * x; }",
            "second.cpp": THRICE_IF_BAD
            + f"static {NOINLINE} float half(float x) {{ return FAULT ? x / 2 : x; }}\n"
            "float part(float x) { return twice(half(x)); }",
        },
    )
    assert names(answer) == ["second.cpp: half"]


def test_a_function_that_another_unit_has_instantiated(tmp_path: Path) -> None:
    answer = searched(
        tmp_path,
        {
            "first.cpp": THRICE_IF_BAD + "template float twice<float>(float);\n"
            "float none(float x) { return x + FAULT; }",
            "second.cpp": "template <typename T> T twice(T x);\n"
            "extern template float twice<float>(float);\n"
            "float run(float x) { return twice(x); }",
        },
    )
    assert names(answer) == ["first.cpp: float twice<float>"]


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_who_writes_to_a_variable_is_innocent(tmp_path: Path, compiler: str) -> None:
    answer = searched(
        tmp_path,
        {
            "first.cpp": f"""
static float factor;
thread_local static float summand;
{NOINLINE} void prepare(float x) {{ factor = x > 0 ? 2 : 3 + FAULT; summand = factor - 2; }}
{NOINLINE} float use(float x) {{ return x * factor + summand + FAULT; }}
float run(float x) {{ prepare(x); return use(x); }}
"""
        },
        compiler,
    )
    assert names(answer) == ["first.cpp: use"]


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_a_unit_is_initialised_once(tmp_path: Path, compiler: str) -> None:
    answer = searched(
        tmp_path,
        {
            "first.cpp": f"""
int counted();
static int number = counted();
{NOINLINE} float use(float x) {{ return x * (number + 1) + FAULT; }}
float run(float x) {{ return use(x) + counted() - 2; }}
""",
            "second.cpp": "int counted() { static int number = 0; return ++number; }",
        },
        compiler,
    )
    assert names(answer) == ["first.cpp: use"]


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_who_is_called_with_what_only_the_newer_one_reads_is_innocent(
    tmp_path: Path, compiler: str
) -> None:
    """The older caller must not leave out what the older one does not read."""
    older = f"""
{NOINLINE} float use(const float* two, float x) {{ return x * 2; }}
{NOINLINE} float run(float x) {{ float two[2] = {{x, x}}; return use(two, x); }}
"""
    newer = older.replace("return x * 2", "return two[0] + two[1]").replace(
        "(two, x)", "(two, x) + 1"
    )
    good, bad = (
        compiled(tmp_path / str(fault), fault, {"first.cpp": text, "core.cpp": CORE}, "", compiler)
        for fault, text in enumerate((older, newer))
    )
    assert names(searched_between(tmp_path, good, bad)) == ["first.cpp: run"]


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_who_calls_what_returns_a_constant_is_innocent(tmp_path: Path, compiler: str) -> None:
    answer = searched(
        tmp_path,
        {
            "first.cpp": f"{NOINLINE} float factor() {{ return 2 + FAULT; }}\n"
            "float run(float x) { return x * factor(); }"
        },
        compiler,
    )
    assert names(answer) == ["first.cpp: factor"]


def test_a_function_that_calls_what_is_in_a_file_of_the_newer_source_only(tmp_path: Path) -> None:
    good = compiled(
        tmp_path / "before",
        0,
        {"first.cpp": "float run(float x) { return x * 2; }", "core.cpp": CORE},
    )
    bad = compiled(
        tmp_path / "after",
        1,
        {
            "first.cpp": "float thrice(float);\nfloat run(float x) { return thrice(x); }",
            "added.cpp": "float thrice(float x) { return x * 3; }",
            "core.cpp": CORE,
        },
    )
    answer = searched_between(tmp_path, good, bad)
    assert names(answer) == ["first.cpp: run"]
    assert "good" in next(line for line in answer.evidence if line.startswith("all but run"))
    alone = [line for line in answer.evidence if line.startswith("nothing but run")]
    assert "undefined reference" in alone[0]
    assert alone[1].startswith("nothing but run and all other files as in the bad build: bad")


def test_of_what_several_files_define_the_first_in_the_library_is_accused(tmp_path: Path) -> None:
    """Which need not be the first by name."""
    sources = {
        "second.cpp": THRICE_IF_BAD + "float run(float x) { return twice(x); }",
        "first.cpp": THRICE_IF_BAD + "float also(float x) { return twice(x); }",
        "core.cpp": CORE.replace("run(x) !=", "run(x) + also(x) - also(x) !=").replace(
            "float run(float);", "float run(float); float also(float);"
        ),
    }
    good, bad = (compiled(tmp_path, fault, sources) for fault in (0, 1))
    answer = searched_between(tmp_path, good, bad)
    assert names(answer) == ["second.cpp: float twice<float>"]


def test_files_that_need_each_other_are_said_not_to_be_told_apart(tmp_path: Path) -> None:
    """Which of them is innocent cannot be known: one does not link without the other."""
    good, bad = (
        compiled(
            tmp_path / name,
            fault,
            {
                "first.cpp": f"float {name}(float);\nfloat run(float x) {{ return {name}(x); }}",
                "second.cpp": f"float {name}(float x) {{ return x * (2 + FAULT); }}",
                "core.cpp": CORE,
            },
        )
        for fault, name in enumerate(("before", "after"))
    )
    answer = searched_between(tmp_path, good, bad)
    assert any(
        line.endswith("take back all of these but one: first.cpp, second.cpp")
        for line in answer.evidence
    )


def test_local_functions_of_files_whose_names_differ_in_a_sign(tmp_path: Path) -> None:
    local = f"static {NOINLINE} float more(float x) {{ return x + FAULT; }}\n"
    answer = searched(
        tmp_path,
        {
            "one-file.cpp": local + "float minus(float);\n"
            "float run(float x) { return 2 * x + (more(x) > x && minus(x) < x ? 1 : 0); }",
            "one_file.cpp": local + "float minus(float x) { return 2 * x - more(x); }",
        },
    )
    assert names(answer) == ["one-file.cpp: more", "one_file.cpp: more"]


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_a_variable_of_each_thread_is_initialised_when_it_is_used(
    tmp_path: Path, compiler: str
) -> None:
    answer = searched(
        tmp_path,
        {
            "first.cpp": f"""
float factor();
static thread_local float kept = factor();
{NOINLINE} float factor() {{ return 2; }}
{NOINLINE} float use(float x) {{ return x * kept + FAULT; }}
float run(float x) {{ return use(x); }}
"""
        },
        compiler,
    )
    assert names(answer) == ["first.cpp: use"]
    assert not any("cannot be told apart" in line for line in answer.evidence)
