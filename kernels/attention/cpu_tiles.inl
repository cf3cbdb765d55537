// Products of small matrices for cpu_body.inl: elements of the left operand are broadcast, the right one is read in
// whole registers, sums stay in registers.

/// Registers side by side that a tile of sums has at most, and how many rows it then has: 24 sums of 32 registers or 12
/// of 16, so that a broadcast element is used four times or twice.
inline constexpr std::size_t widest = HOCKET_SIMD_BYTES == 64 ? 4 : 2;
template <std::size_t Wide>
inline constexpr std::size_t tallest = Wide == widest ? 6 : 8;

/// What becomes of the sums.
enum class take { set, add, shrink };

/// acc(Rows, Wide registers) = sum over p of A(i, p) B(p, :). A(i, p) lies at a[p step + i] with `Columns`, else at
/// a[i step + p]; rows past the `rows` that exist repeat the last one.
template <class T, bool Columns, std::size_t Rows, std::size_t Wide>
HOCKET_ALWAYS_INLINE void multiply(std::size_t rows, std::size_t k, const T* a, std::size_t step, const T* b,
                                   std::size_t b_row, vec<T> (&acc)[Rows][Wide]) {
  const T* row[Rows];
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) row[i] = a + (i < rows ? i : rows - 1) * (Columns ? 1 : step);
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (std::size_t w = 0; w < Wide; ++w) acc[i][w] = vec<T>{};
  for (std::size_t p = 0; p < k; ++p) {
    vec<T> right[Wide];
#pragma GCC unroll 4
    for (std::size_t w = 0; w < Wide; ++w) right[w] = load(b + w * lanes<T>);
#pragma GCC unroll 8
    for (std::size_t i = 0; i < Rows; ++i) {
      const T value = row[i][Columns ? p * step : p];
#pragma GCC unroll 4
      for (std::size_t w = 0; w < Wide; ++w) acc[i][w] += value * right[w];
    }
    b += b_row;
  }
}

/// C tile = acc, += acc, or = C shrink + acc with a factor a column.
template <class T, take Take, std::size_t Rows, std::size_t Wide>
HOCKET_ALWAYS_INLINE void put(const vec<T> (&acc)[Rows][Wide], std::size_t rows, T* c, std::size_t c_row,
                              const T* shrink) {
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Rows; ++i) {
    if (i >= rows) break;
#pragma GCC unroll 4
    for (std::size_t w = 0; w < Wide; ++w) {
      T* const out = c + i * c_row + w * lanes<T>;
      vec<T> value = acc[i][w];
      if constexpr (Take == take::add) value += load(out);
      if constexpr (Take == take::shrink) value += load(out) * load(shrink + w * lanes<T>);
      store(out, value);
    }
  }
}

template <class T, bool Columns, take Take, std::size_t Wide>
void strip(std::size_t rows, std::size_t k, const T* a, std::size_t step, const T* b, std::size_t b_row, T* c,
           std::size_t c_row, const T* shrink) noexcept {
  constexpr std::size_t tall = tallest<Wide>, low = 2;
  std::size_t i = 0;
  for (; i + tall <= rows; i += tall) {
    vec<T> acc[tall][Wide];
    multiply<T, Columns, tall, Wide>(tall, k, a + i * (Columns ? 1 : step), step, b, b_row, acc);
    put<T, Take, tall, Wide>(acc, tall, c + i * c_row, c_row, shrink);
  }
  for (; i < rows; i += low) {
    const std::size_t here = rows - i < low ? rows - i : low;
    vec<T> acc[low][Wide];
    multiply<T, Columns, low, Wide>(here, k, a + i * (Columns ? 1 : step), step, b, b_row, acc);
    put<T, Take, low, Wide>(acc, here, c + i * c_row, c_row, shrink);
  }
}

/// C (rows, registers) takes A (rows, k) B (k, registers).
template <class T, bool Columns, take Take>
void product(std::size_t rows, std::size_t registers, std::size_t k, const T* a, std::size_t step, const T* b,
             std::size_t b_row, T* c, std::size_t c_row, const T* shrink = nullptr) noexcept {
  std::size_t w = 0;
  for (; w + widest <= registers; w += widest)
    strip<T, Columns, Take, widest>(rows, k, a, step, b + w * lanes<T>, b_row, c + w * lanes<T>, c_row,
                                    shrink ? shrink + w * lanes<T> : nullptr);
  if (widest == 4 && w + 2 <= registers) {
    strip<T, Columns, Take, 2>(rows, k, a, step, b + w * lanes<T>, b_row, c + w * lanes<T>, c_row,
                               shrink ? shrink + w * lanes<T> : nullptr);
    w += 2;
  }
  if (w < registers)
    strip<T, Columns, Take, 1>(rows, k, a, step, b + w * lanes<T>, b_row, c + w * lanes<T>, c_row,
                               shrink ? shrink + w * lanes<T> : nullptr);
}
