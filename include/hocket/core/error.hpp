// The named errors of the library. A public function checks its arguments with `expects` (always on, also in release
// builds); the message says what was wrong, with both values, and what to do. Kernels never throw.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace hocket {

/// Why a call was refused. The names are part of the interface: programs map them to exit codes.
enum class errc {
  no_device,          ///< the backend is built in, but this machine has no such device
  not_built,          ///< this build has no such backend or library
  out_of_memory,      ///< an allocation failed; the message says how many bytes
  bad_pointer,        ///< null, or memory of the wrong device
  unsupported_shape,  ///< sizes that do not fit together, or that no kernel accepts
  misaligned,         ///< a view that is not aligned or not contiguous as required
  bad_file,           ///< missing, truncated or malformed file; the message says where
  bad_option,         ///< unknown name or value out of range; the message lists what is known
  bad_value,          ///< NaN or infinity in the data; the message gives its position
};

constexpr std::string_view name_of(errc kind) {
  switch (kind) {
    case errc::no_device: return "no_device";
    case errc::not_built: return "not_built";
    case errc::out_of_memory: return "out_of_memory";
    case errc::bad_pointer: return "bad_pointer";
    case errc::unsupported_shape: return "unsupported_shape";
    case errc::misaligned: return "misaligned";
    case errc::bad_file: return "bad_file";
    case errc::bad_option: return "bad_option";
    case errc::bad_value: return "bad_value";
  }
  return "unknown";
}

/// The one exception type of the library.
class error : public std::runtime_error {
 public:
  error(errc kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  errc kind() const noexcept { return kind_; }

 private:
  errc kind_;
};

namespace detail {

inline void append(std::string& out, std::string_view part) { out += part; }
inline void append(std::string& out, const char* part) { out += part; }
inline void append(std::string& out, const std::string& part) { out += part; }
inline void append(std::string& out, bool part) { out += part ? "true" : "false"; }
inline void append(std::string& out, char part) { out += part; }

template <class Number>
requires(std::is_arithmetic_v<Number> && !std::same_as<Number, bool> &&
         !std::same_as<Number, char>) void append(std::string& out, Number part) {
  char digits[48];
  const auto done = std::to_chars(digits, digits + sizeof digits, part);
  out.append(digits, done.ptr);
}

}  // namespace detail

/// Joins strings and numbers; numbers in their shortest form that reads back to the same value, whatever the locale.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

template <class... Parts>
[[noreturn]] void fail(errc kind, const Parts&... parts) {
  throw error(kind, text(parts...));
}

/// Throws error(kind, parts...) unless `condition` holds. The parts are put together only on failure.
template <class... Parts>
void expects(bool condition, errc kind, const Parts&... parts) {
  if (!condition) [[unlikely]]
    fail(kind, parts...);
}

}  // namespace hocket
