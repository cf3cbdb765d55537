// 16-bit storage types: f16 (IEEE binary16) and bf16 (the upper half of an f32). They hold bits; arithmetic is done in
// f32. Conversions round to nearest even, and give the same bits on the host and on a GPU, with or without CUDA
// headers.
#pragma once

#include <bit>
#include <cstdint>

#include <hocket/core/config.hpp>
#if defined(__CUDACC__)
#include <cuda_fp16.h>
#endif

namespace hocket {

struct f16 {
  std::uint16_t bits;
};
struct bf16 {
  std::uint16_t bits;
};

namespace detail {

HOCKET_HD inline std::uint32_t bits_of(float x) {
#if defined(__CUDA_ARCH__)
  return __float_as_uint(x);
#else
  return std::bit_cast<std::uint32_t>(x);
#endif
}
HOCKET_HD inline float float_of(std::uint32_t bits) {
#if defined(__CUDA_ARCH__)
  return __uint_as_float(bits);
#else
  return std::bit_cast<float>(bits);
#endif
}

}  // namespace detail

HOCKET_HD inline float to_f32(bf16 x) { return detail::float_of(static_cast<std::uint32_t>(x.bits) << 16); }

HOCKET_HD inline bf16 to_bf16(float x) {
  const std::uint32_t bits = detail::bits_of(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};  // quiet NaN
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

HOCKET_HD inline float to_f32(f16 x) {
#if defined(__CUDA_ARCH__)
  return __half2float(__ushort_as_half(x.bits));
#else
  const std::uint32_t sign = static_cast<std::uint32_t>(x.bits & 0x8000u) << 16;
  const std::uint32_t exponent = (x.bits >> 10) & 0x1fu;
  const std::uint32_t fraction = x.bits & 0x3ffu;
  if (exponent == 31) return detail::float_of(sign | 0x7f800000u | (fraction << 13));
  if (exponent != 0) return detail::float_of(sign | ((exponent + 112) << 23) | (fraction << 13));
  const float tiny = static_cast<float>(fraction) * 0x1p-24f;  // subnormal: exact
  return sign ? -tiny : tiny;
#endif
}

HOCKET_HD inline f16 to_f16(float x) {
#if defined(__CUDA_ARCH__)
  return {__half_as_ushort(__float2half_rn(x))};
#else
  const std::uint32_t bits = detail::bits_of(x);
  const std::uint32_t sign = (bits >> 16) & 0x8000u;
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return {static_cast<std::uint16_t>(0x7fffu)};  // the NaN that the GPU gives
  if (magnitude >= 0x477ff000u)
    return {static_cast<std::uint16_t>(sign | 0x7c00u)};  // 65520 and above round to infinity
  if (magnitude < 0x38800000u) {  // below 2^-14: a subnormal, rounded by adding the number whose ulp is 2^-24
    const float sum = detail::float_of(magnitude) + 0.5f;
    return {static_cast<std::uint16_t>(sign | (detail::bits_of(sum) - 0x3f000000u))};
  }
  const std::uint32_t rounded = magnitude + 0xfffu + ((magnitude >> 13) & 1u);
  return {static_cast<std::uint16_t>(sign | ((rounded - 0x38000000u) >> 13))};
#endif
}

HOCKET_HD inline float to_f32(float x) { return x; }

/// Any storage type in double, without a rounding: for references.
template <class T>
double to_f64(T x) {
  return static_cast<double>(to_f32(x));
}
template <>
inline double to_f64<double>(double x) {
  return x;
}

/// float -> T: f16, bf16 or float itself.
template <class T>
HOCKET_HD T from_f32(float x);
template <>
HOCKET_HD inline float from_f32<float>(float x) {
  return x;
}
template <>
HOCKET_HD inline f16 from_f32<f16>(float x) {
  return to_f16(x);
}
template <>
HOCKET_HD inline bf16 from_f32<bf16>(float x) {
  return to_bf16(x);
}

}  // namespace hocket
