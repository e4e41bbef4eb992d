import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.build import builder as building
from harness.build import cmake
from harness.build.builder import BUILD, LOG, SOURCE, Build, Builder
from harness.build.compiler_cache import CompilerCache
from harness.build.plan import CORE, BuildPlan, configure_command, plan_build, with_needs
from harness.build.toolchain import Compiler
from harness.domain.spec import BuildSpec, FlagSet, Revision
from harness.sources import SourceTree
from harness.sources.tree import ChangedSourceError, tree_digest
from harness.util.build_store import Store
from harness.util.errors import BuildError, MachineError, UnbuildableError
from harness.util.process import Completed, Processes
from harness.util.sealed import read_sealed

FILES = {
    "CMakeLists.txt": 'option(NCNN_AVX2 "" ON)\noption(NCNN_VULKAN "" OFF)\n',
    "src/CMakeLists.txt": "\n".join(
        f"ncnn_add_layer({name})" for name in ("Input", "InnerProduct", "RNN")
    ),
    "src/option.h": "    bool lightmode;\n    int num_threads;\n",
    "src/option.cpp": "    lightmode = true;\n",
    "src/layer/rnn.cpp": "void RNN::f()\n{\n}\n",
    "src/mat_pixel.cpp": "void resize(int a)\n{\n}\n",
}
REPLIES = {
    "cache-v2": {"entries": [{"name": "NCNN_AVX2", "value": "ON"}, {"name": "x", "value": "1"}]},
    "toolchains-v1": {
        "toolchains": [{"language": "CXX", "compiler": {"id": "GNU", "version": "12.2.0"}}]
    },
}


@dataclass
class FakeTools:
    """CMake and Ninja: how the compile steps end, and with which environment they ran."""

    ends: list[str]
    """Output per compile step; empty for success."""
    environments: list[dict[str, str | None]] = field(default_factory=list)
    configured: list[list[str]] = field(default_factory=list)

    def __call__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        timeout: float,
        env: Mapping[str, str | None],
        memory_bytes: int,
        watch: Callable[[str], None],
    ) -> Completed:
        output = ""
        if command[0] == cmake.CMAKE:
            build = Path(command[list(command).index("-B") + 1])
            replies = build / ".cmake" / "api" / "v1" / "reply"
            replies.mkdir(exist_ok=True)
            self.configured.append([str(word) for word in command])
            for kind, content in REPLIES.items():
                (replies / f"{kind}-1.json").write_text(json.dumps(content))
            (build / "compile_commands.json").write_text("[]")
            (build / cmake.ANSWERS).write_text('set(HARNESS_PROBE_a "1")\n')
        else:
            self.environments.append(dict(env))
            output = self.ends.pop(0)
            watch("[7/9] Building CXX object innerproduct.cpp.o")
            Path(command[2], CORE).touch()
        with log.open("a") as stream:
            stream.write(output)
        return Completed(
            command=(), returncode=bool(output), seconds=1, output=output, timed_out=False
        )


@pytest.fixture
def plan(tmp_path: Path) -> BuildPlan:
    tree = tmp_path / "tree"
    for name, text in FILES.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    spec = BuildSpec(
        revision=Revision(label="1", kind="directory", name=str(tree)),
        flags=FlagSet(name="f", options=(("NCNN_AVX2", "ON"),)),
        layers=frozenset({"InnerProduct"}),
    )
    source = SourceTree(path=tree, digest=tree_digest(tree), description="")
    compiler = Compiler(path=Path("/usr/bin/c++"), version="1")
    return plan_build(spec, source, compiler, arch="x86")


@pytest.fixture
def builder(tmp_path: Path) -> Builder:
    return Builder(store=Store(root=tmp_path / "builds"), jobs=1, timeout=1)


def run_with(monkeypatch: pytest.MonkeyPatch, *ends: str) -> FakeTools:
    tools = FakeTools(list(ends))
    monkeypatch.setattr(Processes, "run", staticmethod(tools))
    monkeypatch.setattr(building, "find_compiler_cache", lambda *_, **__: None)
    return tools


def shortcuts(tools: FakeTools) -> list[bool]:
    return ["HARNESS_SHORTCUTS" in environment for environment in tools.environments]


