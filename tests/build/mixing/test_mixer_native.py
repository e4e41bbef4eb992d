"""Two builds of a made-up library: which files, and which functions of them, are at fault."""

import ctypes
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.analysis.bisection.criterion import Criterion, Metric, Observation
from harness.analysis.bisection.inside.answer import InsideAnswer
from harness.analysis.bisection.inside.build_search import BuildSearch
from harness.build.builder import Build, Builder
from harness.build.cmake import CompileCommand
from harness.build.mixing.mixer import Mixer
from harness.build.mixing.objects import ObjectBuild
from harness.config.rules import Rules
from harness.domain.outcomes import Event
from harness.domain.records import BuildRecord
from harness.util.build_store import Store
from harness.util.errors import BuildError

pytestmark = pytest.mark.native

FIRST = """
template <typename T> inline T harmless(T x) { return x + FAULT; }
static float __attribute__((noinline)) half(float x) { return FAULT ? x : x * 0.5f; }
struct Layer { Layer(); virtual ~Layer(); virtual float run(float x) const; int state; };
Layer::Layer() : state(1) {}
Layer::~Layer() {}
float Layer::run(float x) const { return half(x) * state; }
float other(float x) { return harmless<float>(x) - FAULT; }
float first(float x) { Layer layer; const Layer& virtually = layer; return virtually.run(x); }
"""
SECOND = """
static inline float third(float x) { return FAULT ? x : x / 3; }
static float __attribute__((noinline)) unused_one(float x) { return third(x) + FAULT; }
float second(float x) { return third(x); }
float fourth(float x) { return FAULT ? x : x / 4; }
float none(float x) { return unused_one(x); }
"""
CORE = """
float first(float); float second(float); float fourth(float);
extern "C" float error(float x)
{
    bool a = first(x) == x, b = second(x) == x, c = fourth(x) == x;
    return RULE ? 1.f : 0.f;
}
"""
ALONE = "int nobody(int x) { return x + FAULT; }"


def built(
    folder: Path, fault: int, rule: str, compiler: str = "g++", first: str = FIRST
) -> ObjectBuild:
    """Compile the library with a macro that is the fault."""
    sources = {"first.cpp": first, "second.cpp": SECOND, "alone.cpp": ALONE, "core.cpp": CORE}
    return compiled(folder, fault, sources, rule, compiler)


def compiled(
    folder: Path, fault: int, sources: dict[str, str], rule: str = "", compiler: str = "g++"
) -> ObjectBuild:
    """Compile sources with a macro that is the fault."""
    source, build = folder / "source", folder / f"build-{fault}"
    for place in (source, build / "src"):
        place.mkdir(parents=True, exist_ok=True)
    units = {}
    for name, text in sources.items():
        path, output = source / name, build / f"{name}.o"
        path.write_text(text)
        words = [compiler, "-O2", "-fPIC", "-fvisibility=hidden", f"-DFAULT={fault}"]
        if name == "core.cpp":
            words = [compiler, "-O2", "-fPIC", f"-DRULE=({rule})"]
        command = [*words, "-o", str(output), "-c", str(path)]
        subprocess.run(command, check=True)
        unit = "core" if name == "core.cpp" else name
        joined = " ".join(f"'{word}'" for word in command)
        units[unit] = CompileCommand(file=path, command=joined, directory=build, output=output)
    version = "GNU 12" if compiler == "g++" else "Clang 14"
    return ObjectBuild(
        folder=build,
        source=source,
        record=BuildRecord(id="x", key="x", version="x", flags="x", compiler=version),
        units=units,
        link=(
            compiler,
            "-shared",
            "-Wl,-z,defs",
            "-o",
            "harness_core.so",
            "core.o",
            "src/libncnn.a",
        ),
        archiver="ar",
    )


def searched(
    tmp_path: Path, rule: str, compilers: tuple[str, str] = ("g++", "g++")
) -> InsideAnswer:
    good, bad = (built(tmp_path, fault, rule, compilers[fault]) for fault in (0, 1))
    return searched_between(tmp_path, good, bad)


