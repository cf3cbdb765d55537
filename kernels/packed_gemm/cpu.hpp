// The product with a packed B on the CPU: packing, and C by strips of strip_columns<T> columns. What follows a product
// (bias, activation, ...) is done on each block of a strip while it is in L1, by whoever calls.
//
// Ladder (f32, one core with AVX-512 whose peak is 237 GFLOP/s, beside oneDNN 2.6's sgemm in the same run)
//   1  strips packed once, 14 x 32 registers, A read where it lies, strips outside and rows inside
//                                         236 (192 x 512 x 384; oneDNN 173), 239 (192 x 384 x 384; 231), 207 (k = 1536;
//                                         171)
//   2  tiles of nearly equal height instead of 14 rows and a rest     1.6 % of a training step whose blocks have 256
//   rows
// In multiply, over oneDNN 2.6 in turns with it, one thread, 2048 x 1536 x 384, 2048 cubed, 2048 x 384 x 1536:
//   2                                     0.63, 0.77, 0.88
//   3  rows of a block copied by a memcpy of known size     0.78, 0.88, 0.92
//   4  C's lines asked for before a block is computed       0.85, 0.87, 0.88
//   5  A's lines asked for two ahead                        0.86, 0.90, 0.91
// Failed there: stores past the caches, 0.44, 0.73, 0.71; lines of the strip asked for, no change. Without C's copy at
// all it would be 1.01, 0.91, 0.92.
// Failed: rows outside and strips inside, 12 x 32: 163 instead of 200 at k = 1536; pieces of k = 384 gave nothing more.
// Packing trained weights, forth and back, all of MiniLM's in bf16 (42 MB, two threads):
//   1  strip after strip, of a turned one pair after pair        14.1 ms; in three parts 30
//   2  rows as memory brings them for a dozen strips at once, squares of 16 x 16 pairs turned in registers      7.4; 15
//   3  pairs of rows joined in registers: a load of a whole register had to wait for the stores of its two halves
//                                                                5.6; 14
// Failed: stores past the caches, 1 % more of a step.
// bf16 and int8: amx.hpp; without that unit bf16 pairs are taken apart into f32, int8 quadruples into int32.
//
// An element's bits depend on its row of A and its column of B alone: sums run over k in one order, so any cut into
// rows and strips gives the same result.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include <hocket/core/amx.hpp>
#include <hocket/core/config.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/packed_gemm/shape.hpp>

#define HOCKET_SIMD_BODY <hocket/kernels/packed_gemm/cpu_body.inl>
#include <hocket/core/simd_each.hpp>
#if !defined(HOCKET_EXTERN_TEMPLATES) || defined(HOCKET_COMPILES_INSTANCES)
#include <hocket/kernels/packed_gemm/amx.hpp>
#endif