@pytest.mark.parametrize(
    ("ends", "tried"), [(("",), [True]), (("a.cpp: error: b", ""), [True, False])]
)
def test_shortcuts_are_given_up_where_they_fail(
    monkeypatch: pytest.MonkeyPatch,
    builder: Builder,
    plan: BuildPlan,
    ends: tuple[str, ...],
    tried: list[bool],
) -> None:
    tools = run_with(monkeypatch, *ends)
    build = builder.build(plan)
    assert shortcuts(tools) == tried
    assert {Path(str(env["TMPDIR"])).parent.parent for env in tools.environments} == {
        builder.store.work
    }
    assert build == builder.find(plan)
    assert build.core.exists()
    assert build.record.cmake_cache == {"NCNN_AVX2": "ON"}
    assert "".join(ends) in build.core.with_name(LOG).read_text()
    assert not list(builder.store.work.iterdir())


RNN = "ld: libncnn.a(innerproduct.cpp.o):(.text+0x1): undefined reference to `ncnn::RNN::f()'"
PIXEL = "ld: libncnn.a(innerproduct.cpp.o):(.text+0x1): undefined reference to `ncnn::resize(int)'"
NOWHERE = "ld: libncnn.a(innerproduct.cpp.o):(.text+0x1): undefined reference to `nowhere'"


@pytest.mark.parametrize(
    ("misses", "layers", "kept", "untrimmed"),
    [
        (RNN, {"InnerProduct", "Input", "RNN"}, "", False),
        (PIXEL, {"InnerProduct", "Input"}, "mat_pixel.cpp", False),
        (NOWHERE, {"InnerProduct", "Input", "RNN"}, "", True),
    ],
)
def test_what_a_linker_misses_is_compiled_in_the_same_place(
    monkeypatch: pytest.MonkeyPatch,
    builder: Builder,
    plan: BuildPlan,
    misses: str,
    layers: set[str],
    kept: str,
    untrimmed: bool,
) -> None:
    tools = run_with(monkeypatch, misses, "")
    build = builder.build(plan)
    assert set(build.record.layers) == layers
    assert bool(build.record.untrimmed) is untrimmed
    assert shortcuts(tools) == [True, True]
    assert [e["HARNESS_KEPT"] for e in tools.environments] == ["", kept]
    assert ("-DWITH_LAYER_rnn=ON" in tools.configured[1]) is ("RNN" in layers)
    needs = builder.needs.recall(plan.tree, "x86")
    again = with_needs(plan, needs)
    assert builder.find(again) == build
    assert again.untrimmed == build.record.untrimmed


def test_a_full_disk_is_no_failure_of_a_link(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan
) -> None:
    run_with(monkeypatch, NOWHERE, "a.s: error: No space left on device")
    with pytest.raises(MachineError, match="Free disk"):
        builder.build(plan)
    run_with(monkeypatch, NOWHERE, "rnn.cpp: error: x")
    with pytest.raises(BuildError, match="undefined reference to `nowhere'"):
        builder.build(plan)
    with pytest.raises(BuildError, match="remembered"):
        builder.build(plan)


def test_compiler_cache_is_in_front_of_the_first_attempt_only(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan
) -> None:
    tools = run_with(monkeypatch, "a.cpp: error: b", "")
    cache = CompilerCache(program=Path("cache"), environment={"CACHE_DIR": "c"})
    monkeypatch.setattr(building, "find_compiler_cache", lambda *_, **__: cache)
    builder.build(plan)
    assert [e.get("HARNESS_LAUNCHER") for e in tools.environments] == ["cache", None]
    assert [e.get("CACHE_DIR") for e in tools.environments] == ["c", None]


def test_a_damaged_cache_is_given_another_try(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan
) -> None:
    notes = builder.store.objects / "sccache" / "preprocessor"
    notes.mkdir(parents=True)
    tools = run_with(monkeypatch, "FAILED: a.o\nsccache: encountered fatal error\n", "")
    assert builder.build(plan)
    assert shortcuts(tools) == [True, True]
    assert not notes.exists()


def test_a_failure_is_remembered(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan
) -> None:
    run_with(monkeypatch, "a.cpp: error: with", "a.cpp: error: without")
    with pytest.raises(BuildError, match="error: without") as caught:
        builder.build(plan)
    assert "error: with\n" not in str(caught.value)
    assert "error: with" in Path(str(caught.value.log)).read_text()
    with pytest.raises(BuildError, match="remembered"):
        builder.build(plan)
    again = Builder(store=builder.store, jobs=1, timeout=1, retry_failed=True)
    run_with(monkeypatch, "")
    assert isinstance(again.build(plan), Build)
    assert builder.find(plan)


