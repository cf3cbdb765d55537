// Options are plain structs. One static member function lists their fields once, with unit and reason; printing,
// parsing of `key=value` and records are derived from it:
//
//   struct stft_options {
//     std::size_t n_fft = 2048;
//     template <class Self, class Visit>
//     static void fields(Self& self, Visit&& visit) {
//       visit("n_fft", self.n_fft, "samples: length of the transform");
//     }
//   };
//
// Booleans are true|false, an absent std::optional is none, enumerations go by the names in enum_names<E>.
#pragma once

#include <array>
#include <charconv>
#include <concepts>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <hocket/core/error.hpp>

namespace hocket {

/// Specialise with `static constexpr std::array values = {std::pair{E::a, std::string_view{"a"}}, ...};`
template <class E>
struct enum_names;

template <class E>
requires requires { enum_names<E>::values; }
constexpr std::string_view name_of(E value) {
  for (const auto& [known, name] : enum_names<E>::values)
    if (known == value) return name;
  return "unknown";
}

namespace detail {

/// Takes any field and does nothing. A named function object, as nvcc 13 rejects a lambda in a requires-expression.
struct any_field {
  template <class T>
  void operator()(std::string_view, T&, std::string_view) const {}
};

}  // namespace detail

template <class Options>
concept OptionStruct = requires(Options& o) {
  Options::fields(o, detail::any_field{});
};

namespace detail {

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class T>
std::string option_to_text(const T& value) {
  if constexpr (is_optional<T>) {
    return value ? option_to_text(*value) : std::string("none");
  } else if constexpr (std::is_enum_v<T>) {
    return std::string(name_of(value));
  } else {
    return text(value);
  }
}

template <class T>
T option_from_text(std::string_view key, std::string_view value) {
  if constexpr (is_optional<T>) {
    if (value == "none") return std::nullopt;
    return option_from_text<typename T::value_type>(key, value);
  } else if constexpr (std::same_as<T, bool>) {
    if (value == "true") return true;
    if (value == "false") return false;
    fail(errc::bad_option, key, "=", value, ": expected true or false");
  } else if constexpr (std::is_enum_v<T>) {
    std::string known;
    for (const auto& [candidate, name] : enum_names<T>::values) {
      if (name == value) return candidate;
      known += text(known.empty() ? "" : ", ", name);
    }
    fail(errc::bad_option, key, "=", value, ": expected one of ", known);
  } else if constexpr (std::is_arithmetic_v<T>) {
    T parsed{};
    const auto done = std::from_chars(value.data(), value.data() + value.size(), parsed);
    expects(done.ec == std::errc{} && done.ptr == value.data() + value.size(), errc::bad_option, key, "=", value,
            std::is_integral_v<T> ? ": expected a whole number" : ": expected a number",
            std::is_unsigned_v<T> ? " >= 0" : "");
    if constexpr (std::is_floating_point_v<T>)
      expects(std::isfinite(parsed), errc::bad_option, key, "=", value, ": expected a finite number");
    return parsed;
  } else {
    return T(value);
  }
}

}  // namespace detail

/// (key, value) of every field, in the order of the struct.
template <OptionStruct Options>
std::vector<std::pair<std::string, std::string>> to_pairs(const Options& options) {
  std::vector<std::pair<std::string, std::string>> pairs;
  Options::fields(options, [&](std::string_view key, const auto& value, std::string_view) {
    pairs.emplace_back(std::string(key), detail::option_to_text(value));
  });
  return pairs;
}

/// "n_fft=2048 hop_length=512 ...": what goes into messages and records.
template <OptionStruct Options>
std::string to_text(const Options& options) {
  std::string out;
  for (const auto& [key, value] : to_pairs(options)) out += text(out.empty() ? "" : " ", key, "=", value);
  return out;
}

/// One line per field with its default and its reason, for --help.
template <OptionStruct Options>
std::string describe(const Options& options) {
  std::string out;
  Options::fields(options, [&](std::string_view key, const auto& value, std::string_view why) {
    out += text("  ", key, "=", detail::option_to_text(value), "  ", why, "\n");
  });
  return out;
}

/// Sets one field from text; throws bad_option that lists the known keys, or what the value may be.
template <OptionStruct Options>
void set_option(Options& options, std::string_view key, std::string_view value) {
  bool found = false;
  std::string known;
  Options::fields(options, [&](std::string_view name, auto& field, std::string_view) {
    known += text(known.empty() ? "" : ", ", name);
    if (name != key) return;
    found = true;
    field = detail::option_from_text<std::remove_cvref_t<decltype(field)>>(key, value);
  });
  expects(found, errc::bad_option, "unknown option ", key, "; known are: ", known);
}

/// Sets one field from "key=value".
template <OptionStruct Options>
void set_option(Options& options, std::string_view assignment) {
  const auto equals = assignment.find('=');
  expects(equals != std::string_view::npos && equals > 0, errc::bad_option, "expected key=value, got '", assignment,
          "'");
  set_option(options, assignment.substr(0, equals), assignment.substr(equals + 1));
}

}  // namespace hocket
