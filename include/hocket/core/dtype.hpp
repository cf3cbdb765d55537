// Element types by name, for arms, records and options.
#pragma once

#include <complex>
#include <cstdint>
#include <string_view>

#include <hocket/core/config.hpp>
#include <hocket/core/half.hpp>

namespace hocket {

enum class dtype : std::uint8_t { f32, f64, c64, c128, bf16 };

constexpr std::string_view name_of(dtype type) {
  switch (type) {
    case dtype::f32: return "f32";
    case dtype::f64: return "f64";
    case dtype::c64: return "c64";
    case dtype::c128: return "c128";
    case dtype::bf16: return "bf16";
  }
  return "unknown";
}

template <class T>
inline constexpr bool is_real_scalar = false;
template <>
inline constexpr bool is_real_scalar<float> = true;
template <>
inline constexpr bool is_real_scalar<double> = true;

/// float or double: the scalars that every component is templated on.
template <class T>
concept Real = is_real_scalar<T>;

template <class T>
inline constexpr dtype dtype_of = dtype::f32;
template <>
inline constexpr dtype dtype_of<double> = dtype::f64;
template <>
inline constexpr dtype dtype_of<bf16> = dtype::bf16;
template <>
inline constexpr dtype dtype_of<std::complex<float>> = dtype::c64;
template <>
inline constexpr dtype dtype_of<std::complex<double>> = dtype::c128;

}  // namespace hocket
