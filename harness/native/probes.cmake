# Checks of the compiler that gave an answer before. CMake compiles a small program for each, and
# a build of ncnn asks some twenty. Everything that the answer can depend on is in the key; the
# compiler itself and CMake decide which file of answers this is ($ENV{HARNESS_PROBES}).
include("$ENV{HARNESS_PROBES}" OPTIONAL)
include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)

# Sets `key` in the caller; empty where the answer depends on files.
function(harness_probe_key key)
    set(text "${ARGN}")
    foreach(name IN ITEMS
            CMAKE_REQUIRED_FLAGS CMAKE_REQUIRED_DEFINITIONS CMAKE_REQUIRED_INCLUDES
            CMAKE_REQUIRED_LINK_OPTIONS CMAKE_REQUIRED_LIBRARIES CMAKE_CXX_FLAGS
            CMAKE_CXX_FLAGS_DEBUG CMAKE_EXE_LINKER_FLAGS CMAKE_CXX_STANDARD
            CMAKE_TRY_COMPILE_CONFIGURATION CMAKE_TRY_COMPILE_TARGET_TYPE
            CMAKE_POSITION_INDEPENDENT_CODE)
        string(APPEND text "\n${name}=${${name}}")
    endforeach()
    string(SHA256 hash "${text}")
    if(CMAKE_REQUIRED_INCLUDES OR CMAKE_REQUIRED_LIBRARIES OR CMAKE_REQUIRED_FLAGS MATCHES "-I")
        set(hash "")
    endif()
    set(${key} "${hash}" PARENT_SCOPE)
endfunction()

# A "no" is remembered only where nothing but the compiler is behind it: a missing library may come.
function(harness_remember key variable flags)
    if(key AND (${variable} OR flags MATCHES "^-m"))
        file(APPEND "${CMAKE_BINARY_DIR}/probes.cmake"
            "set(HARNESS_PROBE_${key} \"${${variable}}\")\n")
    endif()
endfunction()

# Redefining a command keeps the former one under the name with an underscore.
function(check_cxx_source_compiles source variable)
    harness_probe_key(key source "${source}" ${variable} ${ARGN})
    if(NOT DEFINED ${variable} AND key AND DEFINED HARNESS_PROBE_${key})
        set(${variable} "${HARNESS_PROBE_${key}}" CACHE INTERNAL "Test ${variable}")
        return()
    endif()
    _check_cxx_source_compiles("${source}" ${variable} ${ARGN})
    harness_remember("${key}" ${variable} "${CMAKE_REQUIRED_FLAGS}")
endfunction()

function(check_cxx_compiler_flag flag variable)
    harness_probe_key(key flag "${flag}" ${variable})
    if(NOT DEFINED ${variable} AND key AND DEFINED HARNESS_PROBE_${key})
        set(${variable} "${HARNESS_PROBE_${key}}" CACHE INTERNAL "Test ${variable}")
        return()
    endif()
    _check_cxx_compiler_flag("${flag}" ${variable})
    harness_remember("${key}" ${variable} "${flag}")
endfunction()
