# Benchmarks: bench/micro/<name>.cpp → bench_<name> (google-benchmark), bench/e2e/<name>.cpp → llmd-<name> (plain programs).
# The first line of each names what it links: `// links: llmd_prefix llmd_scheduling`.

find_package(benchmark REQUIRED)

function(llmd_add_bench kind prefix)
  file(GLOB files CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/${kind}/*.cpp)
  foreach(file IN LISTS files)
    get_filename_component(name ${file} NAME_WE)
    file(STRINGS ${file} first LIMIT_COUNT 1)
    if(NOT first MATCHES "^// links: (.+)$")
      message(FATAL_ERROR "${file}: the first line must be `// links: target...`")
    endif()
    separate_arguments(links UNIX_COMMAND "${CMAKE_MATCH_1}")
    set(target ${prefix}${name})
    add_executable(${target} ${file})
    llmd_configure_target(${target} host)
    target_link_libraries(${target} PRIVATE ${links} ${ARGN})
    set_target_properties(${target} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bench)
  endforeach()
endfunction()

llmd_add_bench(micro bench_ benchmark::benchmark)
llmd_add_bench(e2e llmd-)
