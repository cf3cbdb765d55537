# Flags and helpers of a checkout; users of the library never see them.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/lib)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()
find_program(HOCKET_CCACHE ccache)
if(HOCKET_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # It keeps what was compiled with a precompiled header (the tests) only when it may ignore these two.
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${HOCKET_CCACHE})
endif()

option(HOCKET_NATIVE "Compile for this machine's processor (-march=native)" OFF)
option(HOCKET_SANITIZE "AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
add_library(hocket_development INTERFACE)
target_compile_options(hocket_development INTERFACE -Wall -Wextra -Wconversion)
if(HOCKET_CUDA)
  target_link_libraries(hocket_development INTERFACE hocket_cuda)
endif()
if(HOCKET_NATIVE)
  target_compile_options(hocket_development INTERFACE -march=native)
endif()
if(HOCKET_SANITIZE)
  target_compile_options(hocket_development INTERFACE -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(hocket_development INTERFACE -fsanitize=address,undefined)
  # g++ 12 warns of uninitialised members inside std::regex once a sanitizer has changed the code (GCC bug 105562).
  target_compile_options(hocket_development INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
endif()
target_link_libraries(hocket_development INTERFACE hocket::hocket hocket::vendors)

# Kernels are templates compiled for three instruction sets. The programs of a checkout take them from here instead of
# compiling them in every unit; a user's program instantiates what it calls.
file(GLOB instances CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/kernels/*/instances.cpp ${PROJECT_SOURCE_DIR}/kernels/*/vendor_eigen.cpp
                                      ${PROJECT_SOURCE_DIR}/include/hocket/*/instances.cpp)
add_library(hocket_instances STATIC ${instances})
set_target_properties(hocket_instances PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
target_compile_definitions(hocket_instances PUBLIC HOCKET_EXTERN_TEMPLATES=1)
target_compile_options(hocket_instances PRIVATE $<TARGET_PROPERTY:hocket_development,INTERFACE_COMPILE_OPTIONS>
                                                $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)
target_link_libraries(hocket_instances PUBLIC hocket::hocket $<$<BOOL:${HOCKET_CUDA}>:hocket_cuda>)
target_link_libraries(hocket_development INTERFACE hocket_instances)
# Most of them are small: the kernels' small rooms make one unit.
set_target_properties(hocket_instances PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP UNITY_BUILD_CODE_AFTER_INCLUDE "#undef HOCKET_INSTANCE")
foreach(source IN LISTS instances)
  if(source MATCHES "/kernels/" AND NOT source MATCHES "/(attention|fft|mfcc)/|vendor_eigen")
    set_source_files_properties(${source} PROPERTIES UNITY_GROUP kernels)
  endif()
endforeach()

# The list of CUDA kernels that docs/kernels.json holds, for tests, bench and the support table.
add_library(hocket_cuda_kernels STATIC ${PROJECT_SOURCE_DIR}/bench/support/cuda_kernels.cpp)
target_include_directories(hocket_cuda_kernels PUBLIC ${PROJECT_SOURCE_DIR})
target_compile_definitions(hocket_cuda_kernels PRIVATE HOCKET_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_compile_options(hocket_cuda_kernels PRIVATE -Og -Wall -Wextra -Wconversion $<$<BOOL:${HOCKET_SANITIZE}>:$<TARGET_PROPERTY:hocket_development,INTERFACE_COMPILE_OPTIONS>>)
target_link_libraries(hocket_cuda_kernels PRIVATE hocket::hocket)
