"""AddressSanitizer's words, shortened."""

import pytest

from harness.execution.sanitizer_report import (
    asan_memory,
    asan_report,
    asan_sentence,
    undefined_behaviour,
)

STACK = """\
    #0 0x7f9b in _mm256_load_ps(float const*) /usr/lib/gcc/include/avxintrin.h:881
    #1 0x7f9c in tile /b/work/slot-1/source/src/layer/x86/gemm.h:1215
"""
OUTPUT = f"""\
ncnn said this
==30045==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x7f9b at pc 0x7f9c bp 0x1 sp 0x2
READ of size 32 at 0x7f9b thread T0
{STACK}    #2 0x1 in a b
    #3 0x1 in c
    #4 0x1 in d
    #5 0x1 in e
    #6 0x1 in too_far_out

0x7f9b is located 0 bytes to the right of 524356-byte region [0x7f9b,0x7f9c)
allocated by thread T0 here:
    #0 0x7f9b in posix_memalign asan.cpp:145
    #1 0x7f9b in ncnn::Mat::create(int) /b/source/src/mat.cpp:328

SUMMARY: AddressSanitizer: heap-buffer-overflow avxintrin.h:881
  0x0ff: fa fa
"""


def test_report_has_access_place_and_memory() -> None:
    report = asan_report(OUTPUT)
    assert report == (
        "AddressSanitizer: heap-buffer-overflow",
        "READ of size 32 thread T0",
        "  _mm256_load_ps(float const*) /usr/lib/gcc/include/avxintrin.h:881",
        "  tile src/layer/x86/gemm.h:1215",
        "  a b",
        "  c",
        "  d",
        "  e",
        "is located 0 bytes to the right of 524356-byte region",
        "allocated by thread T0 here:",
        "  posix_memalign asan.cpp:145",
        "  ncnn::Mat::create(int) src/mat.cpp:328",
    )
    sentence = (
        "AddressSanitizer: heap-buffer-overflow, READ of size 32 at src/layer/x86/gemm.h:1215"
    )
    assert asan_sentence(report) == sentence


def test_where_memory_came_from_is_not_accused() -> None:
    report = asan_report(OUTPUT.replace(STACK, ""))
    assert asan_sentence(report) == "AddressSanitizer: heap-buffer-overflow, READ of size 32"


FREED = """\
==1==ERROR: AddressSanitizer: heap-use-after-free on address 0x7 at pc 0x7
WRITE of size 4 at 0x7 thread T0
    #0 0x1 in write /b/source/src/a.cpp:1
0x7 is located 16 bytes inside of 400-byte region [0x7,0x8)
freed by thread T0 here:
    #0 0x1 in release /b/source/src/mat.h:9
    #1 0x1 in forward /b/source/src/layer/pool.cpp:2
previously allocated by thread T0 here:
    #0 0x1 in fastMalloc /b/source/src/allocator.h:73
"""


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (OUTPUT, "0 bytes to the right of 524356-byte region, allocated at src/mat.cpp:328"),
        (
            FREED,
            "16 bytes inside of 400-byte region, freed at src/layer/pool.cpp:2, "
            "previously allocated at src/allocator.h:73",
        ),
        (FREED.partition("0x7 is located")[0], ""),
        ("", ""),
    ],
)
def test_memory_is_told_by_who_asked_for_it(output: str, words: str) -> None:
    assert asan_memory(asan_report(output)) == words


def test_first_undefined_behaviour_is_told() -> None:
    line = "/b/source/src/mat.h:{}:9: runtime error: shift of negative value\n"
    output = "said\n" + line.format(7) + line.format(8)
    words = "src/mat.h:7: runtime error: shift of negative value"
    assert undefined_behaviour(output) == words
    assert undefined_behaviour("a.cpp:1: error: no\n") == ""


def test_other_output_has_no_report() -> None:
    assert asan_report("x.cpp:1: runtime error: shift of negative value\n") == ()
    assert asan_report("") == ()
