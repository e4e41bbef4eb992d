"""The runner, for real: on this machine, with a core that has no ncnn in it."""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.build.plan import NATIVE
from harness.build.runner import compiler_of, runner_command
from harness.build.toolchain import find_compiler
from harness.domain.spec import OptionValue, Target, When
from harness.execution.remote_session import RemoteSession
from harness.execution.session import (
    ForwardPass,
    LoadError,
    NoDeviceError,
    RunError,
    Setup,
    UnsupportedError,
    check_setup,
    device_properties,
)
from harness.util.build_store import Store
from harness.util.errors import MachineError

HERE = Target(
    name="here",
    compiler="c++",
    system="Linux",
    processor="x86_64",
    arch="x86",
    emulator="nice -n 1",
    install="apt-get install g++",
)


def setup(core: Path, when: When = "first", /, name: str = "m", **options: OptionValue) -> Setup:
    param, weights = Path(f"/{name}.param"), Path("/m.bin")
    return Setup(core=core, param=param, weights=weights, options=options, when=when)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    return runner_command(HERE, Store(root=tmp_path_factory.mktemp("builds")))


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("core folder") / "core.so"
    source = Path(__file__).with_name("fake_core.cpp")
    words = ["-shared", "-fPIC", f"-I{NATIVE}", str(source), "-o", str(path)]
    subprocess.run([str(find_compiler("").path), *words], check=True)
    return path


def request_of(first: float, repeats: int = 1) -> ForwardPass:
    array = np.array([[[first, -1.0], [2.0, 0.5]]], np.float32)
    return ForwardPass(feeds={"x": array}, blobs=["y"], repeats=repeats)


@pytest.mark.native
def test_options_and_tensors_come_and_go(
    command: tuple[str, ...], core: Path, tmp_path: Path
) -> None:
    session = RemoteSession(command, setup(core, use_fp16_storage=False), tmp_path / "work")
    assert session.defaults == {"use_fp16_storage": True, "num_threads": 4}
    assert session.options == {"use_fp16_storage": False, "num_threads": 1}
    assert session.placement(2) == ("", "")
    first, second = session.run([request_of(1.0, repeats=2), request_of(3.0)])
    np.testing.assert_array_equal(first.blobs["y"], [[[1.0, 0.0], [2.0, 0.5]]])
    np.testing.assert_array_equal(second.blobs["y"], [[[3.0, 0.0], [2.0, 0.5]]])
    assert not first.failures


@pytest.mark.native
@pytest.mark.parametrize(
    "name", ["/in/x", "../../x", "a\u2028b", "a\x85b", "\udce9", "$(id)", "日本"]
)
def test_blobs_may_be_called_anything(
    command: tuple[str, ...], core: Path, tmp_path: Path, name: str
) -> None:
    session = RemoteSession(command, setup(core), tmp_path / "work")
    (plain,) = session.run([request_of(1.0)])
    (reply,) = session.run([replace(request_of(1.0), blobs=[name, f"{name}.2"])])
    for blob in reply.blobs.values():
        np.testing.assert_array_equal(blob, plain.blobs["y"])
    assert list(reply.blobs) == [name, f"{name}.2"]


@pytest.mark.native
@pytest.mark.parametrize(
    ("when", "exact"),
    [("first", True), ("after-param", True), ("after-model", False), ("after-extractor", False)],
)
def test_options_set_late_do_not_change_the_weights(
    command: tuple[str, ...], core: Path, tmp_path: Path, when: When, exact: bool
) -> None:
    session = RemoteSession(command, setup(core, when, use_fp16_storage=False), tmp_path / "work")
    (reply,) = session.run([request_of(1.0)])
    assert session.options["use_fp16_storage"] is False
    assert (reply.blobs["y"][0, 0, 0] == 1.0) == exact


@pytest.mark.native
def test_what_goes_wrong_is_told_apart(
    command: tuple[str, ...], core: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match="no option use_magic"):
        RemoteSession(command, setup(core, use_magic=True), tmp_path / "a")
    with pytest.raises(LoadError, match=r"ncnn refuses: param /refused\.param"):
        RemoteSession(command, setup(core, name="refused"), tmp_path / "b")
    session = RemoteSession(command, setup(core), tmp_path / "c")
    with pytest.raises(RunError, match="nice: SIGILL"):
        next(session.run([request_of(101.0)]))
    with pytest.raises(RunError, match="nice: exit code 7"):
        next(session.run([request_of(105.0)]))


@pytest.mark.parametrize(
    ("devices", "error", "message"),
    [
        (-1, UnsupportedError, "this build has no Vulkan"),
        (0, NoDeviceError, "no Vulkan device. With a graphics card: "),
    ],
)
def test_vulkan_that_is_not_there(devices: int, error: type[Exception], message: str) -> None:
    wanted = setup(Path("core"), use_vulkan_compute=True)
    with pytest.raises(error, match=message):
        check_setup(wanted, {"use_vulkan_compute": False}, devices)
    check_setup(wanted, {"use_vulkan_compute": False}, 1)


def test_device_properties_are_lines() -> None:
    text = "device_name llvmpipe (LLVM 15.0.6, 256 bits)\nsupport_fp16_storage 1\n"
    assert device_properties(text) == {
        "device_name": "llvmpipe (LLVM 15.0.6, 256 bits)",
        "support_fp16_storage": "1",
    }


def test_missing_emulator_names_the_command_that_installs_it() -> None:
    target = Target(
        name="board",
        compiler="sh",
        system="Linux",
        processor="x",
        arch="x",
        emulator="no-such-emulator -x",
        install="apt-get go",
    )
    with pytest.raises(MachineError, match="target board: no-such-emulator not found: apt-get go"):
        compiler_of(target)
