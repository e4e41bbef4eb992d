# What makes a build faster and leaves its code as it is. Where a version of ncnn does not compile
# with this, the harness builds it once more without.
get_target_property(harness_folder ncnn SOURCE_DIR)
get_target_property(harness_sources ncnn SOURCES)

# Files of which the linker would take nothing out of the static library, or that are empty. Should
# one be needed after all, linking fails (`-z defs`), and it is named in HARNESS_KEPT.
set(harness_idle "c_api" "mat_pixel[a-z_]*")
foreach(harness_pair IN ITEMS
        "NCNN_VULKAN:command|gpu|pipeline|pipelinecache|simplevk"
        "NCNN_SIMPLEOCV:simpleocv"
        "NCNN_SIMPLEOMP:simpleomp"
        "NCNN_SIMPLESTL:simplestl"
        "NCNN_SIMPLEMATH:simplemath"
        "NCNN_BENCHMARK:benchmark")
    string(REPLACE ":" ";" harness_pair "${harness_pair}")
    list(GET harness_pair 0 harness_option)
    if(NOT ${harness_option})
        list(GET harness_pair 1 harness_names)
        list(APPEND harness_idle "${harness_names}")
    endif()
endforeach()
list(JOIN harness_idle "|" harness_idle)

set(harness_kept "$ENV{HARNESS_KEPT}")
set(harness_left_out "")
foreach(harness_source IN LISTS harness_sources)
    get_filename_component(harness_path "${harness_source}" ABSOLUTE BASE_DIR "${harness_folder}")
    get_filename_component(harness_parent "${harness_path}" DIRECTORY)
    get_filename_component(harness_name "${harness_path}" NAME)
    list(FIND harness_kept "${harness_name}" harness_found)
    if(harness_parent STREQUAL harness_folder AND harness_name MATCHES "^(${harness_idle})\\.cpp$"
            AND harness_found LESS 0)
        set_source_files_properties("${harness_path}" TARGET_DIRECTORY ncnn
            PROPERTIES HEADER_FILE_ONLY ON)
        list(APPEND harness_left_out "${harness_source}")
        continue()
    endif()
    # A header compiled with other flags is of no use to kernels that have their own.
    foreach(harness_property IN ITEMS COMPILE_FLAGS COMPILE_OPTIONS)
        get_source_file_property(harness_own "${harness_path}" TARGET_DIRECTORY ncnn
            ${harness_property})
        if(harness_own)
            set_source_files_properties("${harness_path}" TARGET_DIRECTORY ncnn
                PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
        endif()
    endforeach()
endforeach()

# The longest compilations first, else one of them runs at the end beside idle cores. How long one
# takes follows from what it includes. The first of them starts while the header is precompiled.
set(harness_weighed "")
set(harness_others ${harness_sources})
if(harness_left_out)
    list(REMOVE_ITEM harness_sources ${harness_left_out})
endif()
foreach(harness_source IN LISTS harness_sources)
    get_filename_component(harness_path "${harness_source}" ABSOLUTE BASE_DIR "${harness_folder}")
    if(NOT harness_path MATCHES "\\.cpp$" OR NOT EXISTS "${harness_path}")
        continue()
    endif()
    file(SIZE "${harness_path}" harness_weight)
    get_filename_component(harness_parent "${harness_path}" DIRECTORY)
    file(STRINGS "${harness_path}" harness_includes REGEX "^#include \"[a-z0-9_]+\\.h\"")
    foreach(harness_include IN LISTS harness_includes)
        string(REGEX REPLACE "^#include \"([a-z0-9_]+\\.h)\".*" "${harness_parent}/\\1"
            harness_include "${harness_include}")
        if(EXISTS "${harness_include}")
            file(SIZE "${harness_include}" harness_size)
            math(EXPR harness_weight "${harness_weight} + ${harness_size}")
        endif()
    endforeach()
    math(EXPR harness_weight "1000000000 - ${harness_weight}")
    list(APPEND harness_weighed "${harness_weight}|${harness_source}")
    list(REMOVE_ITEM harness_others "${harness_source}")
endforeach()
list(SORT harness_weighed)
list(TRANSFORM harness_weighed REPLACE "^[0-9]+\\|" "")
set_property(TARGET ncnn PROPERTY SOURCES ${harness_weighed} ${harness_others})
if(harness_weighed)
    # The same one where layers are added to what is compiled already: its command must not change.
    list(GET harness_weighed 0 harness_path)
    set(harness_first "${CMAKE_BINARY_DIR}/harness_first.txt")
    if(EXISTS "${harness_first}")
        file(READ "${harness_first}" harness_path)
    else()
        file(WRITE "${harness_first}" "${harness_path}")
    endif()
    get_filename_component(harness_path "${harness_path}" ABSOLUTE BASE_DIR "${harness_folder}")
    set_source_files_properties("${harness_path}" TARGET_DIRECTORY ncnn
        PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
endif()

# Only what every layer includes first anyway: more could change what a name means in a layer.
# (Clang parses it as fast as it loads it, and notes times that a compiler cache cannot pass over.)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_precompile_headers(ncnn PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:${harness_folder}/layer.h>")
endif()
