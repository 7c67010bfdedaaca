# Tests that are not the unit tests of one module: tidy, headers that compile alone, scenarios, and integration by pytest.

find_package(Python3 3.11 REQUIRED COMPONENTS Interpreter)

add_test(NAME tidy/tree COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/tidy.py)
add_test(NAME tidy/finds_bad_samples COMMAND ${Python3_EXECUTABLE} ${PROJECT_SOURCE_DIR}/tools/tidy_test.py)
set_tests_properties(tidy/tree tidy/finds_bad_samples PROPERTIES LABELS tidy TIMEOUT 120)

# Each header becomes a translation unit of its own, without the precompiled header that would hide a missing include.
set(header_objects "")
foreach(name IN LISTS LLMD_PRESENT_MODULES)
  get_property(headers GLOBAL PROPERTY LLMD_HEADERS_${name})
  set(units "")
  foreach(header IN LISTS headers)
    file(RELATIVE_PATH relative ${PROJECT_SOURCE_DIR}/src ${header})
    set(unit ${PROJECT_BINARY_DIR}/headers/${relative}.cpp)
    file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${relative}\"\n#include \"${relative}\"  // twice: guarded\n")
    list(APPEND units ${unit})
  endforeach()
  if(units)
    llmd_target_name(${name} module_target)
    set(target llmd_headers_${name})
    add_library(${target} OBJECT EXCLUDE_FROM_ALL ${units})
    target_compile_options(${target} PRIVATE ${LLMD_WARNINGS} -O0)
    target_link_libraries(${target} PRIVATE ${module_target} GTest::gtest)
    if("llama" IN_LIST LLMD_MODULE_${name}_THIRD_PARTY)
      target_link_libraries(${target} PRIVATE llmd_third_party_llama)
    endif()
    list(APPEND header_objects ${target})
  endif()
endforeach()
add_custom_target(llmd_headers DEPENDS ${header_objects})
if(header_objects AND NOT LLMD_SANITIZE)
  add_test(NAME tidy/headers_compile_alone COMMAND ${CMAKE_COMMAND} --build ${PROJECT_BINARY_DIR} --target llmd_headers)
  set_tests_properties(tidy/headers_compile_alone PROPERTIES LABELS tidy TIMEOUT 1800 RUN_SERIAL ON)
endif()

# tests/scenarios/*.cpp is the runner; the scenario files beside it are data. Its first line names what it links.
file(GLOB scenario_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/scenarios/*.cpp)
if(scenario_sources)
  add_executable(llmd_scenario_test ${scenario_sources})
  llmd_configure_target(llmd_scenario_test host)
  foreach(source IN LISTS scenario_sources)
    llmd_links_of(${source} links)
    target_link_libraries(llmd_scenario_test PRIVATE ${links})
  endforeach()
  target_link_libraries(llmd_scenario_test PRIVATE GTest::gmock GTest::gtest_main)
  target_compile_definitions(llmd_scenario_test PRIVATE LLMD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(llmd_scenario_test TEST_PREFIX "scenario/" DISCOVERY_TIMEOUT 60 PROPERTIES LABELS scenario TIMEOUT 120)
endif()

# One ctest entry a pytest file. The wrapper supplies the pinned environment, the model and the binary under test.
file(GLOB integration_files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/integration/*_test.py ${PROJECT_SOURCE_DIR}/tests/integration/test_*.py)
foreach(file IN LISTS integration_files)
  get_filename_component(name ${file} NAME_WE)
  string(REGEX REPLACE "^test_|_test$" "" name ${name})
  add_test(NAME integration/${name} COMMAND ${PROJECT_SOURCE_DIR}/tools/run_integration.sh ${PROJECT_BINARY_DIR}/llmd ${file})
  set_tests_properties(integration/${name} PROPERTIES LABELS integration TIMEOUT 1200 RUN_SERIAL ON SKIP_RETURN_CODE 77)
endforeach()

# Each micro benchmark runs a moment, so that none rots; its numbers are not judged.
get_property(benches DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
list(FILTER benches INCLUDE REGEX "^bench_")
list(REMOVE_ITEM benches bench_outliers)  # it plays fleets for minutes: one row of it below
foreach(name IN LISTS benches)
  add_test(NAME bench/${name} COMMAND ${name} --benchmark_min_time=0.001 --benchmark_repetitions=1)
  set_tests_properties(bench/${name} PROPERTIES LABELS bench TIMEOUT 120)
endforeach()

if(TARGET bench_outliers)
  add_test(NAME bench/bench_outliers COMMAND bench_outliers
           --benchmark_filter=one_is_slow/traffic:3/policy:1/slow_by:4/detects:1/)
  set_tests_properties(bench/bench_outliers PROPERTIES LABELS bench TIMEOUT 120)
endif()

# It reads pages of engines.
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/host/pool/expositions_test.cpp PROPERTIES
  COMPILE_DEFINITIONS LLMD_EXPOSITIONS="${PROJECT_SOURCE_DIR}/src/host/pool/testdata/expositions")

# It runs every claim of a page of docs.
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/host/llamacpp/structured_output_test.cpp PROPERTIES
                            COMPILE_DEFINITIONS LLMD_SOURCE_DIR="${PROJECT_SOURCE_DIR}")

# The plugin that authors of plugins start from: built as C, loaded by a test of scheduling.
add_library(llmd_example_plugin MODULE ${PROJECT_SOURCE_DIR}/examples/plugin/queue_depth_scorer.c)
target_include_directories(llmd_example_plugin PRIVATE ${PROJECT_SOURCE_DIR}/src/core/scheduling/abi)
target_compile_options(llmd_example_plugin PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Werror)
set_target_properties(llmd_example_plugin PROPERTIES C_STANDARD 99 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF)
add_dependencies(llmd_scheduling_test llmd_example_plugin)
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/core/scheduling/abi_plugin_test.cpp PROPERTIES
                            COMPILE_DEFINITIONS LLMD_EXAMPLE_PLUGIN="$<TARGET_FILE:llmd_example_plugin>")
