"""What can run where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.cluster.capability import (
    VULKAN,
    as_resources,
    from_resources,
    kind_of,
    lacking,
    offered,
    required,
)
from harness.domain.spec import FlagSet, RunSpec, Target
from tests.cluster.specs import cell

TARGET = Target(
    name="arm64",
    compiler="no-such-compiler",
    system="Linux",
    processor="aarch64",
    arch="arm",
    emulator="qemu",
    install="apt-get install it",
)
PLAIN = {"kernels x86", "compiler C++"}
USE_VULKAN = RunSpec(name="vulkan", options=(("use_vulkan_compute", True),))


@pytest.mark.parametrize(
    ("flags", "run", "names"),
    [
        (FlagSet(name="f"), None, PLAIN),
        (
            FlagSet(name="f", needs=frozenset({"avx2", "fma"})),
            None,
            {*PLAIN, "cpu avx2", "cpu fma"},
        ),
        (FlagSet(name="f", compiler="clang++"), None, {*PLAIN, "compiler clang++"}),
        (FlagSet(name="f"), USE_VULKAN, {*PLAIN, VULKAN}),
        (FlagSet(name="f", target=TARGET), USE_VULKAN, {"target arm64", "compiler C++"}),
    ],
)
def test_what_a_cell_needs(flags: FlagSet, run: RunSpec | None, names: set[str]) -> None:
    one = cell(flags)
    assert required([replace(one, run=run or one.run)], "x86") == names


WORKERS = {"a": {"kernels x86", "cpu avx2"}, "b": {"kernels arm"}, "c": {"kernels x86", "Vulkan"}}


@pytest.mark.parametrize(
    ("needed", "why"),
    [
        ({"kernels x86"}, ""),
        ({"kernels x86", "Vulkan"}, ""),
        ({"kernels x86", "cpu avx512f"}, "none of 3 workers has cpu avx512f"),
        (
            {"kernels x86", "cpu avx2", "Vulkan"},
            "none of 3 workers has all of Vulkan, cpu avx2, kernels x86",
        ),
    ],
)
def test_why_nobody_can_run_it(needed: set[str], why: str) -> None:
    assert lacking(needed, WORKERS) == why


def test_a_cluster_without_workers_can_run_nothing() -> None:
    assert "no worker" in lacking({"kernels x86"}, {})


def test_this_machine_offers_what_it_has() -> None:
    names = offered(["no-such-compiler"], [TARGET])
    assert not names & {"compiler no-such-compiler", "target arm64"}
    assert from_resources({**as_resources(names), "GPU": 1.0}) == names


def test_a_kind_is_of_what_is_needed_and_not_of_what_others_asked_before() -> None:
    asked = {
        "cpu avx2",
        "compiler C++",
        "kind cpu: x86_64_v3, 1a2b3c",
        "kind compiler C++: g++ 13",
    }
    asked_more = {
        *asked,
        "target arm64",
        "kind target arm64: aarch64-g++ 12, qemu",
        "kind Vulkan: a",
    }
    needs = {"cpu avx2", "compiler C++"}
    kind = kind_of(asked, needs)
    assert kind == "cpu: x86_64_v3, 1a2b3c; compiler C++: g++ 13"
    assert kind_of(asked_more, needs) == kind
    assert "aarch64-g++ 12, qemu" in kind_of(asked_more, {"target arm64"})
    assert (
        kind_of({*asked - {"kind compiler C++: g++ 13"}, "kind compiler C++: g++ 12"}, needs)
        != kind
    )


def test_this_machine_is_of_one_kind() -> None:
    first, *others = kind_of(offered([], []), PLAIN).split("; ")
    assert first.startswith("cpu: ")
    assert [name.partition(": ")[0] for name in others] == ["compiler C++"]
