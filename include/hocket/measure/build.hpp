// How this program was built and from what. Compiler flags come from the build (HOCKET_BUILD_FLAGS, HOCKET_BUILD_TYPE);
// the commit is asked of git when the program runs inside its checkout (HOCKET_SOURCE_DIR), so that a commit made after
// the build changes the record and not the program's bytes, which are what finished cases are keyed by.
//
// Includes the header of every optional library that is in the build, to name its version: include this in one file of
// a program, not in a header.
#pragma once

#include <Eigen/Core>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>
#if defined(HOCKET_HAVE_FFTW)
#include <fftw3.h>
#endif
#if defined(HOCKET_HAVE_ONEDNN)
#if __has_include(<oneapi/dnnl/dnnl_version.h>)
#include <oneapi/dnnl/dnnl_version.h>
#else
#include <dnnl_version.h>
#endif
#endif
#if defined(HOCKET_HAVE_BLAS)
#include <cblas.h>
#endif
#if defined(HOCKET_HAVE_SNDFILE)
#include <sndfile.h>
#endif

#include <hocket/core/config.hpp>
#include <hocket/core/device.hpp>
#include <hocket/measure/record.hpp>

#if !defined(HOCKET_BUILD_FLAGS)
#define HOCKET_BUILD_FLAGS "unknown"
#endif
#if !defined(HOCKET_BUILD_TYPE)
#define HOCKET_BUILD_TYPE "unknown"
#endif
#if !defined(HOCKET_SOURCE_DIR)
#define HOCKET_SOURCE_DIR ""
#endif

namespace hocket::measure {

inline std::string compiler() {
#if defined(__clang__)
  return text("clang ", __clang_major__, ".", __clang_minor__, ".", __clang_patchlevel__);
#elif defined(__GNUC__)
  return text("gcc ", __GNUC__, ".", __GNUC_MINOR__, ".", __GNUC_PATCHLEVEL__);
#else
  return "unknown";
#endif
}

/// (name, version) of every library in this build.
inline std::vector<std::pair<std::string, std::string>> libraries() {
  std::vector<std::pair<std::string, std::string>> out;
  out.emplace_back("eigen", text(EIGEN_WORLD_VERSION, ".", EIGEN_MAJOR_VERSION, ".", EIGEN_MINOR_VERSION));
#if defined(_OPENMP)
  out.emplace_back("openmp", text(_OPENMP));
#endif
#if defined(HOCKET_HAVE_FFTW)
  out.emplace_back("fftw", fftw_version);
#endif
#if defined(HOCKET_HAVE_BLAS)
#if defined(OPENBLAS_VERSION)
  out.emplace_back("blas", openblas_get_config());
#else
  out.emplace_back("blas", "unknown");
#endif
#endif
#if defined(HOCKET_HAVE_ONEDNN)
  out.emplace_back("onednn", text(DNNL_VERSION_MAJOR, ".", DNNL_VERSION_MINOR, ".", DNNL_VERSION_PATCH));
#endif
#if defined(HOCKET_HAVE_SNDFILE)
  out.emplace_back("sndfile", sf_version_string());
#endif
  out.emplace_back("cuda", cuda_built ? "built" : "not built");
  return out;
}

namespace detail {

/// Standard output of a command, without the last line break; nothing if it fails.
inline std::string output_of(const std::string& command) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) return {};
  std::string out;
  std::array<char, 512> part;
  while (const std::size_t got = std::fread(part.data(), 1, part.size(), pipe.get())) out.append(part.data(), got);
  while (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

inline std::string quoted(const std::string& path) {
  std::string out = "'";
  for (const char c : path) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace detail

/// "2026-11-22T16:40:05Z"
inline std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> out;
  std::strftime(out.data(), out.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return out.data();
}

/// Everything but the time, the command and the code digest. Asks git, so call it once per process.
inline provenance describe_build() {
  provenance p;
  p.version = version;
  p.compiler = compiler();
  p.flags = HOCKET_BUILD_FLAGS;
  p.build_type = HOCKET_BUILD_TYPE;
  p.libraries = libraries();
  const std::string source = HOCKET_SOURCE_DIR;
  std::error_code ignored;
  if (!source.empty() && std::filesystem::exists(source + "/.git", ignored)) {
    const std::string git = "git --no-optional-locks -C " + detail::quoted(source);
    p.git_commit = detail::output_of(git + " rev-parse HEAD 2>/dev/null");
    p.git_dirty = !detail::output_of(git + " status --porcelain --untracked-files=no 2>/dev/null").empty();
  }
  if (p.git_commit.empty()) p.git_commit = "unknown";
  for (const char* name : {"OMP_NUM_THREADS", "OMP_PROC_BIND", "OMP_PLACES", "OMP_WAIT_POLICY", "OPENBLAS_NUM_THREADS",
                           "OPENBLAS_CORETYPE", "MKL_NUM_THREADS", "HOCKET_ISA", "MALLOC_TRIM_THRESHOLD_",
                           "MALLOC_TOP_PAD_", "LD_PRELOAD"})
    if (const char* value = std::getenv(name)) p.environment.emplace_back(name, value);
  return p;
}

}  // namespace hocket::measure