namespace hocket::kernels::packed_gemm {

/// How products that are asked for as `p` are computed on this machine: f32 by split where there is a unit for bf16,
/// which is faster and no less exact.
template <Real T>
precision kind_for(precision p) noexcept {
  return p == precision::native && std::is_same_v<T, float> && best_matrix_unit() == matrix_unit::amx ? precision::split
                                                                                                      : p;
}

// B -----------------------------------------------------------------------------------------------------------------

namespace detail {

/// Line `index` of B: where it begins in memory; null past its end and for nothing.
template <Real T>
const T* line_of(std::span<const part<T>> parts, std::size_t index) {
  for (const part<T>& each : parts) {
    if (index < each.count) return each.data ? each.data + index * each.ld : nullptr;
    index -= each.count;
  }
  return nullptr;
}

/// put(q, j, x) for every element of `columns` columns from j0 on that B's pieces fill.
template <Real T, class Put>
void visit_strip(std::span<const part<T>> parts, bool turned, std::size_t k, std::size_t j0, std::size_t columns,
                 Put&& put) {
  std::size_t start = 0;  // the part's first line
  for (const part<T>& each : parts) {
    const std::size_t lines = turned ? columns : k, first_line = turned ? j0 : 0;
    const std::size_t begin = std::max(start, first_line), end = std::min(start + each.count, first_line + lines);
    const std::size_t inner_first = turned ? 0 : j0, inner_last = turned ? k : j0 + columns;
    const std::size_t from = std::max(inner_first, each.offset),
                      to = each.length == all_of_line ? inner_last : std::min(inner_last, each.offset + each.length);
    for (std::size_t line = begin; each.data && line < end; ++line) {
      const T* const data = each.data + (line - start) * each.ld;
      for (std::size_t i = from; i < to; ++i)
        put(turned ? i : line, turned ? line - j0 : i - j0, each.scale * data[i - each.offset]);
    }
    start += each.count;
  }
}

/// Whether a piece's lines stand in B as they are.
template <Real T>
bool is_plain(const part<T>& each) {
  return each.offset == 0 && each.length == all_of_line && each.scale == T{1};
}

/// `count` lines from `first` on where one piece alone holds them as they are; without data otherwise.
template <Real T>
part<T> lines_of_one_part(std::span<const part<T>> parts, std::size_t first, std::size_t count) {
  for (const part<T>& each : parts) {
    if (first < each.count) {
      const bool plain = each.data && first + count <= each.count && is_plain(each);
      return plain ? part<T>{each.data + first * each.ld, each.ld, count} : part<T>{};
    }
    first -= each.count;
  }
  return {};
}

template <std::size_t Parts>
void pack_strip_turned(std::size_t k, const float* const (&row)[32], std::uint32_t* to) noexcept {
  HOCKET_ON_BEST_ISA(pack_strip_turned<Parts>(k, row, to))
}
template <std::size_t Parts, class S>
void pack_pair(std::size_t n, const S* first, const S* second, std::uint32_t* to, std::size_t apart) noexcept {
  HOCKET_ON_BEST_ISA(pack_pair<Parts>(n, first, second, to, apart))
}

/// x as the sum of `Parts` numbers of bf16, or as one; what kernels do with registers (round_32 in cpu_body.inl).
template <std::size_t Parts>
std::array<bf16, Parts> parts_of_number(float x) noexcept {
  std::array<bf16, Parts> parts;
  for (bf16& part : parts) {
    part = to_bf16(x);
    if (Parts > 1 && std::isinf(to_f32(part)))
      part.bits = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
    const float rest = x - to_f32(part);
    x = rest == rest ? rest : 0.0F;
  }
  return parts;
}

/// Strips [first, last) of tiles of bf16 or of its parts.
template <std::size_t Parts>
void pack_strips_bf16(std::size_t k, std::size_t n, std::span<const part<float>> parts, bool turned, std::size_t first,
                      std::size_t last, std::byte* to) noexcept {
  const std::size_t words = steps_of(precision::bf16, k) * Parts * 512;  // of a strip
  auto* const strips = reinterpret_cast<std::uint32_t*>(to) + first * words;
  const std::size_t j0 = first * 32, columns = std::min(n, last * 32) - j0;
  if (!std::all_of(parts.begin(), parts.end(), is_plain<float>)) {  // narrow terms: no need for speed
    std::fill_n(strips, (last - first) * words, 0U);
    auto* const out = reinterpret_cast<std::uint16_t*>(strips);
    visit_strip(parts, turned, k, j0, columns, [&](std::size_t q, std::size_t j, float x) {
      std::uint16_t* at =
          out + j / 32 * words * 2 + q / 32 * Parts * 1024 + j % 32 / 16 * 512 + q % 32 / 2 * 32 + j % 16 * 2 + q % 2;
      for (const bf16 each : parts_of_number<Parts>(x)) {
        *at = each.bits;
        at += 1024;
      }
    });
  } else if (turned) {
    for (std::size_t j = 0; j < columns; j += 32) {
      const float* row[32] = {};
      for (std::size_t i = 0; i < std::min<std::size_t>(32, columns - j); ++i) row[i] = line_of(parts, j0 + j + i);
      pack_strip_turned<Parts>(k, row, strips + j / 32 * words);
    }
  } else {
    for (std::size_t q = 0; q < rounded_up(k, 32); q += 2) {  // rows as memory brings them
      const float *const one = line_of(parts, q), *const two = line_of(parts, q + 1);
      pack_pair<Parts>(columns, one ? one + j0 : one, two ? two + j0 : two,
                       strips + q / 32 * Parts * 512 + q % 32 / 2 * 16, words);
    }
  }
}

inline void pack_strip_int8(std::size_t k, std::size_t j0, std::size_t columns, std::span<const part<float>> parts,
                            bool turned, std::byte* strip) noexcept {
  std::fill_n(strip, strip_bytes<float>(precision::int8, k), std::byte{0});
  auto* const out = reinterpret_cast<std::int8_t*>(strip);
  auto* const scales = reinterpret_cast<float*>(strip + steps_of(precision::int8, k) * 2 * tile_bytes);
  float most[32] = {};
  visit_strip(parts, turned, k, j0, columns,
              [&](std::size_t, std::size_t j, float x) { most[j] = std::max(most[j], std::abs(x)); });
  for (std::size_t j = 0; j < 32; ++j) scales[j] = most[j] / 127.0F;
  visit_strip(parts, turned, k, j0, columns, [&](std::size_t q, std::size_t j, float x) {
    out[q / 64 * 2048 + j / 16 * 1024 + q % 64 / 4 * 64 + j % 16 * 4 + q % 4] = quantized(x, most[j]);
  });
}

}  // namespace detail

/// to (columns, ldto) = from (rows, ld) transposed: A for a native product.
template <Real T>
void turn(std::size_t rows, std::size_t columns, const T* from, std::size_t ld, T* to, std::size_t ldto) noexcept {
  HOCKET_ON_BEST_ISA(turn<T>(rows, columns, from, ld, to, ldto))
}

/// On the calling thread: packs one matrix (k, n) with rows `ldb` apart into `to`, which is aligned to 64 bytes. S: T,
/// or for precision::bf16 f32 or bf16. Not for int8.
template <Real T, class S = T>
void pack_rows(precision p, std::size_t k, std::size_t n, const S* b, std::size_t ldb, std::byte* to) noexcept {
  constexpr std::size_t width = strip_columns<T>;
  const std::size_t bytes = strip_bytes<T>(p, k);
  if constexpr (std::is_same_v<T, float>) {
    for (std::size_t q = 0; p != precision::native && q < rounded_up(k, 32); q += 2) {  // rows as memory brings them
      const S *const one = q < k ? b + q * ldb : nullptr, *const two = q + 1 < k ? b + (q + 1) * ldb : nullptr;
      auto* const pairs =
          reinterpret_cast<std::uint32_t*>(to + q / 32 * parts_of(p) * 2 * tile_bytes + q % 32 / 2 * 64);
      p == precision::split ? detail::pack_pair<3>(n, one, two, pairs, bytes / 4)
                            : detail::pack_pair<1>(n, one, two, pairs, bytes / 4);
    }
  }
  if constexpr (std::is_same_v<T, S>)
    for (std::size_t q = 0; p == precision::native && q < k; ++q)
      for (std::size_t j0 = 0; j0 < n; j0 += width) {
        T* const row = reinterpret_cast<T*>(to + j0 / width * bytes) + q * width;
        const std::size_t count = std::min(width, n - j0);
        std::copy_n(b + q * ldb + j0, count, row);
        std::fill(row + count, row + width, T{0});
      }
}

/// On the calling thread: packs strips [first, last) of B (k, n), made of `parts` (shape.hpp), into `to`, which holds
/// all of packed_bytes and is aligned to 64 bytes. All but native are for f32.
template <Real T>
void pack(precision p, std::size_t k, std::size_t n, std::span<const part<T>> parts, bool turned, std::size_t first,
          std::size_t last, std::byte* to) noexcept {
  constexpr std::size_t width = strip_columns<T>;
  if constexpr (std::is_same_v<T, float>) {
    if (p == precision::bf16) return detail::pack_strips_bf16<1>(k, n, parts, turned, first, last, to);
    if (p == precision::split) return detail::pack_strips_bf16<3>(k, n, parts, turned, first, last, to);
  }
  for (std::size_t s = first; s < last; ++s) {
    std::byte* const strip = to + s * strip_bytes<T>(p, k);
    const std::size_t j0 = s * width, columns = std::min(width, n - j0);
    if constexpr (std::is_same_v<T, float>) {
      if (p == precision::int8) {
        detail::pack_strip_int8(k, j0, columns, parts, turned, strip);
        continue;
      }
    }
    T* const out = reinterpret_cast<T*>(strip);
    if (const part<T> one = detail::lines_of_one_part<T>(parts, turned ? j0 : 0, turned ? columns : k); one.data) {
      if (!turned) {
        pack_rows<T>(p, k, columns, one.data + j0, one.ld, strip);
        continue;
      }
      if (columns < width) std::fill_n(out, k * width, T{0});
      turn<T>(columns, k, one.data, one.ld, out, width);
      continue;
    }
    const bool full = std::all_of(parts.begin(), parts.end(),
                                  [](const part<T>& each) { return each.data && each.length == all_of_line; });
    if (columns < width || !full) std::fill_n(out, k * width, T{0});
    detail::visit_strip(parts, turned, k, j0, columns,
                        [&](std::size_t q, std::size_t j, T x) { out[q * width + j] = x; });
  }
}

// A -----------------------------------------------------------------------------------------------------------------

/// A (rows, k) in tiles, not native: where it is packed. `data`: left_bytes(kind, rows, k), aligned to 64 bytes.
struct left {
  precision kind;
  std::size_t rows, k;
  std::byte* data;
  /// Tiles from one 16 rows to the next.
  std::size_t apart() const { return parts_of(kind) * steps_of(kind, k); }
  std::byte* tiles_of(std::size_t row) const { return data + row / tile_rows * apart() * tile_bytes; }
  /// Of its rows, with int8.
  float* scales() const { return reinterpret_cast<float*>(tiles_of(rounded_up(rows, tile_rows))); }
};

/// Fills rows [first, first + count) from f32 or (bf16, int8) bf16 with rows `lda` apart; `first` is a multiple of 16,
/// and `count` too unless these are the last ones.
template <class S>
void pack_left(const left& to, std::size_t first, std::size_t count, const S* a, std::size_t lda) noexcept {
  auto* const tiles = reinterpret_cast<std::uint16_t*>(to.tiles_of(first));
  if (to.kind == precision::bf16) {
    HOCKET_ON_BEST_ISA(pack_left<1>(count, to.k, a, lda, tiles))
  }
  if (to.kind == precision::split) {
    HOCKET_ON_BEST_ISA(pack_left<3>(count, to.k, a, lda, tiles))
  }
  HOCKET_ON_BEST_ISA(pack_left_int8<S>(count, to.k, a, lda, reinterpret_cast<std::int8_t*>(tiles), to.scales() + first))
}
/// Fills columns [32 step, 32 step + 32) of all rows from `count` <= 32 columns of f32; those past them become 0. Not
/// int8.
template <class S>
void pack_left_step(const left& to, std::size_t step, std::size_t count, const S* a, std::size_t lda) noexcept {
  auto* const tiles = reinterpret_cast<std::uint16_t*>(to.data);
  if (to.kind == precision::split) {
    HOCKET_ON_BEST_ISA(pack_left_step<3>(to.rows, steps_of(to.kind, to.k), step, count, a, lda, tiles))
  }
  HOCKET_ON_BEST_ISA(pack_left_step<1>(to.rows, steps_of(to.kind, to.k), step, count, a, lda, tiles))
}
/// Fills rows [first, first + count) of A from memory that holds A' - k rows, `lda` apart, the first one's element
/// `first` at a. `first` is a multiple of 16. From f32 or (bf16) bf16. Not int8.
template <class S>
void pack_left_turned(const left& to, std::size_t first, std::size_t count, const S* a, std::size_t lda) noexcept {
  auto* const tiles = reinterpret_cast<std::uint16_t*>(to.tiles_of(first));
  if (to.kind == precision::split) {
    HOCKET_ON_BEST_ISA(pack_left_turned<3>(count, to.k, a, lda, tiles))
  }
  HOCKET_ON_BEST_ISA(pack_left_turned<1>(count, to.k, a, lda, tiles))
}

// C -----------------------------------------------------------------------------------------------------------------

/// Rows that a caller with `rows` of them had best ask for at a time: their block of C stays in L1 for what follows.
constexpr std::size_t rows_at_once(precision p, std::size_t k, std::size_t rows) {
  if (p != precision::native) return k > 512 || p == precision::split ? 64 : 32;
  constexpr std::size_t most = 28;
  const std::size_t parts = (rows + most - 1) / most;
  return parts == 0 ? most : (rows + parts - 1) / parts;
}

/// c (rows, strip_columns<T>) = or, with `add`, += A (rows, k) times one strip, in T's own precision. Weights wait in a
/// third-level cache: what lies from `ahead` on, a part of the strip after this one, is asked for while this one is
/// used.
template <Real T>
void product(std::size_t rows, std::size_t k, const T* a, std::size_t lda, const std::byte* strip, T* c, bool add,
             const std::byte* ahead) noexcept {
  HOCKET_ON_BEST_ISA(product_native<T>(rows, k, a, lda, reinterpret_cast<const T*>(strip), c, add, ahead))
}

/// c (block_rows(rows), 32) = `rows` rows of A, from first_row (a multiple of 16) on, times one strip. A tile_scope
/// must be open on the calling thread.
template <class C>
void product_tiles(const left& a, std::size_t first_row, std::size_t rows, const std::byte* strip, C* c, bool add,
                   const std::byte* ahead) noexcept;
/// The same by a part of k, for split: steps [first, first + count).
template <class C>
void product_steps(const left& a, std::size_t first_row, std::size_t rows, const std::byte* strip, std::size_t first,
                   std::size_t count, C* c, bool add, const std::byte* ahead) noexcept;
/// Gives the calling thread the matrix unit, if there is one, or takes it back.
template <class C>
void use_tiles(bool on) noexcept;

/// While it lives, product_tiles may be called on this thread. Not nested.
class tile_scope {
 public:
  explicit tile_scope(precision p) : open_(p != precision::native) {
    if (open_) use_tiles<float>(true);
  }
  ~tile_scope() {
    if (open_) use_tiles<float>(false);
  }
  tile_scope(const tile_scope&) = delete;
  tile_scope& operator=(const tile_scope&) = delete;

