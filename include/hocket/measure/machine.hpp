// The machine a record was made on, read from /proc and /sys; what cannot be read is left empty. No host name, no user
// name: records are published.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#if defined(__unix__)
#include <sys/utsname.h>
#include <unistd.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif

#include <hocket/core/simd.hpp>
#include <hocket/measure/record.hpp>
#include <hocket/measure/sha256.hpp>

namespace hocket::measure {

namespace detail {

inline std::string first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  return line;
}

/// The value of "key<separator>value" in a file of such lines, without quotes.
inline std::string value_in(const std::string& path, std::string_view key, char separator) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const auto at = line.find(separator);
    if (at == std::string::npos || line.find_first_not_of(" \t", key.size()) != at) continue;
    std::string value = line.substr(at + 1);
    const auto first = value.find_first_not_of(" \t\""), last = value.find_last_not_of(" \t\"");
    return first == std::string::npos ? std::string() : value.substr(first, last + 1 - first);
  }
  return {};
}

/// "L1d 48K, L1i 32K, L2 2048K, L3 266240K" of the first processor.
inline std::string cache_sizes() {
  std::string out;
  for (int i = 0; i < 8; ++i) {
    const std::string folder = text("/sys/devices/system/cpu/cpu0/cache/index", i, "/");
    const std::string level = first_line(folder + "level"), type = first_line(folder + "type");
    if (level.empty()) break;
    out += text(out.empty() ? "" : ", ", "L", level,
                type == "Data"          ? "d"
                : type == "Instruction" ? "i"
                                        : "",
                " ", first_line(folder + "size"));
  }
  return out;
}

}  // namespace detail

/// Logical processors that this process may use.
inline std::int64_t usable_cores() {
#if defined(__linux__)
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
#endif
  return static_cast<std::int64_t>(std::thread::hardware_concurrency());
}

/// What stands in every record. Times are comparable only under one fingerprint: processor, usable cores, memory in
/// GiB, instruction set in use and operating system.
inline machine describe_machine() {
  machine m;
  m.cpu = detail::value_in("/proc/cpuinfo", "model name", ':');
  if (m.cpu.empty()) m.cpu = "unknown";
  m.cores = usable_cores();
  m.isa = name_of(best_isa());
  m.caches = detail::cache_sizes();
  m.governor = detail::first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  m.os = detail::value_in("/etc/os-release", "PRETTY_NAME", '=');
  if (m.os.empty()) m.os = "unknown";
  m.kernel = "unknown";
#if defined(__unix__)
  m.ram_bytes = static_cast<std::int64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::int64_t>(sysconf(_SC_PAGE_SIZE));
  utsname names{};
  if (uname(&names) == 0) m.kernel = text(names.sysname, " ", names.release);
  double load[3];
  const int got = getloadavg(load, 3);
  for (int i = 0; i < got; ++i) m.load_average.push_back(load[i]);
#endif
  const std::int64_t gib = (m.ram_bytes + (std::int64_t{1} << 29)) >> 30;
  m.fingerprint = sha256_of(text(m.cpu, "|", m.cores, "|", gib, "|", m.isa, "|", m.os)).substr(0, 12);
  return m;
}

}  // namespace hocket::measure
