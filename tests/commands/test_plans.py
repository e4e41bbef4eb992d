"""Commands × targets: whatever asks for a build, the same flag set gives the same plan."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from harness.__main__ import main
from harness.build import resolver
from harness.build.plan import BuildPlan, plan_build
from harness.build.toolchain import Compiler
from harness.execution import local_machine
from harness.sources import SourceTree
from tests import one_layer
from tests.sources.conftest import empty_repository

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.domain.spec import Revision, Target

HOST, GLSLANG = Path("/bin/host-g++"), Path("/glslang")
NCNN = {
    "CMakeLists.txt": "option(NCNN_VULKAN x)\noption(NCNN_ARM82 x)\noption(NCNN_AVX2 x)\n",
    "src/CMakeLists.txt": "ncnn_add_layer(InnerProduct)\nncnn_add_layer(Input)\n",
    "src/option.h": "class Option\n",
    "src/option.cpp": "Option::Option()\n",
    "src/layer/innerproduct.cpp": "int innerproduct;\n",
}

EXPECTED = {
    "avx2": (HOST, "x86", None, {"NCNN_AVX2": "ON", "NCNN_VULKAN": "OFF"}),
    "vulkan": (HOST, "x86", GLSLANG, {"NCNN_AVX2": "ON", "NCNN_VULKAN": "ON"}),
    "arm64-fp16": (
        Path("/bin/aarch64-linux-gnu-g++"),
        "arm",
        None,
        {"NCNN_ARM82": "ON", "CMAKE_SYSTEM_PROCESSOR": "aarch64"},
    ),
}
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "matrix": lambda flags: ["matrix", "--version=new", f"--flags={flags}"],
    "diagnose": lambda flags: ["diagnose", "--version=new", f"--flags={flags}"],
    "bisect over revisions": lambda flags: [
        "bisect", "--good=old", "--bad=new", f"--flags={flags}", "--layer=fc",
    ],
    "bisect over options": lambda flags: [
        "bisect", "--version=new", f"--good-flags={flags}", f"--bad-flags={flags}",
        "--good-run=fp16-off", "--bad-run=default",
    ],
    "bisect-step": lambda flags: ["bisect-step", f"--flags={flags}", "--threshold=1e-4"],
    "sweep": lambda flags: [
        "sweep", "--versions", "new", f"--flags={flags}", "--case=InnerProduct:0=2,2=6:3",
    ],
    "reproducer": lambda flags: [
        "reproducer", "--case=InnerProduct:0=2,2=6:3", "--bad=new", f"--flags={flags}",
    ],
    "bench": lambda flags: ["bench", "--version=new", f"--flags={flags}", "--no-matrix"],
}  # fmt: skip


class Planned(BaseException):
    """Ends a command when it has planned its first build."""

    def __init__(self, plan: BuildPlan) -> None:
        self.plan = plan


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of ncnn with two tags, a model, and no compilers but by their names."""
    repo = empty_repository(tmp_path / "ncnn")
    for tag in ("old", "new"):
        for name, text in {**NCNN, "src/version.h": tag}.items():
            repo.write(name, text)
        repo.commit(tag)
        repo.git("tag", tag)
    one_layer.write_model(tmp_path)
    matrix = '[source]\ngit = "ncnn"\n[matrix]\nversions = ["new"]\nflags = ["sse2"]\n'
    (tmp_path / "c.toml").write_text(one_layer.CONFIG + matrix + 'runs = ["default"]\n')
    monkeypatch.chdir(tmp_path)

    def obtain(revision: Revision, *, with_glslang: bool = False, **_: Any) -> SourceTree:
        del revision
        return SourceTree(
            path=repo.path, digest="d", description="", glslang=GLSLANG if with_glslang else None
        )

    def stop(*arguments: Any, **keywords: Any) -> BuildPlan:
        raise Planned(plan_build(*arguments, **keywords))

    def compiler_of(target: Target) -> Compiler:
        return Compiler(path=Path("/bin", target.compiler), version="12")

    def binding_in_background(*_: Any) -> Future[Path]:
        return Future()

    for name, function in (
        ("obtain", obtain),
        ("obtain_all", lambda revisions, **_: {r: obtain(r) for r in revisions}),
        ("plan_build", stop),
        ("find_compiler", lambda _: Compiler(path=HOST, version="12")),
        ("compiler_of", compiler_of),
        ("check_sdk", lambda *_: None),
        ("shared_glslang", lambda *_: GLSLANG),
        ("missing_features", lambda _: ()),
        ("layer_arch", lambda: "x86"),
    ):
        monkeypatch.setattr(resolver, name, function)
    monkeypatch.setattr(local_machine, "binding_in_background", binding_in_background)
    monkeypatch.setattr(local_machine, "find_compiler", lambda _: None)
    return tmp_path


@pytest.mark.parametrize("flags", EXPECTED)
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_plans_alike(command: str, flags: str, project: Path) -> None:
    words = COMMANDS[command](flags)
    words += ["--config=c.toml", f"--builds={project / 'builds'}"]
    words += [f"--repo={project / 'ncnn'}"] if words[0] == "bisect-step" else []
    with pytest.raises(Planned) as stopped:
        main(words)
    plan = stopped.value.plan
    compiler, arch, glslang, options = EXPECTED[flags]
    assert (plan.compiler.path, plan.arch, plan.glslang) == (compiler, arch, glslang)
    assert options.items() <= dict(plan.options).items()
    assert plan.spec.flags.name == flags
