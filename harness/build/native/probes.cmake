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

# Sets `value` in the caller to a remembered answer; undefined where there is none.
function(harness_recall key value)
    get_property(known GLOBAL PROPERTY "HARNESS_PROBE_${key}" SET)
    if(key AND DEFINED HARNESS_PROBE_${key})
        set(${value} "${HARNESS_PROBE_${key}}" PARENT_SCOPE)
    elseif(key AND known)
        get_property(found GLOBAL PROPERTY "HARNESS_PROBE_${key}")
        set(${value} "${found}" PARENT_SCOPE)
    else()
        unset(${value} PARENT_SCOPE)
    endif()
endfunction()

# Asks all at once what the top-level file asks one by one: each question compiles a header of some
# 100 000 lines. Only those are foreseen that are spelled out and need no linking; as far as the
# answer goes, compiling the file is what CMake itself would do.
function(harness_foresee)
    get_property(done GLOBAL PROPERTY HARNESS_FORESEEN)
    if(done OR MSVC OR NOT CMAKE_TRY_COMPILE_TARGET_TYPE STREQUAL "STATIC_LIBRARY")
        return()
    endif()
    set_property(GLOBAL PROPERTY HARNESS_FORESEEN TRUE)
    set(folder "${CMAKE_BINARY_DIR}/foreseen")
    file(READ "${CMAKE_SOURCE_DIR}/CMakeLists.txt" text)
    string(REPLACE ";" "<semicolon>" text "${text}")
    string(REGEX MATCHALL
        "set\\(CMAKE_REQUIRED_FLAGS \"-m[^\"$]*\"\\)[ \r\n]*check_cxx_source_compiles\\(\"[^\"$]*\" [A-Za-z0-9_]+\\)"
        questions "${text}")
    separate_arguments(common UNIX_COMMAND "${CMAKE_CXX_FLAGS}")
    set(commands "")
    set(keys "")
    foreach(question IN LISTS questions)
        string(REGEX MATCH "\"([^\"]*)\"[^\"]*\"([^\"]*)\" ([A-Za-z0-9_]+)" whole "${question}")
        set(CMAKE_REQUIRED_FLAGS "${CMAKE_MATCH_1}")
        set(variable "${CMAKE_MATCH_3}")
        string(REPLACE "\\n" "\n" source "${CMAKE_MATCH_2}")
        string(REPLACE "<semicolon>" ";" source "${source}")
        harness_probe_key(key source "${source}" ${variable})
        harness_recall("${key}" known)
        if(NOT key OR DEFINED known OR key IN_LIST keys)
            continue()
        endif()
        file(WRITE "${folder}/${key}.cxx" "${source}\n")
        separate_arguments(own UNIX_COMMAND "${CMAKE_REQUIRED_FLAGS}")
        list(APPEND keys "${key}")
        # A pipeline: its commands run at the same time, and none reads or writes anything.
        list(APPEND commands COMMAND "${CMAKE_CXX_COMPILER}" ${common} ${own}
            -c "${folder}/${key}.cxx" -o "${folder}/${key}.o")
    endforeach()
    if(NOT keys)
        return()
    endif()
    execute_process(${commands} RESULTS_VARIABLE results OUTPUT_QUIET ERROR_QUIET)
    foreach(key result IN ZIP_LISTS keys results)
        set(answer "")
        if(result STREQUAL "0")
            set(answer 1)
        endif()
        set_property(GLOBAL PROPERTY "HARNESS_PROBE_${key}" "${answer}")
        harness_remember("${key}" answer "-m")
    endforeach()
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
    harness_foresee()
    harness_probe_key(key source "${source}" ${variable} ${ARGN})
    harness_recall("${key}" known)
    if(NOT DEFINED ${variable} AND DEFINED known)
        set(${variable} "${known}" CACHE INTERNAL "Test ${variable}")
        return()
    endif()
    _check_cxx_source_compiles("${source}" ${variable} ${ARGN})
    harness_remember("${key}" ${variable} "${CMAKE_REQUIRED_FLAGS}")
endfunction()

function(check_cxx_compiler_flag flag variable)
    harness_probe_key(key flag "${flag}" ${variable})
    harness_recall("${key}" known)
    if(NOT DEFINED ${variable} AND DEFINED known)
        set(${variable} "${known}" CACHE INTERNAL "Test ${variable}")
        return()
    endif()
    _check_cxx_compiler_flag("${flag}" ${variable})
    harness_remember("${key}" ${variable} "${flag}")
endfunction()