def searched_between(tmp_path: Path, good: ObjectBuild, bad: ObjectBuild) -> InsideAnswer:
    store = Store(root=tmp_path / "builds")
    builder = Builder(store=store, jobs=1, timeout=60)
    count = 0

    def measure(make: Callable[[], Build]) -> Observation:
        nonlocal count
        count += 1
        try:
            core = make().core
        except BuildError as error:
            return Observation(Event.BUILD_FAILED, detail=str(error))
        # One that is opened is not opened again, whatever has become of its file.
        copy = tmp_path / f"core-{count}.so"
        shutil.copyfile(core, copy)
        library = ctypes.CDLL(str(copy))
        library.error.restype = ctypes.c_float
        library.error.argtypes = [ctypes.c_float]
        return Observation(Event.MEASURED, library.error(8.0))

    search = BuildSearch(
        mixer=Mixer(builder=builder, sides=(good, bad), folder=tmp_path / "mixed"),
        measure=measure,
        criterion=Criterion(metric=Metric.SCALE_RELATIVE, threshold=0.5, rules=Rules()),
        say=lambda _: None,
    )
    return search.run()


def names(answer: InsideAnswer) -> list[str]:
    return sorted(part.partition("(")[0] for part in answer.parts)


def test_one_function(tmp_path: Path) -> None:
    answer = searched(tmp_path, "a")
    assert (answer.level, answer.of_files) == ("functions", 3)
    assert names(answer) == ["first.cpp: half"]
    assert answer.code.startswith("// first.cpp:3\nstatic float")
    assert "good" in answer.evidence[0]
    assert "bad" in answer.evidence[1]


def test_what_is_inlined_is_found_with_nothing_inlined(tmp_path: Path) -> None:
    answer = searched(tmp_path, "b")
    assert names(answer) == ["second.cpp: third"]
    assert any(line.startswith("nothing but second as in") for line in answer.evidence)
    assert answer.evidence[-1].startswith("with nothing inlined, nothing but third as in")


@pytest.mark.parametrize("rule", ["a && b && c", "a && c"])
def test_several_that_interact(tmp_path: Path, rule: str) -> None:
    """Each of them is needed: any one as in the good build makes it good."""
    answer = searched(tmp_path, rule)
    found = {"a": "first.cpp: half", "b": "second.cpp: third", "c": "second.cpp: fourth"}
    assert answer.level == "functions"
    assert names(answer) == sorted(found[letter] for letter in rule.split(" && "))


def test_either_is_enough(tmp_path: Path) -> None:
    """Both must be taken back, and each has the effect alone."""
    answer = searched(tmp_path, "a || c")
    assert names(answer) == ["first.cpp: half", "second.cpp: fourth"]


def test_no_difference(tmp_path: Path) -> None:
    answer = searched(tmp_path, "false")
    assert answer.note.startswith("not looked inside: linked once more")


REWRITTEN = """static float __attribute__((noinline)) quarter(float x) { return x * 0.25f; }
static float __attribute__((noinline)) fresh(float x) { return quarter(x) * 4; }
struct Layer { Layer(); virtual ~Layer(); virtual float run(float x) const; int state; };
Layer::Layer() : state(1) {}
Layer::~Layer() {}
float Layer::run(float x) const
{
    return fresh(x) * state;
}
float other(float x) { return x; }
float first(float x) { Layer layer; const Layer& virtually = layer; return virtually.run(x); }
"""


def test_file_that_was_rewritten(tmp_path: Path) -> None:
    """What only the newer source has goes with the function that calls it, and is named."""
    good = built(tmp_path / "before", 0, "a")
    bad = built(tmp_path / "after", 0, "a", first=REWRITTEN)
    answer = searched_between(tmp_path, good, bad)
    assert names(answer) == ["first.cpp: Layer::run"]
    assert answer.company == ("fresh(float)", "quarter(float)")
    assert "+    return fresh(x) * state;" in answer.diff.splitlines()
    assert "// first.cpp:2" in answer.code


@pytest.mark.skipif(not shutil.which("clang++"), reason="no clang++")
@pytest.mark.parametrize("compilers", [("g++", "clang++"), ("clang++", "g++")])
def test_two_compilers(tmp_path: Path, compilers: tuple[str, str]) -> None:
    answer = searched(tmp_path, "a && c", compilers)
    assert answer.level == "functions"
    # Local functions of Clang have conventions of their own, and stay with what calls them.
    assert names(answer) == ["first.cpp: Layer::run", "second.cpp: fourth"]
