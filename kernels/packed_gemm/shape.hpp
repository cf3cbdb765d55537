// C (m,n) = A (m,k) B (k,n) for a B that is used many times (a weight) and therefore packed once: how B and A lie in
// memory for each precision. Everything here is the same on every machine; which instructions read it is decided when
// it is read (cpu.hpp).
//
//   native   f32 or f64. A is read where it lies. B in strips of strip_columns<T> columns: strip s is (k,
//   strip_columns). bf16     both operands rounded to bf16, sums in f32. B in strips of 32 columns, a strip in steps of
//   32 rows, a step in
//            two tiles of 16 columns: (16 pairs of rows, 16 columns, 2). A in tiles of 16 rows and 32 columns:
//            (ceil(m / 16), steps, 16, 32). What is past the end of k, m or n is zero.
//   split    f32 as sums of three bf16: a step has the tiles of the first part, of the second and of the third.
//   int8     symmetric: A by row, B by column, q = round(x / scale), scale = max |x| / 127; sums in int32. As bf16 with
//            quadruples of rows and steps of 64.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/half.hpp>
#include <hocket/core/options.hpp>

namespace hocket::kernels::packed_gemm {

/// What the factors of a product are. split: f32 on a unit for bf16, as exact sums of three bf16 (cpu.hpp); sums of all
/// but int8 are in T.
enum class precision { native, bf16, int8, split };

/// Tiles of bf16 that stand for one tile: three bf16 hold 24 bits, as an f32 does.
constexpr std::size_t parts_of(precision p) { return p == precision::split ? 3 : 1; }

/// Columns of a strip of B, and of the block of C that one call of a kernel computes. For f32 of every precision: 32.
template <Real T>
inline constexpr std::size_t strip_columns = 128 / sizeof(T);

inline constexpr std::size_t tile_rows = 16;
/// Elements of k that one product of two tiles takes.
constexpr std::size_t step_of(precision p) { return p == precision::int8 ? 64 : 32; }
constexpr std::size_t steps_of(precision p, std::size_t k) { return (k + step_of(p) - 1) / step_of(p); }
/// Bytes of a tile of A, or of one of the two tiles of a step of B.
inline constexpr std::size_t tile_bytes = 1024;

constexpr std::size_t rounded_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

template <Real T>
constexpr std::size_t strips_of(std::size_t n) {
  return (n + strip_columns<T> - 1) / strip_columns<T>;
}

/// Bytes of one strip of B; with int8 its last ones are the scales of its columns, in f32.
template <Real T>
constexpr std::size_t strip_bytes(precision p, std::size_t k) {
  switch (p) {
    case precision::bf16:
    case precision::split: return parts_of(p) * steps_of(p, k) * 2 * tile_bytes;
    case precision::int8: return steps_of(p, k) * 2 * tile_bytes + strip_columns<T> * sizeof(float);
    case precision::native: break;
  }
  return rounded_up(k * strip_columns<T> * sizeof(T), alignment);
}
/// Bytes of B.
template <Real T>
constexpr std::size_t packed_bytes(precision p, std::size_t n, std::size_t k) {
  return strips_of<T>(n) * strip_bytes<T>(p, k);
}
/// Bytes of A in tiles; with int8 the scales of its rows, in f32, follow. 0 for native: A is not packed.
constexpr std::size_t left_bytes(precision p, std::size_t m, std::size_t k) {
  const std::size_t tiles = (m + tile_rows - 1) / tile_rows;
  switch (p) {
    case precision::bf16:
    case precision::split: return tiles * parts_of(p) * steps_of(p, k) * tile_bytes;
    case precision::int8: return tiles * (steps_of(p, k) * tile_bytes + tile_rows * sizeof(float));
    case precision::native: break;
  }
  return 0;
}
/// Rows that a kernel may write in a block of C of `rows` rows.
constexpr std::size_t block_rows(std::size_t rows) { return rounded_up(rows, 2 * tile_rows); }

/// x in steps of max / 127, to the nearest, halves to even, for int8. The product is not rounded before.
inline std::int8_t quantized(float x, float most) {
  if (!(most > 0)) return 0;
  return static_cast<std::int8_t>(std::nearbyint(static_cast<double>(x) * static_cast<double>(127.0F / most)));
}

inline constexpr std::size_t all_of_line = static_cast<std::size_t>(-1);

/// A piece of B: `count` lines of it, times `scale`. Lines are columns of B when it is packed `turned` - line l is
/// data[l * ld ...], a row of a weight (n, k) as PyTorch keeps it - and rows of B otherwise. Several weights that share
/// an input are pieces after each other in both directions. A piece may fill a part of its lines only, from `offset`
/// on, or nothing (data null): the rest is zero.
template <Real T>
struct part {
  const T* data = nullptr;
  std::size_t ld = 0;
  std::size_t count = 0;
  std::size_t offset = 0, length = all_of_line;
  T scale = 1;
};

}  // namespace hocket::kernels::packed_gemm

template <>
struct hocket::enum_names<hocket::kernels::packed_gemm::precision> {
  using enum hocket::kernels::packed_gemm::precision;
  static constexpr std::array values = {
      std::pair{native, std::string_view{"native"}}, std::pair{bf16, std::string_view{"bf16"}},
      std::pair{int8, std::string_view{"int8"}}, std::pair{split, std::string_view{"split"}}};
};
