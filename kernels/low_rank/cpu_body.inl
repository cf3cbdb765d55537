// Narrow products on registers; compiled once per instruction set (core/simd_each.hpp).

namespace hocket::kernels::low_rank::HOCKET_SIMD_NS {

#include <hocket/core/philox_lanes.inl>
#include <hocket/core/simd_lanes.inl>
#include <hocket/core/simd_lanes_square.inl>

// Masks -------------------------------------------------------------------------------------------------------------

/// A bit a lane, the first lane's lowest: whether x >= least.
HOCKET_ALWAYS_INLINE std::uint64_t bits_from(philox_words x, std::uint32_t least) {
#if defined(__x86_64__) && HOCKET_SIMD_BYTES == 64
  return static_cast<std::uint16_t>(
      _mm512_cmpge_epu32_mask(reinterpret_cast<__m512i>(x), _mm512_set1_epi32(static_cast<int>(least))));
#elif defined(__x86_64__) && HOCKET_SIMD_BYTES == 32
  const philox_words yes = reinterpret_cast<philox_words>(x >= least);
  return static_cast<std::uint32_t>(_mm256_movemask_ps(reinterpret_cast<__m256>(yes)));
#else
  std::uint64_t bits = 0;
  for (std::size_t i = 0; i < lanes<std::uint32_t>; ++i) bits |= std::uint64_t{x[i] >= least} << i;
  return bits;
#endif
}

inline void make_masks(const dropout& drop, std::size_t columns, std::uint64_t first_row, std::size_t rows,
                       std::byte* bits, std::size_t apart) noexcept {
  const std::size_t groups = groups_of(columns), bytes = mask_bytes(columns);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t g = 0; g < groups; ++g) {
      std::uint64_t half[2] = {};
      for (std::size_t i = 0; i < 16; i += lanes<std::uint32_t>) {
        philox_words made[4];
        philox_lanes(drop.seed, drop.stream, ((first_row + r) * groups + g) * 16 + i, 1, made);
#pragma GCC unroll 4
        for (std::size_t w = 0; w < 4; ++w) {
          half[0] |= bits_from(made[w] & 0xffffU, drop.threshold) << (w * 16 + i);
          half[1] |= bits_from(made[w], drop.threshold << 16) << (w * 16 + i);
        }
      }
      const bool both = bytes - g * sizeof half >= sizeof half;
      __builtin_memcpy(bits + r * apart + g * sizeof half, half, both ? sizeof half : sizeof *half);
    }
}

/// The masks of a register from column c on, in the lowest bits.
HOCKET_ALWAYS_INLINE std::uint64_t bits_at(const std::byte* row, std::size_t c) {
  std::uint64_t word;
  __builtin_memcpy(&word, row + c / 64 * sizeof word, sizeof word);
  return word >> c % 64;
}
/// x where the lane's bit is set, 0 elsewhere.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> only(vec<T> x, std::uint64_t bits) {
#if defined(__x86_64__) && HOCKET_SIMD_BYTES == 64
  if constexpr (std::is_same_v<T, float>)
    return reinterpret_cast<vec<T>>(_mm512_maskz_mov_ps(static_cast<__mmask16>(bits), reinterpret_cast<__m512>(x)));
  else
    return reinterpret_cast<vec<T>>(_mm512_maskz_mov_pd(static_cast<__mmask8>(bits), reinterpret_cast<__m512d>(x)));
#else
  using whole = std::conditional_t<std::is_same_v<T, float>, std::int32_t, std::int64_t>;
  vec<whole> place{};
  for (std::size_t i = 0; i < lanes<T>; ++i) place[i] = whole{1} << i;
  const vec<whole> here = (vec<whole>{} + static_cast<whole>(bits & 0xffff)) & place;
  return here == place ? x : vec<T>{};
#endif
}

/// to + scale x where the lane's bit is set, to elsewhere.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> add_where(vec<T> to, T scale, vec<T> x, std::uint64_t bits) {
#if defined(__x86_64__) && HOCKET_SIMD_BYTES == 64
  if constexpr (std::is_same_v<T, float>)
    return reinterpret_cast<vec<T>>(_mm512_mask3_fmadd_ps(reinterpret_cast<__m512>(x), _mm512_set1_ps(scale),
                                                          reinterpret_cast<__m512>(to), static_cast<__mmask16>(bits)));
  else
    return reinterpret_cast<vec<T>>(_mm512_mask3_fmadd_pd(reinterpret_cast<__m512d>(x), _mm512_set1_pd(scale),
                                                          reinterpret_cast<__m512d>(to), static_cast<__mmask8>(bits)));