 private:
  bool open_;
};

/// Rows that pass by all strips before the next ones do: they and a strip stay in L2.
inline constexpr std::size_t band_rows = 256;

/// Bytes of workspace of `multiply`.
template <Real T>
constexpr std::size_t workspace_bytes(precision p, std::size_t m, std::size_t k) {
  const std::size_t rows = std::min(m, band_rows);
  return left_bytes(p, rows, k) + block_rows(rows_at_once(p, k, rows)) * strip_columns<T> * sizeof(T);
}

/// C (m,n) = A (m,k) B for callers with nothing to add to it; on the calling thread. `workspace` is aligned to 64
/// bytes.
template <Real T>
void multiply(precision p, std::size_t m, std::size_t n, std::size_t k, const T* a, std::size_t lda,
              const std::byte* packed, T* c, std::size_t ldc, std::byte* workspace) noexcept {
  constexpr std::size_t width = strip_columns<T>;
  const std::size_t bytes = strip_bytes<T>(p, k), strips = strips_of<T>(n);
  T* const block = reinterpret_cast<T*>(workspace + left_bytes(p, std::min(m, band_rows), k));
  const tile_scope scope(p);
  for (std::size_t first = 0; first < m; first += band_rows, a += band_rows * lda, c += band_rows * ldc) {
    const std::size_t band = std::min(band_rows, m - first), at_once = rows_at_once(p, k, band);
    const left tiles{p, band, k, workspace};
    if constexpr (std::is_same_v<T, float>)
      if (p != precision::native) pack_left<float>(tiles, 0, band, a, lda);
    for (std::size_t s = 0; s < strips; ++s) {
      const std::byte* const strip = packed + s * bytes;
      const std::size_t columns = std::min(width, n - s * width);
      for (std::size_t i = 0; i < band; i += at_once) {
        const std::size_t rows = std::min(at_once, band - i);
        const std::byte* const ahead = strip + (s + 1 < strips ? bytes : 0) + i * (bytes / band);
        T* const to = c + i * ldc + s * width;
        for (std::size_t r = 0; r < rows; ++r)  // C comes to the cache while the block is computed
          for (std::size_t j = 0; j < columns; j += 64 / sizeof(T)) __builtin_prefetch(to + r * ldc + j, 1);
        if constexpr (std::is_same_v<T, float>) {
          if (p != precision::native) product_tiles<float>(tiles, i, rows, strip, block, false, ahead);
        }
        if (p == precision::native) product<T>(rows, k, a + i * lda, lda, strip, block, false, ahead);
        if (columns == width) {  // a size that is known: two stores a row instead of a call
          for (std::size_t r = 0; r < rows; ++r) std::memcpy(to + r * ldc, block + r * width, width * sizeof(T));
        } else {
          for (std::size_t r = 0; r < rows; ++r) std::copy_n(block + r * width, columns, to + r * ldc);
        }
      }
    }
  }
}

#if !defined(HOCKET_EXTERN_TEMPLATES) || defined(HOCKET_COMPILES_INSTANCES)
namespace detail {

inline void product_bf16(std::size_t rows, std::size_t steps, std::size_t parts, const std::byte* a, std::size_t apart,
                         const std::byte* strip, float* c, bool add) noexcept {
  HOCKET_ON_BEST_ISA(product_bf16(rows, steps, parts, a, apart, strip, c, add))
}
inline void sums_of_bf16(std::size_t rows, std::size_t steps, const std::byte* a, const std::byte* strip, float* c,
                         bool add, [[maybe_unused]] const std::byte* ahead) noexcept {
#if HOCKET_HAS_AMX
  if (best_matrix_unit() == matrix_unit::amx) return amx::product<true>(rows, steps, a, strip, c, add, ahead);
#endif
  product_bf16(rows, steps, 1, a, steps, strip, c, add);
}
/// Of the nine products of parts the six that an f32 can tell, small ones first.
inline void sums_of_split(std::size_t rows, std::size_t steps, const std::byte* a, std::size_t apart,
                          const std::byte* strip, float* c, bool add,
                          [[maybe_unused]] const std::byte* ahead) noexcept {
#if HOCKET_HAS_AMX
  if (best_matrix_unit() == matrix_unit::amx) return amx::product_split(rows, steps, a, apart, strip, c, add, ahead);
#endif
  for (std::size_t order = 3; order-- > 0;)
    for (std::size_t part = 0; part <= order; ++part, add = true)
      product_bf16(rows, steps, 3, a + part * tile_bytes, apart, strip + (order - part) * 2 * tile_bytes, c, add);
}
inline void sums_of_int8(std::size_t rows, std::size_t steps, const std::byte* a, const std::byte* strip, float* c,
                         [[maybe_unused]] const std::byte* ahead) noexcept {
#if HOCKET_HAS_AMX
  if (best_matrix_unit() == matrix_unit::amx) return amx::product<false>(rows, steps, a, strip, c, false, ahead);
#endif
  HOCKET_ON_BEST_ISA(product_int8(rows, steps, a, strip, reinterpret_cast<std::int32_t*>(c)))
}
inline void scale(std::size_t rows, const float* row_scales, const float* column_scales, float* c) noexcept {
  HOCKET_ON_BEST_ISA(scale_block(rows, row_scales, column_scales, c))
}

}  // namespace detail

template <class C>
void use_tiles([[maybe_unused]] bool on) noexcept {
#if HOCKET_HAS_AMX
  if (best_matrix_unit() != matrix_unit::amx) return;
  if (on)
    amx::configure();
  else
    amx::release();
#endif
}

template <class C>
void product_steps(const left& a, std::size_t first_row, std::size_t rows, const std::byte* strip, std::size_t first,
                   std::size_t count, C* c, bool add, const std::byte* ahead) noexcept {
  detail::sums_of_split(rows, count, a.tiles_of(first_row) + first * 3 * tile_bytes, a.apart(),
                        strip + first * 6 * tile_bytes, c, add, ahead);
}

template <class C>
void product_tiles(const left& a, std::size_t first_row, std::size_t rows, const std::byte* strip, C* c, bool add,
                   [[maybe_unused]] const std::byte* ahead) noexcept {
  const std::size_t steps = steps_of(a.kind, a.k);
  const std::byte* const tiles = a.tiles_of(first_row);
  if (steps == 0) {
    if (!add) std::fill_n(c, rows * strip_columns<float>, 0.0F);
  } else if (a.kind == precision::bf16) {
    detail::sums_of_bf16(rows, steps, tiles, strip, c, add, ahead);
  } else if (a.kind == precision::split) {
    detail::sums_of_split(rows, steps, tiles, a.apart(), strip, c, add, ahead);
  } else {
    detail::sums_of_int8(rows, steps, tiles, strip, c, ahead);
    detail::scale(rows, a.scales() + first_row, reinterpret_cast<const float*>(strip + steps * 2 * tile_bytes), c);
  }
}
#endif

}  // namespace hocket::kernels::packed_gemm

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/packed_gemm/instances.inl>
#undef HOCKET_INSTANCE
#endif
