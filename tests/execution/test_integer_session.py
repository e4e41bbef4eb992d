from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from harness.execution.integer_session import IntegerSession
from harness.execution.session import ForwardPass, Reply
from harness.model.integer_blobs import integer_blobs
from harness.model.param import parse

HEAD = "7767517\n4 5\n"


class Echo:
    """A session that gives back what it is fed with."""

    defaults: Mapping[str, bool | int] = {"a": True}
    options: Mapping[str, bool | int] = {"a": False}
    device: Mapping[str, str] = {}

    def placement(self, layers: int) -> tuple[str, ...]:
        return ("",) * layers

    def run(self, requests: Sequence[ForwardPass]) -> Iterator[Reply]:
        for request in requests:
            self.fed = request.feeds
            yield Reply(blobs=request.feeds)


def test_numbers_above_bits_below() -> None:
    inner = Echo()
    session = IntegerSession(inner, frozenset({"ids"}))
    feeds = {"ids": np.array([0, 7, 50000], np.float32), "x": np.array([1.5], np.float32)}
    (reply,) = session.run([ForwardPass(feeds=feeds, blobs=["ids", "x"])])
    assert inner.fed["ids"].dtype == np.float32
    assert inner.fed["ids"].view(np.int32).tolist() == [0, 7, 50000]
    assert inner.fed["x"] is feeds["x"]
    assert {name: array.tolist() for name, array in reply.blobs.items()} == {
        "ids": [0, 7, 50000],
        "x": [1.5],
    }


@pytest.mark.parametrize(
    ("layers", "blobs"),
    [
        ("Input i 0 1 a\nEmbed e 1 1 a b\nReLU r 1 1 b c\nReLU s 1 1 c d", {"a"}),
        ("Input i 0 1 a\nSplit s 1 2 a b c\nEmbed e 1 1 b d\nReLU r 1 1 c e", {"a", "b", "c"}),
        ("Input i 0 1 a\nReshape r 1 1 a b\nSqueeze q 1 1 b c\nEmbed e 1 1 c d", {"a", "b", "c"}),
        ("Input i 0 1 a\nSplit s 1 2 a b c\nReLU e 1 1 b d\nReLU r 1 1 c e", set()),
    ],
)
def test_blobs_that_hold_integers(layers: str, blobs: set[str]) -> None:
    assert integer_blobs(parse(f"{HEAD}{layers}\n")) == blobs
