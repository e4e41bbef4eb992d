add_library(harness_core SHARED "${CMAKE_CURRENT_LIST_DIR}/core.cpp")
target_include_directories(harness_core PRIVATE "${CMAKE_CURRENT_LIST_DIR}" "${CMAKE_BINARY_DIR}")
target_link_libraries(harness_core PRIVATE ncnn)
# What is missing must fail here, and not when a worker opens the library.
target_link_options(harness_core PRIVATE "LINKER:-z,defs")
set_target_properties(harness_core PROPERTIES
    CXX_STANDARD 11
    CXX_VISIBILITY_PRESET hidden
    PREFIX ""
)

# Appended after ncnn's own options, so that they can also undo what ncnn sets (-fno-fast-math).
if(HARNESS_CXX_FLAGS)
    separate_arguments(harness_cxx_flags UNIX_COMMAND "${HARNESS_CXX_FLAGS}")
    target_compile_options(ncnn PRIVATE ${harness_cxx_flags})
endif()

# How it is built comes from the environment and what is built from the cache: only the latter is
# recorded and makes a difference.
if(DEFINED ENV{HARNESS_LAUNCHER})
    set_target_properties(ncnn harness_core PROPERTIES
        CXX_COMPILER_LAUNCHER "$ENV{HARNESS_LAUNCHER}")
endif()
if(DEFINED ENV{HARNESS_SHORTCUTS})
    include("${CMAKE_CURRENT_LIST_DIR}/shortcuts.cmake")
endif()
