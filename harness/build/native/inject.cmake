# Injected into ncnn's own project() call, so that ncnn stays the top-level project and keeps the
# compile flags it would use by itself. Adds the harness's core as one more target at the end.
if(CMAKE_CURRENT_SOURCE_DIR STREQUAL CMAKE_SOURCE_DIR)
    # Deferred calls expand variables late: the path must be in the code itself.
    cmake_language(EVAL CODE "cmake_language(DEFER CALL include [[${CMAKE_CURRENT_LIST_DIR}/core.cmake]])")
    if(DEFINED ENV{HARNESS_PROBES})
        include("${CMAKE_CURRENT_LIST_DIR}/probes.cmake")
    endif()
endif()
