"""What a build's output says about who is to blame."""

import signal
from pathlib import Path

import pytest

from harness.build.failure import A_COMPILER, Blame, Failure, Step
from tests.source_tree import write_tree

REAL = "x.cpp:3:1: error: 'foo' was not declared in this scope\n"
_UNABLE = (
    'CMake Error at CMakeLists.txt:9:\n  The C++ compiler\n\n    "/usr/bin/c++"\n\n'
    "  is not able to compile a simple test program.\n"
)
SAYS = {
    Blame.NCNN: [
        REAL,
        "a.cpp:1:10: fatal error: own.h: No such file or directory\n",
        "a.cpp:1:10: fatal error: layer/own.h: No such file or directory\n",
        "a.cpp:1:10: fatal error: made.h: No such file or directory\n",
        "a.cpp:1:10: fatal error: softmax.comp.hex.h: No such file or directory\n",
        "-- Could NOT find OpenMP_CXX\nCMake Error at CMakeLists.txt:3 (foo):\n  Unknown command\n",
        "note: say 'out of memory' and go on\n" + REAL,
    ],
    Blame.SHORTAGE: [
        "/tmp/a.s: Fatal error: can't close a.o: No space left on device\n",
        "c++: fatal error: Killed signal terminated program cc1plus\n",
        "FAILED: [code=137] a.o \n/usr/bin/c++ -c a.cpp\n",
        "cc1plus: out of memory allocating 65536 bytes after a total of 1388544 bytes\n",
        "virtual memory exhausted: Cannot allocate memory\n",
        "ninja: fatal: pipe: Too many open files\n",
        "c++: fatal error: File size limit exceeded signal terminated program as\n",
        "as: a.o: write: File too large\n",
        "collect2: fatal error: ld terminated with signal 9 [Killed]\n",
        "c++: fatal error: vfork: Resource temporarily unavailable\n",
        REAL + "ld: final link failed: Disk quota exceeded\n",
    ],
    Blame.LACKING: [
        "a.cpp:1:10: fatal error: vulkan/vulkan.h: No such file or directory\n",
        "a.cpp:1:10: fatal error: 'omp.h' file not found\n",
        "/usr/bin/ld: cannot find -lgomp: No such file or directory\n",
        "CMake Error at FindX.cmake:230 (message):\n  Could NOT find Vulkan (missing: LIBRARY)\n",
        _UNABLE,
        f"{_UNABLE}\n  collect2: fatal error: cannot find 'ld'\n",
        "CMake Error at CMakeLists.txt:9:\n  No CMAKE_CXX_COMPILER could be found.\n",
        "c++: fatal error: cannot execute 'cc1plus': execvp: No such file or directory\n",
    ],
    Blame.UNKNOWN: [
        "a.cpp:3:1: internal compiler error: Segmentation fault\n",
        "terminate called after throwing 'std::bad_alloc'\n  what():  std::bad_alloc\n",
        "c++: internal compiler error: Segmentation fault signal terminated program cc1plus\n",
        "FAILED: [code=139] a.o \n/usr/bin/c++ -c a.cpp\n",
        "clang: error: unable to execute command: Segmentation fault\n",
    ],
}
INSTALL = [
    "what has vulkan/vulkan.h",
    "what has omp.h",
    "what has -lgomp",
    "what has Vulkan",
    A_COMPILER,
    "what has ld",
    A_COMPILER,
    "what has cc1plus",
]
"""The same of what is lacking."""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    write_tree(tmp_path, {"src/own.h": "", "src/CMakeLists.txt": "configure_file(x made.h)"})
    return tmp_path


@pytest.mark.parametrize(
    ("output", "blame"), [(output, blame) for blame, outputs in SAYS.items() for output in outputs]
)
def test_who_is_to_blame(tree: Path, output: str, blame: Blame) -> None:
    steps: tuple[Step, ...] = ("configure", "compile")
    for step in steps:
        failure = Failure(step=step, fate="exit code 1", output=output)
        assert failure.blame(tree)[0] == blame
        assert bool(failure.shortage) is (blame == Blame.SHORTAGE)


@pytest.mark.parametrize(
    ("output", "install"),
    list(zip(SAYS[Blame.LACKING], INSTALL, strict=True)),
)
def test_what_to_install(tree: Path, output: str, install: str) -> None:
    failure = Failure(step="configure", fate="exit code 1", output=output)
    assert failure.blame(tree)[1] == install
    if "is not able" in output:
        said = 'The C++ compiler "/usr/bin/c++" is not able to compile a simple test program.'
        assert failure.error.endswith(said)


@pytest.mark.parametrize(
    ("returncode", "timed_out", "blame"),
    [
        (1, False, Blame.NCNN),
        (-signal.SIGKILL, False, Blame.SHORTAGE),
        (-signal.SIGKILL, True, Blame.UNKNOWN),
        (-signal.SIGSEGV, False, Blame.UNKNOWN),
    ],
)
def test_how_a_program_ends(tree: Path, returncode: int, timed_out: bool, blame: Blame) -> None:
    failure = Failure(
        step="compile", fate="f", output=REAL, returncode=returncode, timed_out=timed_out
    )
    assert failure.blame(tree)[0] == blame
