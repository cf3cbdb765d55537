# Headers, licence, and what find_package(hocket) reads. In the tree include/hocket/kernels is a symbolic link; installed it
# is a real folder.
include(CMakePackageConfigHelpers)

set(header_patterns PATTERN "*.hpp" PATTERN "*.cuh" PATTERN "*.inl")
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/hocket DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
        FILES_MATCHING ${header_patterns} PATTERN "kernels" EXCLUDE)
install(DIRECTORY ${PROJECT_SOURCE_DIR}/kernels/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hocket/kernels
        FILES_MATCHING ${header_patterns})
install(FILES ${PROJECT_SOURCE_DIR}/LICENSE ${PROJECT_SOURCE_DIR}/NOTICE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/hocket)
install(TARGETS hocket EXPORT hocketTargets)
install(EXPORT hocketTargets NAMESPACE hocket:: DESTINATION ${config_folder})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/hocketConfig.cmake.in ${PROJECT_BINARY_DIR}/hocketConfig.cmake
                              INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/hocketConfigVersion.cmake COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES ${PROJECT_BINARY_DIR}/hocketConfig.cmake ${PROJECT_BINARY_DIR}/hocketConfigVersion.cmake DESTINATION ${config_folder})
