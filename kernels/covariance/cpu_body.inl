// One panel's share of the product; compiled once per instruction set (core/simd_each.hpp).

namespace hocket::kernels::covariance::HOCKET_SIMD_NS {

#include <hocket/core/simd_lanes.inl>

/// Rows of a tile in registers, two registers wide: of 32 registers or of 16.
inline constexpr std::size_t most_rows = HOCKET_SIMD_BYTES == 64 ? 14 : 6;

/// Half a register of T, or a whole one of double, in f64.
template <class T>
struct wide_register {
  typedef double type __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  typedef double loose __attribute__((vector_size(HOCKET_SIMD_BYTES), aligned(8), may_alias));
  static constexpr std::size_t count = HOCKET_SIMD_BYTES / sizeof(double);
  typedef T narrow __attribute__((vector_size(count * sizeof(T)), aligned(sizeof(T)), may_alias));
  typedef T narrow_value __attribute__((vector_size(count * sizeof(T))));
};

/// sum (Rows, two registers of T) = or += the product over `depth` rows of Rows columns at a and two registers of
/// columns at b; all three have rows of strip_columns<T>. What the sum needs is asked for on the way.
template <class T, std::size_t Rows>
void tile(std::size_t depth, const T* a, const T* b, double* sum, bool add) noexcept {
  constexpr std::size_t width = strip_columns<T>, line = 64 / sizeof(double), lines = Rows * width / line;
  vec<T> acc[Rows][2] = {};
  for (std::size_t piece = 0; piece < depth; piece += 4) {
    const std::size_t end = depth - piece < 4 ? depth : piece + 4;
    if (piece / 4 < lines) __builtin_prefetch(sum + piece / 4 * line, 1);
    for (std::size_t p = piece; p < end; ++p, a += width, b += width) {
      const vec<T> b0 = load(b), b1 = load(b + lanes<T>);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < Rows; ++i) {
        acc[i][0] += a[i] * b0;
        acc[i][1] += a[i] * b1;
      }
    }
  }
  using wide = wide_register<T>;
  alignas(64) T block[Rows][2 * lanes<T>];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < Rows; ++i)
    for (std::size_t h = 0; h < 2; ++h) store<T>(block[i] + h * lanes<T>, acc[i][h]);
  for (std::size_t i = 0; i < Rows; ++i, sum += width)
    for (std::size_t j = 0; j < 2 * lanes<T>; j += wide::count) {
      typename wide::loose* const to = reinterpret_cast<typename wide::loose*>(sum + j);
      const auto value = __builtin_convertvector(
          typename wide::narrow_value(*reinterpret_cast<const typename wide::narrow*>(block[i] + j)),
          typename wide::type);
      *to = typename wide::loose(add ? typename wide::type(*to) + value : value);
    }
}

/// Tiles of nearly equal height down a block: number Index and those after it.
template <class T, std::size_t Index = 0>
HOCKET_ALWAYS_INLINE void tiles_below(std::size_t depth, const T* a, const T* b, double* sum, bool add) noexcept {
  constexpr std::size_t width = strip_columns<T>, count = (width + most_rows - 1) / most_rows;
  if constexpr (Index < count) {
    constexpr std::size_t first = width * Index / count, rows = width * (Index + 1) / count - first;
    tile<T, rows>(depth, a + first, b, sum + first * width, add);
    tiles_below<T, Index + 1>(depth, a, b, sum, add);
  }
}

template <class T>
void add_panel(std::size_t depth, std::size_t first, std::size_t last, std::size_t strips, const T* panel, double* sums,
               bool add) noexcept {
  constexpr std::size_t width = strip_columns<T>, strip = panel_depth * width;
  for (std::size_t j = first; j < strips; ++j)
    for (std::size_t i = first; i < last && i <= j; ++i) {
      double* const sum = sums + block_index(i, j, strips) * width * width;
      for (std::size_t part = 0; part < width; part += 2 * lanes<T>)
        tiles_below<T>(depth, panel + (i - first) * strip, panel + (j - first) * strip + part, sum + part, add);
    }
}

}  // namespace hocket::kernels::covariance::HOCKET_SIMD_NS
