"""Each probed value with what the doctor says of it: state, and a word of cost or remedy."""

from dataclasses import replace

import pytest

from harness.commands.doctor import exit_code
from harness.doctor import State, examine
from harness.doctor.machine import (
    Answer,
    FlagSetNeeds,
    Machine,
    Place,
    Resources,
    Software,
    StoreHealth,
    Surroundings,
    Vulkan,
)

HERE = Answer(found="/usr/bin/it")
GOOD = Machine(
    software=Software(compiler=HERE, headers=HERE, cache=HERE, asan=HERE),
    vulkan=Vulkan(devices=("llvmpipe",)),
    places=(Place(option="--builds", path="builds"), Place(option="", path="/tmp")),
    surroundings=Surroundings(encodings={"output": "UTF-8", "files": "utf8"}),
)
BUILDS = GOOD.places[0]


def software(**changes: object) -> Machine:
    return replace(GOOD, software=replace(GOOD.software, **changes))  # type: ignore[arg-type]


def resources(**changes: object) -> Machine:
    return replace(GOOD, resources=Resources(**changes))  # type: ignore[arg-type]


def surroundings(**changes: object) -> Machine:
    return replace(GOOD, surroundings=replace(GOOD.surroundings, **changes))  # type: ignore[arg-type]


def place(option: str = "--builds", **changes: object) -> Machine:
    return replace(GOOD, places=(Place(option=option, path="there", **changes),))  # type: ignore[arg-type]


NO_CLANG = Answer(missing="clang++: not found on PATH. Install it with: apt-get install clang")
CLANG_SET = FlagSetNeeds(name="avx2-clang", compiler="clang++")
ARM_SET = FlagSetNeeds(name="arm64", target="aarch64")
NO_CROSS = Answer(missing="target aarch64: qemu-aarch64 not found: apt-get install qemu-user")
AVX512 = FlagSetNeeds(name="avx512", lacking="avx512f")


def test_all_is_well() -> None:
    findings = examine(GOOD)
    assert {each.state for each in findings} == {State.OK, State.UNKNOWN}
    assert [each.what for each in findings if each.state is State.UNKNOWN] == ["package index"]
    assert not any(each.cost or each.remedy for each in findings)
    assert exit_code(findings) == 0


@pytest.mark.parametrize(
    ("machine", "what", "state", "words"),
    [
        (software(compiler=NO_CLANG), "C++ compiler", "missing", "apt-get install clang"),
        (software(headers=Answer(missing="x")), "Python's headers", "missing", "no cell"),
        (software(tools={"Ninja": Answer(missing="pip install")}), "Ninja", "missing", "nothing"),
        (software(tools={"CMake": HERE}), "CMake", "ok", ""),
        (
            replace(software(compilers={"clang++": NO_CLANG}), flag_sets=(CLANG_SET, ARM_SET)),
            "clang++",
            "missing",
            "`skipped`: flag set avx2-clang",
        ),
        (
            replace(software(targets={"aarch64": NO_CROSS}), flag_sets=(CLANG_SET, ARM_SET)),
            "target aarch64",
            "missing",
            "`skipped`: flag set arm64",
        ),
        (software(asan=Answer(missing="x")), "AddressSanitizer", "missing", "avx2-asan"),
        (software(cache=Answer(missing="x")), "compiler cache", "missing", "all of its files"),
        (software(programs={"git": Answer(missing="x")}), "git", "missing", "apt-get install git"),
        (software(programs={"addr2line": Answer(missing="x")}), "addr2line", "missing", "names"),
        (software(programs={"chromium": Answer(missing="x")}), "chromium", "missing", "tests"),
        (replace(GOOD, vulkan=Vulkan()), "Vulkan device", "missing", "mesa-vulkan-drivers"),
        (replace(GOOD, vulkan=Vulkan(headers=False)), "Vulkan headers", "missing", "2023-11"),
        (replace(GOOD, flag_sets=(AVX512,)), "CPU features", "missing", "`unsupported`: flag set"),
        (resources(cores=8, usable=1.5), "CPU quota", "odd", "--jobs 1"),
        (resources(memory=3 << 30), "memory", "odd", "--jobs 3"),
        (resources(memory=0), "memory", "odd", "--jobs 1"),
        (resources(limits={"n": 64}), "limit on open files", "odd", "ulimit -n 4096"),
        (resources(limits={"u": 10}), "limit on processes", "odd", "ulimit -u"),
        (resources(limits={"s": 1 << 20}), "limit on stack", "odd", "ulimit -s 8192"),
        (resources(limits={"f": 1 << 20}), "limit on size of a file", "odd", "ulimit -f"),
        (resources(limits={"t": 60}), "limit on CPU seconds", "odd", "ulimit -t"),
        (resources(limits={"v": 4 << 30}), "limit on address space", "odd", "not ncnn's"),
        (resources(limits={"c": None}, cores_to_files=True), "core dumps", "odd", "ulimit -c 0"),
        (place(trouble="there: Permission denied"), "--builds", "missing", "--builds"),
        (place("", trouble="x"), "temporary directory", "missing", "TMPDIR"),
        (place(free=1 << 30), "--builds", "odd", "store --prune"),
        (place("--results", free=1 << 20), "--results", "odd", "name another with --results"),
        (place(allocates=False), "--builds", "odd", "quota"),
        (place(executable=False), "--builds", "odd", "no build can be loaded"),
        (place("", executable=False), "temporary directory", "odd", "`reproducer` and `bench`"),
        (place(foreign=True), "--builds", "odd", "pruned"),
        (place(locks=False, filesystem="nfs"), "--builds", "odd", "one at a time"),
        (place(filesystem="fuse.sshfs"), "--builds", "odd", "slower"),
        (place(skew=-60.0), "--builds", "odd", "clocks"),
        (replace(GOOD, store=StoreHealth(bytes=2, limit=1)), "build store", "odd", "--prune"),
        (replace(GOOD, store=StoreHealth(leftovers=2)), "build store", "odd", "--prune"),
        (surroundings(index=HERE), "package index", "ok", ""),
        (surroundings(index=Answer(missing="x")), "package index", "missing", "in the store"),
        (surroundings(pip="pip.conf: x"), "pip's configuration", "odd", "pip config debug"),
        (replace(GOOD, unpinned=("ncnn 9",)), "lock file", "odd", "harness lock --config"),
        (surroundings(newest="2200-01-01"), "clock", "odd", "timedatectl"),
        (surroundings(encodings={"output": "ascii"}), "encoding", "odd", "PYTHONUTF8=1"),
        (surroundings(exposed=("they can write: no Landlock",)), "sandbox", "missing", "no Landl"),
        (surroundings(exposed=("it cannot be tried",)), "sandbox", "missing", "cannot be tried"),
    ],
)
def test_trouble(machine: Machine, what: str, state: str, words: str) -> None:
    (finding,) = (each for each in examine(machine) if each.what == what)
    assert finding.state == state
    assert words in f"{finding.cost} {finding.remedy}"
    assert bool(finding.cost and finding.remedy) == (state != "ok")
    assert not [each for each in examine(machine) if each.state != "ok" and not each.what]


@pytest.mark.parametrize(
    ("machine", "code"),
    [
        (GOOD, 0),
        (software(cache=Answer(missing="x")), 0),
        (surroundings(index=Answer(missing="x")), 0),
        (place(free=0), 1),
        (place(executable=False), 3),
        (place("", executable=False), 1),
        (software(headers=Answer(missing="x")), 3),
    ],
)
def test_exit_codes(machine: Machine, code: int) -> None:
    assert exit_code(examine(machine)) == code
