"""Cases counted for real, on a core that misbehaves as their parameters say."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.analysis.sweep.coverage import layer_coverage
from harness.build.binding import build_binding
from harness.build.builder import Build
from harness.build.coverage import Counts, keep_notes, with_coverage
from harness.build.plan import NATIVE
from harness.build.toolchain import Compiler, find_compiler
from harness.cases.layer_case import LayerCase
from harness.domain.coverage import FileCoverage
from harness.domain.spec import FlagSet, RunSpec
from harness.domain.verdict import Tolerance
from harness.execution.case_counter import CaseCounter
from harness.execution.case_runner import CaseRunner
from harness.util.build_store import Store
from tests.execution.misbehaving import BUILD

pytestmark = pytest.mark.native

DEFAULT = RunSpec(name="default")
PLAIN = RunSpec(name="fp32", options=(("use_fp16_storage", False),))
RIGHT, CRASHES, IMPRECISE_WITH_FP16, TRANSPOSES = 0.0, 101.0, 106.0, 110.0
SOURCE = Path(__file__).with_name("fake_case_core.cpp")


@pytest.fixture(scope="module")
def compiler() -> Compiler:
    found = find_compiler("")
    if "clang" in found.version:
        pytest.skip("the compiler is not GCC")
    return found


@pytest.fixture(scope="module")
def counting_core(tmp_path_factory: pytest.TempPathFactory, compiler: Compiler) -> Path:
    """Compile the core as if it were a layer of ncnn, and keep of it what a store would."""
    root = tmp_path_factory.mktemp("counting")
    source, build, kept = root / "source/src/layer/relu.cpp", root / "build", root / "kept"
    flags = with_coverage(FlagSet(name="plain"))
    options = dict(flags.options)
    compiling, linking = options["CMAKE_CXX_FLAGS"], options["CMAKE_SHARED_LINKER_FLAGS"]
    for folder in (source.parent, build / "src/layer", kept):
        folder.mkdir(parents=True)
    shutil.copy(SOURCE, source)
    object_file = "src/layer/relu.o"
    steps: tuple[list[str | Path], ...] = (
        ["-c", "-fPIC", *flags.cxx_flags.split(), f"-I{NATIVE}", source, "-o", object_file],
        ["-shared", *linking.split(), object_file, "-o", kept / "core.so"],
    )
    for step in steps:
        subprocess.run([compiler.path, *compiling.split(), *step], cwd=build, check=True)
    keep_notes(build, kept)
    entry = {"file": str(source), "command": "", "directory": str(build)}
    (kept / "compile_commands.json").write_text(json.dumps([entry]))
    shutil.rmtree(build)
    return kept / "core.so"


def counted(
    core: Path, compiler: Compiler, store: Store, folder: Path, *slopes: float
) -> tuple[FileCoverage, int]:
    """Count what some cases reach in a process, and return how many runs were lost, too."""
    runner = CaseRunner(
        binding=lambda: build_binding(store, compiler), tolerance=Tolerance(), exact=PLAIN
    )
    counts = Counts.begun(core, compiler, folder)
    counter = CaseCounter(runner=runner, build=Build(core=core, record=BUILD), counts=counts)
    requests = [(LayerCase.of("ReLU", {0: slope}, (3, 5)), (DEFAULT, PLAIN)) for slope in slopes]
    lost = sum(runs for _, runs in counter.run(requests))
    (layer,) = layer_coverage(counts.reports(), ["ReLU"], ["relu.cpp"], counts.linked(core))
    (file,) = layer.files
    return file, lost


def number_of(text: str) -> int:
    """Return the number of the first line of the core's source that contains a text."""
    lines = SOURCE.read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def reached(file: FileCoverage, text: str) -> bool:
    number = number_of(text)
    return not any(first <= number <= last for first, last in file.unreached)


FP16, SWAPS = "3e-4f", "out->shape[0] ="


@pytest.mark.parametrize(
    ("slopes", "fp16", "swaps", "lost"),
    [
        ((RIGHT,), False, False, 0),
        ((IMPRECISE_WITH_FP16,), True, False, 0),
        ((TRANSPOSES, RIGHT), False, True, 0),
        ((IMPRECISE_WITH_FP16, CRASHES, TRANSPOSES), True, True, 2),
        ((CRASHES,), False, False, 2),
    ],
)
def test_what_cases_reach_is_counted_before_and_after_a_death(
    counting_core: Path,
    compiler: Compiler,
    store: Store,
    tmp_path: Path,
    slopes: tuple[float, ...],
    fp16: bool,
    swaps: bool,
    lost: int,
) -> None:
    file, runs = counted(counting_core, compiler, store, tmp_path / "counts", *slopes)
    assert (reached(file, FP16), reached(file, SWAPS), runs) == (fp16, swaps, lost)


def test_functions_that_were_not_run_are_named(
    counting_core: Path, compiler: Compiler, store: Store, tmp_path: Path
) -> None:
    file, _ = counted(counting_core, compiler, store, tmp_path / "counts", RIGHT)
    entered = {"hx_net_new", "hx_extractor_extract", "error_of"}
    assert not entered & set(file.never_entered)
    assert file.lines.reached < file.lines.total
    assert file.branches.reached < file.branches.total