#else
  return to + only<T>(scale * x, bits);
#endif
}

// u = keep(x) A' -----------------------------------------------------------------------------------------------------

/// What a register of every row of x, from element c on, adds to the sums.
template <class T, std::size_t Columns, bool Masked, bool Whole>
HOCKET_ALWAYS_INLINE void add_products(std::size_t c, std::size_t count, const T* const (&row)[lanes<T> / Columns],
                                       const std::byte* const (&bits)[lanes<T> / Columns],
                                       const T* const (&line)[Columns], vec<T> (&acc)[lanes<T>]) {
  constexpr std::size_t height = lanes<T> / Columns;
  vec<T> left[height];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < height; ++i) {
    left[i] = Whole ? load(row[i] + c) : load_some(row[i] + c, count, T{0});
    if constexpr (Masked) left[i] = only<T>(left[i], bits_at(bits[i], c));
  }
#pragma GCC unroll 16
  for (std::size_t j = 0; j < Columns; ++j) {
    const vec<T> right = Whole ? load(line[j] + c) : load_some(line[j] + c, count, T{0});
#pragma GCC unroll 16
    for (std::size_t i = 0; i < height; ++i) acc[i * Columns + j] += left[i] * right;
  }
}

/// As many sums as a register has lanes: `Columns` columns of u and lanes / Columns rows, of which those past `rows`
/// and `columns` are those before them once more. Sums run over the elements of a row that lie a register apart, and
/// then over the lanes by a tree: in the same order whatever else is computed beside them.
template <class T, std::size_t Columns, bool Masked>
void dots(std::size_t in, std::size_t rows, const T* x, std::size_t ldx, const kept_elements& keep, std::size_t columns,
          const T* a, std::size_t lda, T (&sums)[lanes<T>]) noexcept {
  constexpr std::size_t n = lanes<T>, height = n / Columns;
  const T *row[height], *line[Columns];
  const std::byte* bits[height] = {};
#pragma GCC unroll 16
  for (std::size_t i = 0; i < height; ++i) {
    const std::size_t r = i < rows ? i : rows - 1;
    row[i] = x + r * ldx;
    if (Masked) bits[i] = keep.bits + r * keep.apart;
  }
#pragma GCC unroll 16
  for (std::size_t j = 0; j < Columns; ++j) line[j] = a + (j < columns ? j : columns - 1) * lda;
  vec<T> acc[n] = {};
  const std::size_t whole = in / n * n;
  for (std::size_t c = 0; c < whole; c += n) add_products<T, Columns, Masked, true>(c, n, row, bits, line, acc);
  if (whole < in) add_products<T, Columns, Masked, false>(whole, in - whole, row, bits, line, acc);
  add_lanes<T, n / 2>(acc);
  store<T>(sums, acc[0]);
}

/// rows <= lanes rows of u, `columns` <= Columns columns.
template <class T, bool Masked, std::size_t Columns = lanes<T> / 2>
void project_columns(std::size_t in, std::size_t rows, const T* x, std::size_t ldx, const kept_elements& keep,
                     std::size_t columns, const T* a, std::size_t lda, T* u, std::size_t ldu) noexcept {
  if constexpr (Columns > 1)
    if (columns <= Columns / 2)
      return project_columns<T, Masked, Columns / 2>(in, rows, x, ldx, keep, columns, a, lda, u, ldu);
  constexpr std::size_t height = lanes<T> / Columns;
  const T scale = static_cast<T>(keep.scale);
  for (std::size_t r = 0; r < rows; r += height) {
    const std::size_t here = rows - r < height ? rows - r : height;
    alignas(alignment) T sums[lanes<T>];
    dots<T, Columns, Masked>(in, here, x + r * ldx, ldx, from_row(keep, r), columns, a, lda, sums);
    for (std::size_t i = 0; i < here; ++i)
      for (std::size_t j = 0; j < columns; ++j) u[(r + i) * ldu + j] = scale * sums[i * Columns + j];
  }
}

