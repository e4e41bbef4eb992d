"""A made-up ncnn of a few tiny layers that CMake and a compiler take for the real one.

Its Conv uses what other files define in ways that reading the sources does not show.
"""

from pathlib import Path

from tests.source_tree import write_tree

LAYERS = ("Input", "Conv", "Gemm", "Pool", "Relu", "Softmax")

FILES = {
    "CMakeLists.txt": """
cmake_minimum_required(VERSION 3.10)
project(ncnn CXX C)
option(NCNN_AVX2 "" ON)
add_subdirectory(src)
""",
    "src/CMakeLists.txt": """
set(layers "")
set(files layer.cpp net.cpp mat_pixel.cpp)
macro(ncnn_add_layer class)
    string(TOLOWER ${class} name)
    option(WITH_LAYER_${name} "" ON)
    if(WITH_LAYER_${name})
        string(APPEND layers "extern int ${name}(); total += ${name}();\\n")
        list(APPEND files layer/${name}.cpp)
    endif()
endmacro()
"""
    + "".join(f"ncnn_add_layer({name})\n" for name in LAYERS)
    + """
configure_file(layer_registry.h.in layer_registry.h)
add_library(ncnn STATIC ${files})
set_target_properties(ncnn PROPERTIES POSITION_INDEPENDENT_CODE ON)
target_include_directories(ncnn PRIVATE . ${CMAKE_CURRENT_BINARY_DIR})
""",
    "src/layer_registry.h.in": "@layers@",
    "src/layer.h": "#include <vector>\n",
    "src/layer.cpp": '#include "layer.h"\n'
    'int layers() { int total = 0;\n#include "layer_registry.h"\nreturn total; }\n',
    "src/net.cpp": '#include "layer.h"\nint layers();\nint run() { return layers(); }\n',
    "src/mat_pixel.cpp": '#include "layer.h"\nint resize(int width) { return width; }\n',
    "src/option.h": "    bool lightmode;\n",
    "src/option.cpp": "    lightmode = true;\n",
    **{
        f"src/layer/{name}.cpp": f'#include "layer.h"\nint {name}() {{ return 1; }}\n'
        for name in map(str.lower, LAYERS)
    },
    "src/layer/gemm.cpp": '#include "layer.h"\nint tile(int);\n'
    "int gemm() { return 1; }\nint pack(int a) { return tile(a); }\n",
    "src/layer/pool.cpp": '#include "layer.h"\nint pool() { return 1; }\n'
    "int tile(int a) { return a; }\n",
    "src/layer/softmax.cpp": '#include "layer.h"\nint softmax() { return 1; }\n'
    "#define HIDE(name) int name(int a) { return a; }\nHIDE(hidden)\n",
}
CORE = """
int run();
extern "C" __attribute__((visibility("default"))) int answer() { return run(); }
"""


def write(folder: Path, used: str) -> None:
    """Write the source; Conv uses a function of this name."""
    conv = f'#include "layer.h"\nint {used}(int);\nint conv() {{ return {used}(1); }}\n'
    write_tree(folder, {**FILES, "src/layer/conv.cpp": conv})
