// Narrow products of a low-rank term on x (rows, in), of which dropout takes a part: u = keep(x) A', dA = du' keep(x),
// dx = keep(du A), with keep(x) = scale x where an element stays and 0 elsewhere. A (rank, in) is as wide as x and a
// few rows high.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include <hocket/core/config.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/rng.hpp>

namespace hocket::kernels::low_rank {

/// Which elements are dropped: a pure function of (seed, stream, row, column), in every order. Columns come in groups
/// of 128; group g = row ceil(columns / 128) + column / 128 takes Philox blocks 16 g ... 16 g + 15, and its element j
/// half j / 64, the low one first, of word j % 64 / 16 of block 16 g + j % 16. Sixteen bits an element, as in
/// attention: with 32 making the masks took twice as long.
struct dropout {
  std::uint64_t seed = 0, stream = 0;
  std::uint32_t threshold = 0;  ///< an element whose 16 bits are below is dropped; 0: none is
  double scale = 1;             ///< of the elements that stay

  bool none() const { return threshold == 0; }
};
inline constexpr std::size_t dropout_group = 128;
/// Groups of a row.
constexpr std::size_t groups_of(std::size_t columns) { return (columns + dropout_group - 1) / dropout_group; }

/// p in [0, 1), rounded to a multiple of 2^-16; the scale is exact for the rounded one.
inline dropout make_dropout(double p, std::uint64_t seed, std::uint64_t stream) {
  expects(p >= 0 && p < 1, errc::bad_option, "dropout of ", p, "; it must be at least 0 and below 1");
  const double parts = std::round(p * 0x1p16);
  const auto threshold = static_cast<std::uint32_t>(parts < 0xffffp0 ? parts : 0xffffp0);
  return {seed, stream, threshold, 1 / (1 - static_cast<double>(threshold) * 0x1p-16)};
}

/// Whether element (row, column) of a matrix with `columns` columns stays.
inline bool stays(const dropout& d, std::size_t columns, std::uint64_t row, std::size_t column) {
  const std::size_t j = column % dropout_group;
  const std::uint64_t block = (row * groups_of(columns) + column / dropout_group) * 16 + j % 16;
  const auto words = philox4x32({static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32),
                                 static_cast<std::uint32_t>(d.stream), static_cast<std::uint32_t>(d.stream >> 32)},
                                {static_cast<std::uint32_t>(d.seed), static_cast<std::uint32_t>(d.seed >> 32)});
  return (words[j % 64 / 16] >> (j / 64 * 16) & 0xffff) >= d.threshold;
}

/// Masks, a bit an element (1: it stays), in words of 64 bits, column c at bit c % 64 of word c / 64: bytes of a row.
constexpr std::size_t mask_bytes(std::size_t columns) { return (columns + 63) / 64 * sizeof(std::uint64_t); }

/// The masks of a matrix, if it has any, and what multiplies the elements that stay.
struct kept_elements {
  const std::byte* bits = nullptr;  ///< null: all stay
  std::size_t apart = 0;            ///< bytes from one row's masks to the next
  double scale = 1;
};
/// Those from a row on.
inline kept_elements from_row(const kept_elements& keep, std::size_t row) {
  return {keep.bits ? keep.bits + row * keep.apart : nullptr, keep.apart, keep.scale};
}
inline bool stays(const kept_elements& keep, std::size_t row, std::size_t column) {
  if (!keep.bits) return true;
  std::uint64_t word;
  std::memcpy(&word, keep.bits + row * keep.apart + column / 64 * sizeof word, sizeof word);
  return (word >> column % 64 & 1) != 0;
}

/// A matrix in rows or in tiles of 16 rows by 32 columns: element (r, c) lies at
/// r / 16 * band + r % 16 * row + c / 32 * strip + c % 32.
template <class X>
struct tiled_matrix {
  const X* data = nullptr;
  std::size_t row = 0, band = 0, strip = 0;

  /// 32 columns of a row.
  const X* columns(std::size_t r, std::size_t strip_number) const {
    return data + r / 16 * band + r % 16 * row + strip_number * strip;
  }
};
template <class X>
tiled_matrix<X> in_rows(const X* data, std::size_t ld) {
  return {data, ld, 16 * ld, 32};
}

/// One term of dx: keep(du A), with du (rows, rank) and A's rows, `in` elements each.
struct back_term {
  const float* du;
  std::span<const float* const> lines;
  kept_elements keep;
};

}  // namespace hocket::kernels::low_rank