template <class T, bool Masked>
void project(std::size_t rows, std::size_t in, const T* x, std::size_t ldx, const kept_elements& keep, std::size_t rank,
             const T* a, std::size_t lda, T* u, std::size_t ldu) noexcept {
  constexpr std::size_t band = lanes<T>, columns = lanes<T> / 2;
  for (std::size_t r = 0; r < rows; r += band)  // rows that stay in L1 for all columns
    for (std::size_t j = 0; j < rank; j += columns)
      project_columns<T, Masked>(in, rows - r < band ? rows - r : band, x + r * ldx, ldx, from_row(keep, r),
                                 rank - j < columns ? rank - j : columns, a + j * lda, lda, u + r * ldu + j, ldu);
}
template <class T>
void project(std::size_t rows, std::size_t in, const T* x, std::size_t ldx, const kept_elements& keep, std::size_t rank,
             const T* a, std::size_t lda, T* u, std::size_t ldu) noexcept {
  keep.bits ? project<T, true>(rows, in, x, ldx, keep, rank, a, lda, u, ldu)
            : project<T, false>(rows, in, x, ldx, keep, rank, a, lda, u, ldu);
}

// dA = du' keep(x) ---------------------------------------------------------------------------------------------------

/// A block of C, (Height, two registers or `columns` elements) += scale A' keep(B); `column`: of its first element in
/// B.
template <class T, std::size_t Height, bool Masked>
void outer_block(std::size_t rows, const T* a, std::size_t lda, const T* b, std::size_t ldb, std::size_t column,
                 std::size_t columns, const kept_elements& keep, T* c, std::size_t ldc) noexcept {
  constexpr std::size_t n = lanes<T>;
  const T scale = static_cast<T>(keep.scale);
  const std::byte* bits = keep.bits;
  if (columns == 2 * n) {
    vec<T> acc[Height][2] = {};
    for (std::size_t r = 0; r < rows; ++r, a += lda, b += ldb) {
      vec<T> right[2] = {load(b), load(b + n)};
      if constexpr (Masked) {
        right[0] = only<T>(right[0], bits_at(bits, column));
        right[1] = only<T>(right[1], bits_at(bits, column + n));
        bits += keep.apart;
      }
#pragma GCC unroll 16
      for (std::size_t i = 0; i < Height; ++i)
        for (std::size_t h = 0; h < 2; ++h) acc[i][h] += a[i] * right[h];
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < Height; ++i)
      for (std::size_t h = 0; h < 2; ++h) {
        T* const to = c + i * ldc + h * n;
        store<T>(to, load(to) + scale * acc[i][h]);
      }
    return;
  }
  for (std::size_t i = 0; i < Height; ++i)
    for (std::size_t j = 0; j < columns; ++j) {
      T sum = 0;
      for (std::size_t r = 0; r < rows; ++r)
        if (stays(keep, r, column + j)) sum += a[r * lda + i] * b[r * ldb + j];
      c[i * ldc + j] += scale * sum;
    }
}
template <class T, std::size_t Height, bool Masked>
void outer_rows(std::size_t rows, std::size_t m, const T* a, std::size_t lda, std::size_t n, const T* b,
                std::size_t ldb, const kept_elements& keep, T* c, std::size_t ldc) noexcept {
  constexpr std::size_t width = 2 * lanes<T>;
  std::size_t i = 0;
  for (; i + Height <= m; i += Height)
    for (std::size_t j = 0; j < n; j += width)
      outer_block<T, Height, Masked>(rows, a + i, lda, b + j, ldb, j, n - j < width ? n - j : width, keep,
                                     c + i * ldc + j, ldc);
  if constexpr (Height > 1)
    if (i < m) outer_rows<T, Height / 2, Masked>(rows, m - i, a + i, lda, n, b, ldb, keep, c + i * ldc, ldc);
}
template <class T>
void add_outer(std::size_t rows, std::size_t m, const T* a, std::size_t lda, std::size_t n, const T* b, std::size_t ldb,
               const kept_elements& keep, T* c, std::size_t ldc) noexcept {
  constexpr std::size_t height = HOCKET_SIMD_BYTES == 64 ? 8 : 4;
  keep.bits ? outer_rows<T, height, true>(rows, m, a, lda, n, b, ldb, keep, c, ldc)
            : outer_rows<T, height, false>(rows, m, a, lda, n, b, ldb, keep, c, ldc);
}

