"""Errors on their way from another process."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from harness.util.codes import Code
from harness.util.errors import BuildError, HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator


def kinds(of: type[HarnessError] = HarnessError) -> Iterator[type[HarnessError]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", [*kinds()])
def test_an_error_arrives_as_it_was(kind: type[HarnessError]) -> None:
    there = pickle.loads(pickle.dumps(kind("what happened", code=Code.LIMIT)))
    assert type(there) is kind
    assert (str(there), there.code) == ("what happened", Code.LIMIT)


def test_so_does_what_is_known_of_a_build_that_failed() -> None:
    error = BuildError("it fails", log="a.log", first_error="a.cpp:1: no", lasting=False)
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
