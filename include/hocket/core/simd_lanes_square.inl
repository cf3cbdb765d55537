// As many registers as one has lanes, transposed, inside a SIMD body that has included core/simd_lanes.inl.

/// One step of a transpose: swaps the blocks of `Step` lanes that lie off the diagonal of a pair of rows.
template <class T, std::size_t Step, std::size_t... I>
HOCKET_ALWAYS_INLINE void swap_blocks(vec<T>& a, vec<T>& b, std::index_sequence<I...>) {
  constexpr int n = static_cast<int>(lanes<T>), step = static_cast<int>(Step);
  const vec<T> low =
      __builtin_shufflevector(a, b, (I & Step ? n + static_cast<int>(I) - step : static_cast<int>(I))...);
  const vec<T> high =
      __builtin_shufflevector(a, b, (I & Step ? n + static_cast<int>(I) : static_cast<int>(I) + step)...);
  a = low;
  b = high;
}
template <class T, std::size_t Step>
HOCKET_ALWAYS_INLINE void transpose_from(vec<T> (&rows)[lanes<T>]) {
#pragma GCC unroll 16
  for (std::size_t i = 0; i < lanes<T>; ++i)
    if ((i & Step) == 0) swap_blocks<T, Step>(rows[i], rows[i + Step], std::make_index_sequence<lanes<T>>{});
  if constexpr (Step > 1) transpose_from<T, Step / 2>(rows);
}

/// Lane i of rows[0] becomes the sum of the lanes of rows[i], by a tree of fixed shape; the other rows become anything.
template <class T, std::size_t Step>
HOCKET_ALWAYS_INLINE void add_lanes(vec<T> (&rows)[lanes<T>]) {
#pragma GCC unroll 16
  for (std::size_t i = 0; i < Step; ++i) {
    swap_blocks<T, Step>(rows[i], rows[i + Step], std::make_index_sequence<lanes<T>>{});
    rows[i] += rows[i + Step];
  }
  if constexpr (Step > 1) add_lanes<T, Step / 2>(rows);
}