// dx += keep(du A) ----------------------------------------------------------------------------------------------------

/// Rows and registers side by side of a block of dx: the latter as many as a word of masks fills where there are 32.
inline constexpr std::size_t most_rows = HOCKET_SIMD_BYTES == 64 ? 6 : 5, beside = HOCKET_SIMD_BYTES == 64 ? 4 : 2;

/// `Height` rows of dx, `beside` registers or `columns` elements from `column` on.
template <class T, std::size_t Height, bool Masked>
void back_block(std::size_t rank, const T* du, std::size_t lddu, const T* a, std::size_t lda, std::size_t column,
                std::size_t columns, const kept_elements& keep, T* dx, std::size_t lddx) noexcept {
  constexpr std::size_t n = lanes<T>;
  const T scale = static_cast<T>(keep.scale);
  if (columns == beside * n) {
    vec<T> acc[Height][beside] = {};
    for (std::size_t j = 0; j < rank; ++j, a += lda) {
      vec<T> right[beside];
#pragma GCC unroll 4
      for (std::size_t h = 0; h < beside; ++h) right[h] = load(a + h * n);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < Height; ++i) {
        const T left = du[i * lddu + j];
#pragma GCC unroll 4
        for (std::size_t h = 0; h < beside; ++h) acc[i][h] += left * right[h];
      }
    }
#pragma GCC unroll 16
    for (std::size_t i = 0; i < Height; ++i) {
      [[maybe_unused]] std::uint64_t bits = 0;
      if constexpr (Masked) bits = bits_at(keep.bits + i * keep.apart, column);
#pragma GCC unroll 4
      for (std::size_t h = 0; h < beside; ++h) {
        T* const to = dx + i * lddx + h * n;
        if constexpr (Masked)
          store<T>(to, add_where<T>(load(to), scale, acc[i][h], bits >> (h * n)));
        else
          store<T>(to, load(to) + scale * acc[i][h]);
      }
    }
    return;
  }
  for (std::size_t i = 0; i < Height; ++i)
    for (std::size_t c = 0; c < columns; ++c) {
      if (!stays(keep, i, column + c)) continue;
      T sum = 0;
      for (std::size_t j = 0; j < rank; ++j) sum += du[i * lddu + j] * a[j * lda + c];
      dx[i * lddx + c] += scale * sum;
    }
}
template <class T, bool Masked, std::size_t Height = most_rows>
void back_rows(std::size_t rows, std::size_t rank, const T* du, std::size_t lddu, std::size_t in, const T* a,
               std::size_t lda, const kept_elements& keep, T* dx, std::size_t lddx) noexcept {
  if constexpr (Height > 1)
    if (rows < Height) return back_rows<T, Masked, Height - 1>(rows, rank, du, lddu, in, a, lda, keep, dx, lddx);
  constexpr std::size_t width = beside * lanes<T>;
  for (std::size_t c = 0; c < in; c += width)
    back_block<T, Height, Masked>(rank, du, lddu, a + c, lda, c, in - c < width ? in - c : width, keep, dx + c, lddx);
}
template <class T>
void add_back(std::size_t rows, std::size_t rank, const T* du, std::size_t lddu, std::size_t in, const T* a,
              std::size_t lda, const kept_elements& keep, T* dx, std::size_t lddx) noexcept {
  for (std::size_t r = 0; r < rows; r += most_rows) {
    const std::size_t here = rows - r < most_rows ? rows - r : most_rows;
    const kept_elements rest = from_row(keep, r);
    keep.bits ? back_rows<T, true>(here, rank, du + r * lddu, lddu, in, a, lda, rest, dx + r * lddx, lddx)
              : back_rows<T, false>(here, rank, du + r * lddu, lddu, in, a, lda, rest, dx + r * lddx, lddx);
  }
}

}  // namespace hocket::kernels::low_rank::HOCKET_SIMD_NS
