"""What gcov says of object files, put together by source files and layer types."""

from typing import Any

import pytest

from harness.analysis.sweep.coverage import function_words, layer_coverage
from harness.domain.coverage import LayerCoverage, Reached


def line(number: int, function: str, count: int, branches: list[int] | None = None) -> Any:
    ways = [{"count": c, "throw": False, "fallthrough": False} for c in branches or []]
    return {"line_number": number, "function_name": function, "count": count, "branches": ways}


def function(name: str, start: int, count: int, words: str = "") -> Any:
    return {
        "name": name,
        "demangled_name": words or f"ncnn::{name}(ncnn::Mat const&, int)",
        "start_line": start,
        "execution_count": count,
    }


def part(file: str, functions: list[Any], *lines: Any) -> Any:
    path = f"/store/work/slot-0/source/src/layer/{file}"
    return {"file": path, "functions": functions, "lines": list(lines)}


def report(*parts: Any) -> Any:
    return {"files": list(parts)}


LINKED = frozenset({"load", "forward", "kernel", "kernel_a", "kernel_b", "C1", "C2"})


def covered(
    *reports: Any, layers: tuple[str, ...] = ("Relu",), sources: tuple[str, ...] = ()
) -> tuple[LayerCoverage, ...]:
    return layer_coverage(reports, layers, sources, LINKED)


def test_lines_branches_and_functions_that_nothing_reached() -> None:
    (layer,) = covered(
        report(
            part(
                "x86/relu_x86.cpp",
                [function("forward", 10, 3), function("kernel", 20, 0)],
                line(10, "forward", 3),
                line(12, "forward", 3, [3, 0]),
                line(13, "forward", 0),
                line(14, "forward", 0),
                line(17, "forward", 3),
                line(20, "kernel", 0, [0, 0]),
            )
        )
    )
    (file,) = layer.files
    assert file.file == "x86/relu_x86.cpp"
    assert file.lines == Reached(reached=3, total=6)
    assert file.branches == Reached(reached=1, total=4)
    assert file.never_entered == ("kernel",)
    assert file.unreached == ((13, 14), (20, 20))


def test_a_header_is_reached_where_one_of_its_users_reaches_it() -> None:
    def user(kernel: int, ways: list[int]) -> Any:
        return report(
            part(
                "x86/relu_packed.h",
                [function("kernel", 5, kernel)],
                line(5, "kernel", kernel),
                line(6, "kernel", kernel, ways),
            )
        )

    (layer,) = covered(user(0, [0, 0]), user(2, [2, 0]), user(1, [0, 1]))
    (file,) = layer.files
    assert (file.lines, file.branches) == (
        Reached(reached=2, total=2),
        Reached(reached=2, total=2),
    )
    assert file.never_entered == ()


def test_instances_of_a_template_branch_apart() -> None:
    (layer,) = covered(
        report(
            part(
                "x86/relu_x86.cpp",
                [
                    function("kernel_a", 5, 1, "void ncnn::kernel<float>(float*)"),
                    function("kernel_b", 5, 0, "void ncnn::kernel<unsigned char>(unsigned char*)"),
                ],
                line(5, "kernel_a", 1, [1, 0]),
                line(5, "kernel_b", 0, [0, 0]),
            )
        )
    )
    assert layer.lines == Reached(reached=1, total=1)
    assert layer.branches == Reached(reached=1, total=4)
    assert layer.never_entered == ("kernel<unsigned char>",)


def test_what_nothing_calls_and_where_exceptions_go_count_for_nothing() -> None:
    exceptional = line(11, "forward", 1, [1])
    exceptional["branches"].append({"count": 0, "throw": True, "fallthrough": False})
    (layer,) = covered(
        report(
            part(
                "x86/relu_x86.cpp",
                [function("forward", 10, 1), function("left_out", 30, 0)],
                line(10, "forward", 1),
                exceptional,
                line(30, "left_out", 0, [0, 0]),
            )
        )
    )
    assert layer.lines == Reached(reached=2, total=2)
    assert layer.branches == Reached(reached=1, total=1)
    assert layer.never_entered == ()


def test_a_constructor_counts_once() -> None:
    words = "ncnn::Relu_x86::Relu_x86()"
    (layer,) = covered(
        report(
            part(
                "x86/relu_x86.cpp",
                [function("C1", 3, 1, words), function("C2", 3, 0, words)],
                line(3, "C1", 1),
            )
        )
    )
    assert layer.never_entered == ()


def test_kernels_are_told_and_the_naive_layer_where_there_are_none() -> None:
    naive = part("relu.cpp", [function("load", 1, 1)], line(1, "load", 1), line(2, "load", 0))
    kernel = part("x86/relu_x86.cpp", [function("forward", 1, 1)], line(1, "forward", 1))
    (without,) = covered(report(naive))
    (with_kernels,) = covered(report(naive), report(kernel))
    assert without.lines == Reached(reached=1, total=2)
    assert with_kernels.lines == Reached(reached=1, total=1)
    assert [file.file for file in with_kernels.files] == ["relu.cpp", "x86/relu_x86.cpp"]


def test_files_belong_to_layers_by_their_names() -> None:
    names = ("conv_1x1.h", "x86/conv_x86.cpp", "x86/convd_x86.cpp", "x86/avx_mathfun.h")
    reports = [report(part(name, [], line(1, "forward", 1))) for name in names]
    found = covered(*reports, layers=("Conv", "ConvD"))
    assert {layer.layer: [file.file for file in layer.files] for layer in found} == {
        "Conv": ["conv_1x1.h", "x86/conv_x86.cpp"],
        "ConvD": ["x86/convd_x86.cpp"],
    }


def test_sources_without_code_in_the_build_are_told() -> None:
    (layer,) = covered(
        report(part("relu.cpp", [], line(1, "load", 1)), part("x86/relu_vnni.h", [])),
        sources=(
            "relu.cpp",
            "relu.h",
            "arm/relu_arm.cpp",
            "arm/relu_arm.h",
            "x86/relu_vnni.h",
            "vulkan/shader/relu.comp",
            "arm/prelu_arm.cpp",
        ),
    )
    assert layer.not_compiled == ("arm/relu_arm.cpp", "vulkan/shader/relu.comp", "x86/relu_vnni.h")


def test_a_layer_without_any_source_is_told_all_the_same() -> None:
    (layer,) = covered()
    assert layer == LayerCoverage(layer="Relu", files=())


@pytest.mark.parametrize(
    ("demangled", "words"),
    [
        ("ncnn::Softmax_x86::forward_inplace(ncnn::Mat&) const", "Softmax_x86::forward_inplace"),
        ("ncnn::softmax(float*, int)", "softmax"),
        ("int ncnn::unary<ncnn::op_abs>(ncnn::Mat&)", "unary<ncnn::op_abs>"),
        ("void ncnn::f<unsigned char>(int)", "f<unsigned char>"),
        ("ncnn::op_add::operator()(float const&) const", "op_add::operator()"),
        ("ncnn::Relu::~Relu()", "Relu::~Relu"),
        ("main", "main"),
    ],
)
def test_names_of_functions(demangled: str, words: str) -> None:
    assert function_words(demangled) == words
