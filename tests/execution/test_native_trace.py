"""What a dying process wrote, read without one."""

from pathlib import Path

import pytest

from harness.execution.native_trace import crash_of, read_trace, short_name

TRACE = """\
signal 11
by 10 - /b/ncnn_binding.so
by 20 - /lib/libc.so.6
at 1f4 - /m/harness_core.so
by 3c GOMP_parallel /lib/libgomp.so.1
by 5 - -
by 30 PyInit /b/ncnn_binding.so
by 40 main /bin/python
end
"""


def test_frames_begin_where_the_signal_came_and_end_at_the_binding() -> None:
    number, frames = read_trace(TRACE)
    assert number == 11
    assert [(f.offset, f.exported, f.module) for f in frames] == [
        (0x1F4, "", "/m/harness_core.so"),
        (0x3C, "GOMP_parallel", "/lib/libgomp.so.1"),
        (5, "", ""),
    ]


@pytest.mark.parametrize("text", ["", "sig", "signal x\n", "at 1 - /m\n"])
def test_without_a_signal_nothing_is_said(text: str, tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(text)
    assert crash_of(tmp_path / "trace", tmp_path / "core.so") is None
    assert crash_of(tmp_path / "absent", tmp_path / "core.so") is None


def test_half_a_trace_still_tells_the_signal(tmp_path: Path) -> None:
    (tmp_path / "trace").write_text(TRACE[:80])
    crash = crash_of(tmp_path / "trace", tmp_path / "core.so")
    assert crash is not None
    assert (crash.signal, crash.frames, crash.function) == ("SIGSEGV", (), "")


@pytest.mark.parametrize(
    ("demangled", "short"),
    [
        ("read_nowhere(int volatile*)", "read_nowhere"),
        ("ncnn::Conv::forward(ncnn::Mat const&, ncnn::Mat&) const", "ncnn::Conv::forward"),
        ("ncnn::gemm(ncnn::Mat const&, int) [clone ._omp_fn.1]", "ncnn::gemm"),
        ("ncnn::f(void (*)(int), (anonymous namespace)::T)", "ncnn::f"),
        ("std::set<int, T<int> >::at(unsigned long)", "std::set<int, T<int> >::at"),
        ("hx_net_new", "hx_net_new"),
    ],
)  # fmt: skip
def test_names_are_short(demangled: str, short: str) -> None:
    assert short_name(demangled) == short
