"""A session in another program: the runner, started by an emulator or on a device.

The program gets a script and `.npy` files and answers in lines; `native/runner.cpp` defines both.
It starts anew for each batch of requests and loads the model each time.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from harness.domain.spec import THREADS
from harness.execution.heap import environment
from harness.execution.mishap import sent
from harness.execution.session import (
    PLACES,
    Array,
    ForwardPass,
    LoadError,
    Reply,
    RunError,
    Setup,
    check_setup,
    device_properties,
)
from harness.execution.worker_end import MachineLimitError
from harness.util.process import FROM_OUTSIDE, signal_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CODES = {4: "the model has no such blob", 6: "this build of ncnn cannot hold a tensor of that rank"}
"""What the core's codes for a blob mean; any other says that ncnn could not compute it."""
MOST_BYTES = 16 << 20
"""Of all answers to a script: a line per option, blob and layer."""


class RemoteSession:
    """A session over the runner."""

    def __init__(self, command: Sequence[str], setup: Setup, folder: Path) -> None:
        """Ask a build for its options and load the model for a first time.

        Args:
            command: what runs the runner, such as an emulator with its arguments,
                and its path.
            setup: the model and the options.
            folder: where scripts and tensors go; made here.

        Raises:
            UnsupportedError: the build does not have what is asked for.
            NoDeviceError: Vulkan without a device.
            LoadError: ncnn does not take the model; its own words are on stderr.
            RunError: the program did not end well.
        """
        folder.mkdir()
        self._command = tuple(command)
        self._setup = setup
        self._folder = folder
        answers = self._follow(["options", *(["devices"] if setup.wants_vulkan else [])])
        with self._understood():
            self.defaults: Mapping[str, bool | int] = _options(answers)
            devices = [int(text) for text in _answers(answers, "devices")]
        check_setup(setup, self.defaults, devices[0] if devices else -1)
        self.device: Mapping[str, str] = device_properties("\n".join(_answers(answers, "device")))
        answers = self._follow([*self._load(), "options"])
        with self._understood():
            loaded = _options(answers)
        self.options: Mapping[str, bool | int] = setup.finally_set(loaded)

    def placement(self, layers: int) -> tuple[str, ...]:
        """Return where each layer runs, if a device is in use."""
        if not self.device:
            return ("",) * layers
        answers = self._follow([*self._load(), f"places {layers}"])
        with self._understood():
            places = tuple(PLACES[int(code)] for code in _answers(answers, "place"))
            if len(places) != layers:
                raise ValueError(f"{len(places)} places of {layers} layers")
            return places

    def run(self, requests: Sequence[ForwardPass]) -> Iterator[Reply]:
        """Answer the requests in their order.

        Raises:
            RunError: the program did not end well.
        """
        script = self._load()
        for index, request in enumerate(requests):
            script += self._passes(index, request)
        answers = iter(self._follow(script))
        for index, request in enumerate(requests):
            with self._understood():
                replies = [self._reply(index, request, answers) for _ in range(request.repeats)]
            yield Reply.fastest(replies)

    def _load(self) -> list[str]:
        """Return the commands that load the model, with the options set when they should be."""
        setup = self._setup
        script = [f"set {THREADS} {setup.threads}", *self._set_if(setup.when == "first")]
        script += [f"param {setup.param}", *self._set_if(setup.when == "after-param")]
        script += [f"model {setup.weights}", *self._set_if(setup.when == "after-model")]
        return [*script, *(f"set {name} 0" for name in setup.without_pools(self.defaults))]

    def _set_if(self, due: bool, values: Mapping[str, bool | int] | None = None) -> list[str]:
        """Return the commands that set the options, if now is the time."""
        values = self._setup.options if values is None else values
        return [f"set {name} {int(values[name])}" for name in self._setup.options] if due else []

    def _passes(self, index: int, request: ForwardPass) -> list[str]:
        """Write the tensors of one request and return its commands."""
        late = self._setup.when == "after-extractor"
        # As if no pass had been there before, and set no option.
        script = self._set_if(late, self.defaults)
        script += [f"pass {int(request.keep_intermediate)}", *self._set_if(late)]
        for number, (blob, array) in enumerate(request.feeds.items()):
            path = self._folder / f"in-{index}-{number}.npy"
            np.save(path, np.ascontiguousarray(array, dtype=np.float32))
            script.append(f"input {blob} {path}")
        script += [
            f"extract {blob} {self._out(index, number)}"
            for number, blob in enumerate(request.blobs)
        ]
        return [*script, "end"] * request.repeats

    def _out(self, index: int, number: int) -> Path:
        return self._folder / f"out-{index}-{number}.npy"

    def _reply(self, index: int, request: ForwardPass, answers: Iterator[str]) -> Reply:
        """Read the answers to one pass."""
        blobs: dict[str, Array] = {}
        failures: dict[str, str] = {}
        for number, blob in enumerate(request.blobs):
            code = int(next(answers).rpartition(" ")[2])
            if code:
                failures[blob] = f"{blob}: {CODES.get(code, 'ncnn could not compute this blob')}"
            else:
                blobs[blob] = np.load(self._out(index, number), allow_pickle=False)
        seconds = float(next(answers).removeprefix("seconds "))
        if not 0 <= seconds < math.inf:
            raise ValueError(f"{seconds} seconds")
        return Reply(blobs=blobs, failures=failures, seconds=seconds)

    def _follow(self, script: Sequence[str]) -> list[str]:
        """Run the program on a script and return the lines it answers.

        It stays in this process's group, so that whoever ends this process ends it too, and
        inherits stderr, where ncnn talks.
        """
        file = self._folder / "script"
        file.write_bytes("".join(f"{line}\n" for line in script).encode(errors="surrogateescape"))
        command = [*self._command, str(self._setup.core), str(file)]
        env = {**os.environ, **environment(self._setup.heap)}
        name = Path(self._command[0]).name
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env
        ) as process:
            assert process.stdout
            said = process.stdout.read(MOST_BYTES + 1)
            if len(said) > MOST_BYTES:
                process.kill()
                raise RunError(f"{name}: it answers without end")
        # Blobs may be called anything, in any encoding; only line feeds end an answer.
        lines = said.decode(errors="surrogateescape").split("\n")[:-1]
        for error in _answers(lines, "error"):
            _, _, what = error.partition(" ")
            raise LoadError(f"ncnn refuses: {what}")
        fate = process.returncode
        if fate:
            # An emulator passes on the signal that its program died of as 128 plus its number.
            number = -fate if fate < 0 else fate - 128
            if number in FROM_OUTSIDE:
                raise MachineLimitError(sent(number))
            how = signal_name(number) if number > 0 else f"exit code {fate}"
            raise RunError(f"{name}: {how}")
        return lines

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Have answers that make no sense be a failure of the program that gave them."""
        try:
            yield
        except (ValueError, LookupError, EOFError, OSError, StopIteration) as error:
            name = Path(self._command[0]).name
            raise RunError(f"{name}: its answers make no sense ({error!r:.200})") from error


def _answers(lines: Sequence[str], kind: str) -> list[str]:
    return [line.removeprefix(f"{kind} ") for line in lines if line.startswith(f"{kind} ")]


def _options(lines: Sequence[str]) -> dict[str, bool | int]:
    options: dict[str, bool | int] = {}
    for answer in _answers(lines, "option"):
        name, kind, value = answer.split()
        options[name] = bool(int(value)) if kind == "bool" else int(value)
    return options
