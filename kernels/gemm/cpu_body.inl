// The product in registers; compiled once per instruction set (core/simd_each.hpp). A tile of C, tile_rows x
// tile_columns, stays in registers while k runs; B is packed into strips of tile_columns, A is read where it lies or
// packed into strips of tile_rows, whichever is cheaper.

namespace hocket::kernels::gemm::HOCKET_SIMD_NS {

template <class T>
struct simd {
  static constexpr std::size_t lanes = HOCKET_SIMD_BYTES / sizeof(T);
  typedef T type __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  typedef T unaligned __attribute__((vector_size(HOCKET_SIMD_BYTES), aligned(sizeof(T)), may_alias));
};

inline constexpr std::size_t tile_rows = HOCKET_SIMD_BYTES == 64 ? 12 : 6;  ///< 2 x 12 of 32 registers, 2 x 6 of 16
template <class T>
inline constexpr std::size_t tile_columns = 2 * simd<T>::lanes;

/// acc(tile_rows, tile_columns) = sum over p of A(i, p) * packed_b(p, :). `RowsContiguous`: A(i, p) lies at
/// a[p * step + i], otherwise at a[i * step + p], rows past the last one repeat it.
template <class T, bool RowsContiguous>
HOCKET_ALWAYS_INLINE void multiply(std::size_t k, const T* a, std::size_t step, std::size_t last_row, const T* b,
                                   typename simd<T>::type (&acc)[tile_rows][2]) {
  using vector = typename simd<T>::type;
  constexpr std::size_t lanes = simd<T>::lanes;
  const T* row[tile_rows];
  if constexpr (!RowsContiguous)
    for (std::size_t i = 0; i < tile_rows; ++i) row[i] = a + (i < last_row ? i : last_row) * step;
  for (std::size_t i = 0; i < tile_rows; ++i) acc[i][0] = acc[i][1] = vector{};
  for (std::size_t p = 0; p < k; ++p) {
    const vector b0 = *reinterpret_cast<const vector*>(b), b1 = *reinterpret_cast<const vector*>(b + lanes);
#pragma GCC unroll 12
    for (std::size_t i = 0; i < tile_rows; ++i) {
      const T value = RowsContiguous ? a[i] : row[i][p];
      acc[i][0] += value * b0;
      acc[i][1] += value * b1;
    }
    if constexpr (RowsContiguous) a += step;
    b += tile_columns<T>;
  }
}

/// C tile = alpha acc + beta C, for the first `rows` rows and `columns` columns.
template <class T>
HOCKET_ALWAYS_INLINE void store(const typename simd<T>::type (&acc)[tile_rows][2], std::size_t rows,
                                std::size_t columns, T alpha, T beta, T* c, std::size_t ldc) {
  using vector = typename simd<T>::type;
  using unaligned = typename simd<T>::unaligned;
  constexpr std::size_t lanes = simd<T>::lanes;
  if (rows == tile_rows && columns == tile_columns<T>) {
#pragma GCC unroll 12
    for (std::size_t i = 0; i < tile_rows; ++i)
      for (std::size_t h = 0; h < 2; ++h) {
        unaligned* out = reinterpret_cast<unaligned*>(c + i * ldc + h * lanes);
        vector value = alpha * acc[i][h];
        if (beta != 0) value += beta * vector(*out);
        *out = unaligned(value);
      }
    return;
  }
  alignas(alignment) T tile[tile_rows][tile_columns<T>];
#pragma GCC unroll 12
  for (std::size_t i = 0; i < tile_rows; ++i)
    for (std::size_t h = 0; h < 2; ++h) *reinterpret_cast<vector*>(&tile[i][h * lanes]) = acc[i][h];
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) {
      T& out = c[i * ldc + j];
      out = beta != 0 ? alpha * tile[i][j] + beta * out : alpha * tile[i][j];
    }
}

template <class T, bool RowsContiguous>
void tile_product(std::size_t k, const T* a, std::size_t step, const T* b, std::size_t rows, std::size_t columns,
                  T alpha, T beta, T* c, std::size_t ldc) {
  typename simd<T>::type acc[tile_rows][2];
  multiply<T, RowsContiguous>(k, a, step, rows - 1, b, acc);
  store<T>(acc, rows, columns, alpha, beta, c, ldc);
}

