"""What workers say is read as foreign data: what does not fit is left out."""

from pathlib import Path

import numpy as np
import pytest

from harness.execution import messages
from harness.execution.job import AloneDone, ChainDone, InputDone, Job, JobInput, Message, Opened
from harness.execution.messages import array_of, messages_of

CHAIN = ChainDone(input="a", shapes={"y": (2, 4)}, spoilt={"y": 1}, latency_ms=1.0)
ALONE = AloneDone(input="a", layer="relu", reasons={"y": "why"})


def read(tmp_path: Path, *lines: str | bytes | Message) -> list[Message]:
    (tmp_path / "m.param").write_text("7767517\n2 2\nInput in 0 1 x\nReLU relu 1 1 x y\n")
    job = Job(
        binding="",
        core="",
        param=str(tmp_path / "m.param"),
        bin="",
        inputs=(JobInput(name="a", feeds={}),),
        outputs=("y",),
    )
    own = tmp_path / "own"
    own.mkdir()
    texts = [x.model_dump_json() if not isinstance(x, str | bytes) else x for x in lines]
    data = b"\n".join(text.encode() if isinstance(text, str) else text for text in texts)
    (own / "messages").write_bytes(data)
    np.save(own / "y.npy", np.zeros(3, np.float32))
    (own / "link.npy").symlink_to(tmp_path / "m.param")
    return messages_of(own / "messages", job, [own])


def test_what_fits_is_taken(tmp_path: Path) -> None:
    own = tmp_path / "own" / "y.npy"
    kept = CHAIN.model_copy(update={"output_files": {"y": str(own)}})
    said: list[Message] = [Opened(), kept, ALONE, InputDone(input="a")]
    assert read(tmp_path, *said) == said


@pytest.mark.parametrize(
    "line",
    [
        InputDone(input="nobody"),
        CHAIN.model_copy(update={"input": "nobody"}),
        CHAIN.model_copy(update={"shapes": {"z": (1,)}}),
        CHAIN.model_copy(update={"shapes": {"y": (-1,)}}),
        CHAIN.model_copy(update={"spoilt": {"y": -1}}),
        CHAIN.model_copy(update={"latency_ms": float("nan")}),
        CHAIN.model_copy(update={"slowest_ms": -1.0}),
        CHAIN.model_copy(update={"output_files": {"y": "/etc/passwd"}}),
        CHAIN.model_copy(update={"output_files": {"x": "/etc/passwd"}}),
        CHAIN.model_copy(update={"files": {"y": "own/../m.param"}}),
        ALONE.model_copy(update={"layer": "nobody"}),
        ALONE.model_copy(update={"reasons": {"x": "another layer's"}}),
        ALONE.model_copy(update={"died": "SIGSEGV"}),
        "",
        "null",
        "[1]",
        '{"kind": "chain"}',
        '{"kind": "opened", "more": 1}',
        '{"kind": "done", "input": "a"',
        "[" * 100_000,
        "1" * 10_000,
        b"\xff\xfe\x00",
        b"\0" * 4096,
        '{"kind": "done", "input": "\x00"}',
    ],
)
def test_what_does_not_fit_is_left_out(tmp_path: Path, line: str | bytes | Message) -> None:
    assert read(tmp_path, line, ALONE) == [ALONE]


def test_links_are_not_followed(tmp_path: Path) -> None:
    link = str(tmp_path / "own" / "link.npy")
    assert read(tmp_path, CHAIN.model_copy(update={"output_files": {"y": link}})) == []


def test_no_more_is_read_than_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MOST_BYTES", 1000)
    assert len(read(tmp_path, *[ALONE] * 1000)) < 20


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"PK\x03\x04", b"x" * 100])
def test_what_is_no_tensor_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    assert array_of(str(tmp_path / "x.npy")) is None
    np.save(tmp_path / "object.npy", np.array([{}], dtype=object), allow_pickle=True)
    assert array_of(str(tmp_path / "object.npy")) is None
    assert array_of(str(tmp_path / "nowhere.npy")) is None