@pytest.mark.parametrize(
    ("output", "error"),
    [
        ("a.cpp:1:1: fatal error: vulkan/vulkan.h: No such file or directory", UnbuildableError),
        ("a.cpp:1:1: internal compiler error: Segmentation fault", BuildError),
        ("c++: fatal error: Killed signal terminated program cc1plus", MachineError),
        ("ninja: fatal: pipe: Too many open files", MachineError),
        ("as: a.o: File too large", MachineError),
    ],
)
def test_what_is_not_ncnns_is_not_remembered(
    monkeypatch: pytest.MonkeyPatch,
    builder: Builder,
    plan: BuildPlan,
    output: str,
    error: type[Exception],
) -> None:
    run_with(monkeypatch, output, output)
    with pytest.raises(error) as caught:
        builder.build(plan)
    assert not list(builder.store.failures.glob("*"))
    if isinstance(caught.value, BuildError):
        assert output in Path(str(caught.value.log)).read_text()
    run_with(monkeypatch, "")
    assert builder.build(plan)


def test_a_source_that_changed_is_not_compiled(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan
) -> None:
    tools = run_with(monkeypatch, "")
    (plan.tree.path / "src" / "option.h").write_text("    bool other;\n")
    with pytest.raises(ChangedSourceError, match="changed since it was read"):
        builder.build(plan)
    assert not tools.configured


def test_a_full_disk_is_no_failure_of_the_build(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan
) -> None:
    tools = run_with(monkeypatch, "a.s: error: No space left on device", "")
    with pytest.raises(MachineError, match="Free disk"):
        builder.build(plan)
    assert len(tools.environments) == 1
    assert builder.build(plan)


def test_somebody_is_told_how_far_a_build_is(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan
) -> None:
    run_with(monkeypatch, "")
    told: list[tuple[str, int, int]] = []
    replace(builder, watch=lambda *steps: told.append(steps)).build(plan)
    assert told == [(plan.spec.id, 7, 9)]


def test_answers_of_the_compiler_are_kept(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan
) -> None:
    tools = run_with(monkeypatch, "")
    builder.build(plan)
    (answers,) = builder.store.probes.iterdir()
    assert read_sealed(answers) == 'set(HARNESS_PROBE_a "1")\n'
    assert tools.environments[0]["HARNESS_PROBES"] == str(answers)
    assert "HARNESS_LAUNCHER" not in tools.environments[0]


def test_what_decides_how_fast_is_not_in_the_key(plan: BuildPlan, tmp_path: Path) -> None:
    words = [str(word) for word in configure_command(plan, tmp_path, tmp_path)]
    assert "-DWITH_LAYER_rnn=OFF" in words
    assert not [word for word in words if "LAUNCHER" in word or "SHORTCUTS" in word]


def lay(source: Path) -> None:
    source.mkdir(parents=True)
    (source / "own").touch()


def test_a_workplace_is_there_while_it_is_used(
    monkeypatch: pytest.MonkeyPatch, builder: Builder, plan: BuildPlan, tmp_path: Path
) -> None:
    tools = run_with(monkeypatch, "a.cpp: error: with", "")
    log = tmp_path / "log"
    with builder.workplace(plan, lay, log=log) as work:
        assert (work / SOURCE / "own").exists()
        assert (work / BUILD / CORE).exists()
        assert str(work / SOURCE) in tools.configured[-1]
    assert not work.exists()
    assert shortcuts(tools) == [True, False]
    assert "error: with" in log.read_text()
    # It is nobody else's business.
    assert builder.find(plan) is None


@pytest.mark.parametrize(
    ("ends", "error", "message"),
    [
        (("a.cpp: error: with", "a.cpp: error: without"), BuildError, "error: without"),
        (("a.s: error: No space left on device",), MachineError, "Free disk"),
    ],
)
def test_a_workplace_that_does_not_compile(
    monkeypatch: pytest.MonkeyPatch,
    builder: Builder,
    plan: BuildPlan,
    tmp_path: Path,
    ends: tuple[str, ...],
    error: type[Exception],
    message: str,
) -> None:
    run_with(monkeypatch, *ends)
    log = tmp_path / "log"
    with (
        pytest.raises(error, match=message),
        builder.workplace(plan, lay, log=log),
    ):
        pytest.fail("there is nothing to use")
    assert ends[-1] in log.read_text()
    assert not list(builder.store.work.iterdir())
    run_with(monkeypatch, "")
    assert builder.build(plan)