/// Strips of tile_columns columns of op(B)(first_k.., first_n..), each (k, tile_columns), zeros past the last column.
template <class T>
void pack_b(const shape& s, const T* b, std::size_t first_k, std::size_t k, std::size_t first_n, std::size_t n,
            T* out) {
  constexpr std::size_t width = tile_columns<T>;
  for (std::size_t j = 0; j < n; j += width, out += k * width) {
    const std::size_t columns = n - j < width ? n - j : width;
    if (!s.transpose_b) {
      const T* in = b + first_k * s.ldb + first_n + j;
      for (std::size_t p = 0; p < k; ++p, in += s.ldb) {
        T* to = out + p * width;
        if (columns == width) {
          using vector = typename simd<T>::type;
          using unaligned = typename simd<T>::unaligned;
          for (std::size_t h = 0; h < width; h += simd<T>::lanes)
            *reinterpret_cast<vector*>(to + h) = vector(*reinterpret_cast<const unaligned*>(in + h));
        } else {
          for (std::size_t q = 0; q < width; ++q) to[q] = q < columns ? in[q] : T(0);
        }
      }
    } else {
      for (std::size_t q = 0; q < width; ++q) {
        const T* in = b + (first_n + j + q) * s.ldb + first_k;
        for (std::size_t p = 0; p < k; ++p) out[p * width + q] = q < columns ? in[p] : T(0);
      }
    }
  }
}

/// A strip of tile_rows rows of op(A), stored (k, tile_rows), zeros past the last row.
template <class T>
void pack_a(const shape& s, const T* a, std::size_t first_m, std::size_t rows, std::size_t first_k, std::size_t k,
            T* out) {
  if (s.transpose_a) {
    const T* in = a + first_k * s.lda + first_m;
    for (std::size_t p = 0; p < k; ++p, in += s.lda)
      for (std::size_t i = 0; i < tile_rows; ++i) out[p * tile_rows + i] = i < rows ? in[i] : T(0);
    return;
  }
  for (std::size_t i = 0; i < tile_rows; ++i) {
    const T* in = a + (first_m + (i < rows ? i : 0)) * s.lda + first_k;
    for (std::size_t p = 0; p < k; ++p) out[p * tile_rows + i] = i < rows ? in[p] : T(0);
  }
}

template <class T>
void run(const shape& s, T alpha, const T* a, const T* b, T beta, T* c, T* workspace) noexcept {
  constexpr std::size_t width = tile_columns<T>;
  T* packed_b = workspace;
  T* packed_a = workspace + block_k * block_n;
  if (s.k == 0) {
    for (std::size_t i = 0; i < s.m; ++i)
      for (std::size_t j = 0; j < s.n; ++j) c[i * s.ldc + j] = beta != 0 ? beta * c[i * s.ldc + j] : T(0);
    return;
  }
  for (std::size_t jc = 0; jc < s.n; jc += block_n) {
    const std::size_t n = s.n - jc < block_n ? s.n - jc : block_n;
    for (std::size_t pc = 0; pc < s.k; pc += block_k) {
      const std::size_t k = s.k - pc < block_k ? s.k - pc : block_k;
      const T scale = pc == 0 ? beta : T(1);
      pack_b(s, b, pc, k, jc, n, packed_b);
      const bool pack = n > 4 * width;  // packing A pays when a strip is used often enough
      for (std::size_t ic = 0; ic < s.m; ic += tile_rows) {
        const std::size_t rows = s.m - ic < tile_rows ? s.m - ic : tile_rows;
        const bool in_place = !pack && (!s.transpose_a || rows == tile_rows);
        if (!in_place) pack_a(s, a, ic, rows, pc, k, packed_a);
        for (std::size_t j = 0; j < n; j += width) {
          const std::size_t columns = n - j < width ? n - j : width;
          const T* strip = packed_b + j * k;
          T* out = c + ic * s.ldc + jc + j;
          if (!in_place)
            tile_product<T, true>(k, packed_a, tile_rows, strip, rows, columns, alpha, scale, out, s.ldc);
          else if (s.transpose_a)
            tile_product<T, true>(k, a + pc * s.lda + ic, s.lda, strip, rows, columns, alpha, scale, out, s.ldc);
          else
            tile_product<T, false>(k, a + ic * s.lda + pc, s.lda, strip, rows, columns, alpha, scale, out, s.ldc);
        }
      }
    }
  }
}

}  // namespace hocket::kernels::gemm::HOCKET_SIMD_NS
