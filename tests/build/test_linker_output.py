import pytest

from harness.build.linker_output import Undefined, undefined_symbols

PACK = "ncnn::Gemm_x86_utility::pack_A_tile_int8(ncnn::Mat const&, ncnn::Mat&, int, int, int, int)"
FOUND = Undefined(
    scope=("Gemm_x86_utility",),
    name="pack_A_tile_int8",
    parameters=6,
    referrer="convolution_x86.cpp",
)
MISSES = f"undefined reference to `{PACK}'"
LD = "/usr/lib/gcc-cross/aarch64-linux-gnu/12/../../../../aarch64-linux-gnu/bin/ld"
OBJECT = "src/libncnn.a(convolution_x86.cpp.o)"
MANGLED = "_ZN4ncnn16Gemm_x86_utility16pack_A_tile_int8ERKNS_3MatERS1_iiii"

OUTPUTS = {
    "GNU ld": f"""
[43/44] Linking CXX static library src/libncnn.a
[44/44] Linking CXX shared library harness_core.so
FAILED: harness_core.so
: && /usr/bin/c++ -fPIC -O3 -DNDEBUG   -Wl,-z,defs -shared -o harness_core.so core.cpp.o && :
/usr/bin/ld: {OBJECT}: in function `ncnn::convolution_int8(int)':
convolution_x86.cpp:(.text+0x3c5b): {MISSES}
/usr/bin/ld: convolution_x86.cpp:(.text+0x41f2): {MISSES}
collect2: error: ld returned 1 exit status
ninja: build stopped: subcommand failed.""",
    "GNU ld, from data": f"""
/usr/bin/ld: {OBJECT}:(.data.rel.ro+0x10): {MISSES}""",
    "GNU ld, many": f"""
ld: {OBJECT}: in function `ncnn::f()':
/t/convolution_x86.cpp:12: {MISSES}
ld: /t/convolution_x86.cpp:14: more undefined references to `{PACK}' follow""",
    "GNU ld, for a target": f"""
{LD}: {OBJECT}: in function `ncnn::f()':
convolution_x86.cpp:(.text+0x3c5b): {MISSES}""",
    "gold": f"""
{OBJECT}:convolution_x86.cpp:function ncnn::f(int): error: undefined reference to '{PACK}'""",
    "lld": f"""
ld.lld: error: undefined symbol: {PACK}
>>> referenced by convolution_x86.cpp:14 (/t/convolution_x86.cpp:14)
>>>               convolution_x86.cpp.o:(ncnn::f(int)) in archive src/libncnn.a
>>> referenced 3 more times""",
    "mold": f"""
mold: error: undefined symbol: {PACK}
>>> referenced by convolution_x86.cpp
>>>               {OBJECT}:(ncnn::f(int))""",
    "other quotes": f"""
convolution_x86.cpp:(.text+0x3c5b): undefined reference to ‘{PACK}’""",
}


@pytest.mark.parametrize("linker", OUTPUTS)
def test_each_linker_is_understood(linker: str) -> None:
    assert undefined_symbols(OUTPUTS[linker]) == (FOUND,)


@pytest.mark.parametrize(
    ("symbol", "scope", "name", "parameters"),
    [
        (MANGLED, ("Gemm_x86_utility",), "pack_A_tile_int8", None),
        ("_Z6kerneli", (), "kernel", None),
        ("_ZNK4ncnn4Gemm7forwardERKNS_3MatE", ("Gemm",), "forward", None),
        ("_ZN4ncnn4GemmC1Ev", ("Gemm",), "Gemm", None),
        ("_ZN4ncnn4GemmD0Ev", ("Gemm",), "~Gemm", None),
        ("_ZTVN4ncnn8Gemm_x86E", ("Gemm_x86",), "", None),
        ("vtable for ncnn::Gemm_x86", ("Gemm_x86",), "", None),
        ("typeinfo for ncnn::Gemm", ("Gemm",), "", None),
        ("non-virtual thunk to ncnn::Gemm::f(int)", ("Gemm",), "f", 1),
        ("ncnn::Gemm::~Gemm()", ("Gemm",), "~Gemm", 0),
        ("ncnn::f(void (*)(int, int), std::map<int, int> const&)", (), "f", 2),
        ("void ncnn::f<std::vector<int, int> >(int)", (), "f", 1),
        ("ncnn::table", (), "table", None),
        ("sgemm_", (), "sgemm_", None),
        ("sgemm_@@V2", (), "sgemm_", None),
    ],
)
def test_symbols(symbol: str, scope: tuple[str, ...], name: str, parameters: int | None) -> None:
    found = undefined_symbols(f"net.cpp:(.text+0x3): undefined reference to `{symbol}'")
    assert found == (Undefined(scope=scope, name=name, parameters=parameters, referrer="net.cpp"),)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("ld.lld: error: undefined hidden symbol: ncnn::f()", "ncnn::f"),
        ("ld: harness_core.so: hidden symbol `ncnn::f()' isn't defined", "ncnn::f"),
        ("ld: a.o: undefined reference to symbol 'f@@V1'", "ncnn::f"),
    ],
)
def test_other_words(line: str, name: str) -> None:
    assert [str(symbol) for symbol in undefined_symbols(line)] == [name]


@pytest.mark.parametrize(
    "output",
    [
        "",
        "a.cpp:1:2: error: 'f' was not declared in this scope",
        "ld: cannot find -lgomp",
        "ld: multiple definition of `ncnn::f()'; a.cpp.o: first defined here",
        "a.cpp: In function 'int f()':\na.cpp:3: warning: unused variable",
    ],
)
def test_what_is_not_about_symbols(output: str) -> None:
    assert not undefined_symbols(output)
