// The named errors of the library. A public function checks its arguments with `expects` (always on, also in release
// builds); the message says what was wrong, with both values, and what to do. Kernels never throw.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdlib>
#include <initializer_list>
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

/// One part of a message, its type erased: putting a message together costs its caller an array and a call, not a
/// function for every combination of types.
class text_part {
 public:
  text_part(std::string_view part) : kind_(is_text), data_(part.data()), size_(part.size()) {}
  text_part(const char* part) : text_part(std::string_view(part)) {}
  text_part(const std::string& part) : text_part(std::string_view(part)) {}
  text_part(bool part) : text_part(part ? std::string_view("true") : std::string_view("false")) {}
  text_part(const char& part) : text_part(std::string_view(&part, 1)) {}
  text_part(float part) : kind_(is_float), real_(part) {}  // exact, and printed as the float it was
  text_part(double part) : kind_(is_double), real_(part) {}
  template <std::signed_integral Number>
  text_part(Number part) : kind_(is_signed), signed_(part) {}
  template <std::unsigned_integral Number>
  text_part(Number part) : kind_(is_unsigned), unsigned_(part) {}

  void append_to(std::string& out) const {
    char digits[48];
    char* const end = digits + sizeof digits;
    switch (kind_) {
      case is_text: out.append(data_, size_); return;
      case is_float: out.append(digits, std::to_chars(digits, end, static_cast<float>(real_)).ptr); return;
      case is_double: out.append(digits, std::to_chars(digits, end, real_).ptr); return;
      case is_signed: out.append(digits, std::to_chars(digits, end, signed_).ptr); return;
      case is_unsigned: out.append(digits, std::to_chars(digits, end, unsigned_).ptr); return;
    }
  }

 private:
  enum { is_text, is_float, is_double, is_signed, is_unsigned } kind_;
  union {
    const char* data_;
    double real_;
    long long signed_;
    unsigned long long unsigned_;
  };
  std::size_t size_ = 0;
};

[[gnu::noinline]] inline std::string joined(std::initializer_list<text_part> parts) {
  std::string out;
  for (const text_part& part : parts) part.append_to(out);
  return out;
}

[[noreturn, gnu::cold, gnu::noinline]] inline void fail_with(errc kind, std::initializer_list<text_part> parts) {
  throw error(kind, joined(parts));
}

}  // namespace detail

/// Joins strings and numbers; numbers in their shortest form that reads back to the same value, whatever the locale.
template <class... Parts>
std::string text(const Parts&... parts) {
  return detail::joined({detail::text_part(parts)...});
}

template <class... Parts>
[[noreturn, gnu::cold]] void fail(errc kind, const Parts&... parts) {
  detail::fail_with(kind, {detail::text_part(parts)...});
}

/// Throws error(kind, parts...) unless `condition` holds. The parts are put together only on failure.
template <class... Parts>
[[gnu::always_inline]] inline void expects(bool condition, errc kind, const Parts&... parts) {
  if (!condition) [[unlikely]]
    fail(kind, parts...);
}

}  // namespace hocket
