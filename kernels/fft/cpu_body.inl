// The transform with one transform per SIMD lane; compiled once per instruction set (core/simd_each.hpp). Element i of
// a lane block is two registers at data + 2 * i * lanes: the real parts of all lanes, then the imaginary parts.

namespace hocket::kernels::fft::HOCKET_SIMD_NS {

#include <hocket/kernels/fft/butterflies.inl>

template <class T>
inline constexpr std::size_t unit = 2 * lanes<T>;  ///< T's of one complex number in all lanes

/// One S-point transform of a pass: legs at in + j * in_leg, results at out + k * out_leg; `local` holds S numbers.
/// `outer` is null when the results are not turned.
template <class T>
void radix_transform(const plan<T>& tables, const pass& step, const T* in, std::size_t in_leg, T* out,
                     std::size_t out_leg, const T* outer, T* local) {
  const std::size_t first = step.first, second = step.second;
  legs<T> run{in,       in_leg * second, in_leg, local, unit<T>, unit<T> * first, second, tables.twiddles(step.inner),
              2 * first};
  if (second == 1) {
    run.out = out;
    run.out_leg = out_leg;
    run.count = 1;
    run.w = outer;
    if (outer) return butterflies_of<T, turning::outer>(first, run);
    return butterflies_of<T, turning::none>(first, run);
  }
  butterflies_of<T, turning::inner>(first, run);
  run = {local, unit<T> * first, unit<T>, out, out_leg * first, out_leg, first, outer, 2 * second};
  if (outer) return butterflies_of<T, turning::outer>(second, run);
  butterflies_of<T, turning::none>(second, run);
}

/// A whole pass from `in` to `out`.
template <class T>
void run_pass(const plan<T>& tables, const pass& step, const T* in, T* out, T* local) {
  const std::size_t radix = step.radix, s = step.s, m = step.m, u = unit<T>;
  for (std::size_t p = 0; p < m; ++p) {
    const T* turn = p > 0 ? tables.twiddles(step.outer + p * radix) : nullptr;
    if (step.second == 1) {  // neighbours q share the factors: one run of butterflies
      const legs<T> run{in + p * s * u, s * m * u, u, out + p * s * radix * u, s * u, u, s, turn, 0};
      if (turn)
        butterflies_of<T, turning::outer>(radix, run);
      else
        butterflies_of<T, turning::none>(radix, run);
      continue;
    }
    for (std::size_t q = 0; q < s; ++q)
      radix_transform(tables, step, in + (q + s * p) * u, s * m * u, out + (q + s * p * radix) * u, s * u, turn, local);
  }
}

/// Where pass i writes: the last one to `out`.
template <class T>
T* pass_target(const plan<T>& tables, std::size_t i, T* out, T* spare) {
  return (tables.passes().size() - i) % 2 == 1 ? out : spare;
}

template <class T>
void transform_chirped(const plan<T>& tables, const T* in, T* out, T* work);

/// Passes `first` and after; `from` is what `first` reads, the last one writes `out`.
template <class T>
void run_passes(const plan<T>& tables, std::size_t first, const T* from, T* out, T* work) {
  T* const local = work + tables.size() * unit<T>;
  for (std::size_t i = first; i < tables.passes().size(); ++i) {
    T* to = pass_target(tables, i, out, work);
    run_pass(tables, tables.passes()[i], from, to, local);
    from = to;
  }
}

/// `in` -> `out`, both of size() complex numbers in lanes and distinct; `work` holds tables.work() of them. `in` is
/// kept.
template <class T>
void transform(const plan<T>& tables, const T* in, T* out, T* work) {
  if (tables.chirped()) return transform_chirped(tables, in, out, work);
  if (tables.passes().empty()) return store_complex(out, load_complex(in));
  run_passes(tables, 0, in, out, work);
}

template <class T>
void transform_chirped(const plan<T>& tables, const T* in, T* out, T* work) {
  const plan<T>& inner = tables.convolution();
  const std::size_t n = tables.size(), length = inner.size(), u = unit<T>;
  T* a = work;
  T* b = work + length * u;
  T* rest = work + 2 * length * u;
  for (std::size_t k = 0; k < n; ++k)
    store_complex(a + k * u, turned(load_complex(in + k * u), tables.chirp() + 2 * k));
  const complex_vec<T> zero = {vec<T>{}, vec<T>{}};
  for (std::size_t k = n; k < length; ++k) store_complex(a + k * u, zero);
  transform(inner, a, b, rest);
  // The inverse transform is the forward one with real and imaginary parts exchanged before and after.
  for (std::size_t k = 0; k < length; ++k) {
    const complex_vec<T> z = turned(load_complex(b + k * u), tables.chirp_spectrum() + 2 * k);
    store_complex(a + k * u, {z.im, z.re});
  }
  transform(inner, a, b, rest);
  for (std::size_t k = 0; k < n; ++k) {
    const complex_vec<T> z = load_complex(b + k * u);
    store_complex(out + k * u, turned(complex_vec<T>{z.im, z.re}, tables.chirp() + 2 * k));
  }
}

// ---- rows of memory <-> lanes ----

/// 16 bytes: the piece in which rows are read and written.
template <class T>
struct piece {
  typedef T type __attribute__((vector_size(16), may_alias));
  typedef T loose __attribute__((vector_size(16), aligned(sizeof(T)), may_alias));
};
template <class T>
inline constexpr std::size_t piece_size = 16 / sizeof(T);

template <class T>
HOCKET_ALWAYS_INLINE typename piece<T>::type load_piece(const T* p) {
  return *reinterpret_cast<const typename piece<T>::loose*>(p);
}

/// Four or two or one pieces side by side.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> join_pieces(const T* const* rows, std::size_t at) {
  constexpr std::size_t step = piece_size<T>;
  if constexpr (HOCKET_SIMD_BYTES == 16) {
    return load_piece(rows[0] + at);
  } else if constexpr (HOCKET_SIMD_BYTES == 32 && sizeof(T) == 4) {
    return __builtin_shufflevector(load_piece(rows[0] + at), load_piece(rows[step] + at), 0, 1, 2, 3, 4, 5, 6, 7);
  } else if constexpr (HOCKET_SIMD_BYTES == 32) {
    return __builtin_shufflevector(load_piece(rows[0] + at), load_piece(rows[step] + at), 0, 1, 2, 3);
  } else if constexpr (sizeof(T) == 4) {
    const auto low =
        __builtin_shufflevector(load_piece(rows[0] + at), load_piece(rows[step] + at), 0, 1, 2, 3, 4, 5, 6, 7);
    const auto high = __builtin_shufflevector(load_piece(rows[2 * step] + at), load_piece(rows[3 * step] + at), 0, 1, 2,
                                              3, 4, 5, 6, 7);
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  } else {
    const auto low = __builtin_shufflevector(load_piece(rows[0] + at), load_piece(rows[step] + at), 0, 1, 2, 3);
    const auto high =
        __builtin_shufflevector(load_piece(rows[2 * step] + at), load_piece(rows[3 * step] + at), 0, 1, 2, 3);
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
  }
}

/// Interleaves within each 16 bytes: (a0 b0 a1 b1) of the low and of the high half (doubles: a0 b0 and a1 b1).
template <class T>
HOCKET_ALWAYS_INLINE vec<T> zip_low(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
  else if constexpr (lanes<T> == 8 && sizeof(T) == 4)
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 4, 12, 5, 13);
  else if constexpr (lanes<T> == 4 && sizeof(T) == 4)
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
  else if constexpr (lanes<T> == 8)
    return __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
  else if constexpr (lanes<T> == 4)
    return __builtin_shufflevector(a, b, 0, 4, 2, 6);
  else
    return __builtin_shufflevector(a, b, 0, 2);
}
template <class T>
HOCKET_ALWAYS_INLINE vec<T> zip_high(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
  else if constexpr (lanes<T> == 8 && sizeof(T) == 4)
    return __builtin_shufflevector(a, b, 2, 10, 3, 11, 6, 14, 7, 15);
  else if constexpr (lanes<T> == 4 && sizeof(T) == 4)
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
  else if constexpr (lanes<T> == 8)
    return __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
  else if constexpr (lanes<T> == 4)
    return __builtin_shufflevector(a, b, 1, 5, 3, 7);
  else
    return __builtin_shufflevector(a, b, 1, 3);
}
/// Interleaves pairs within each 16 bytes, float only: (a0 a1 b0 b1) and (a2 a3 b2 b3).
template <class T>
HOCKET_ALWAYS_INLINE vec<T> pair_low(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
  else if constexpr (lanes<T> == 8)
    return __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13);
  else
    return __builtin_shufflevector(a, b, 0, 1, 4, 5);
}
template <class T>
HOCKET_ALWAYS_INLINE vec<T> pair_high(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
  else if constexpr (lanes<T> == 8)
    return __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  else
    return __builtin_shufflevector(a, b, 2, 3, 6, 7);
}

/// (a0 b0 a1 b1 ...): the first and the second half of both, interleaved.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> interleave_low(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  else if constexpr (lanes<T> == 8)
    return __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
  else if constexpr (lanes<T> == 4)
    return __builtin_shufflevector(a, b, 0, 4, 1, 5);
  else
    return __builtin_shufflevector(a, b, 0, 2);
}
template <class T>
HOCKET_ALWAYS_INLINE vec<T> interleave_high(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  else if constexpr (lanes<T> == 8)
    return __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
  else if constexpr (lanes<T> == 4)
    return __builtin_shufflevector(a, b, 2, 6, 3, 7);
  else
    return __builtin_shufflevector(a, b, 1, 3);
}

/// Exchanges rows and columns within each 16 bytes: element j of a piece of from[i] -> element i of that piece of
/// to[j], for i, j < piece_size. Its own inverse.
template <class T>
HOCKET_ALWAYS_INLINE void exchange_pieces(const vec<T>* from, vec<T>* to) {
  if constexpr (sizeof(T) == 4) {
    const vec<T> a = zip_low<T>(from[0], from[1]), b = zip_high<T>(from[0], from[1]);
    const vec<T> c = zip_low<T>(from[2], from[3]), d = zip_high<T>(from[2], from[3]);
    to[0] = pair_low<T>(a, c);
    to[1] = pair_high<T>(a, c);
    to[2] = pair_low<T>(b, d);
    to[3] = pair_high<T>(b, d);
  } else {
    to[0] = zip_low<T>(from[0], from[1]);
    to[1] = zip_high<T>(from[0], from[1]);
  }
}

/// v[j][lane] = rows[lane][at + j] for j < piece_size: the samples of one moment of every row side by side.
template <class T>
HOCKET_ALWAYS_INLINE void gather_piece(const T* const* rows, std::size_t at, vec<T>* v) {
  constexpr std::size_t step = piece_size<T>;
  vec<T> r[step];
#pragma GCC unroll 4
  for (std::size_t i = 0; i < step; ++i) r[i] = join_pieces(rows + i, at);
  exchange_pieces<T>(r, v);
}

/// lanes_out[i] = rows[.][i] for begin <= i < n, one register per sample.
template <class T>
void gather_rows(const T* const* rows, std::size_t n, T* lanes_out, std::size_t begin = 0) {
  constexpr std::size_t width = lanes<T>, step = piece_size<T>;
  std::size_t i = begin;
  for (; i + step <= n; i += step) {
    vec<T> v[step];
    gather_piece(rows, i, v);
    for (std::size_t j = 0; j < step; ++j) store(lanes_out + (i + j) * width, v[j]);
  }
  for (; i < n; ++i)
    for (std::size_t lane = 0; lane < width; ++lane) lanes_out[i * width + lane] = rows[lane][i];
}

/// Pieces of a register as one element each: (a0 a1 b0 b1) and (a2 a3 b2 b3), or (a0 b0) and (a1 b1).
template <class T>
HOCKET_ALWAYS_INLINE vec<T> halves_low(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
  else if constexpr (lanes<T> == 8)
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11);
  else
    return __builtin_shufflevector(a, b, 0, 1, 4, 5);
}
template <class T>
HOCKET_ALWAYS_INLINE vec<T> halves_high(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
  else if constexpr (lanes<T> == 8)
    return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15);
  else
    return __builtin_shufflevector(a, b, 2, 3, 6, 7);
}
/// (a0 a2 b0 b2) and (a1 a3 b1 b3), 64-byte registers only.
template <class T>
HOCKET_ALWAYS_INLINE vec<T> even_pieces(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
  else
    return __builtin_shufflevector(a, b, 0, 1, 4, 5, 8, 9, 12, 13);
}
template <class T>
HOCKET_ALWAYS_INLINE vec<T> odd_pieces(vec<T> a, vec<T> b) {
  if constexpr (lanes<T> == 16)
    return __builtin_shufflevector(a, b, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
  else
    return __builtin_shufflevector(a, b, 2, 3, 6, 7, 10, 11, 14, 15);
}

/// Pieces of a register.
inline constexpr std::size_t pieces = HOCKET_SIMD_BYTES / 16;

/// Piece p of v[q] -> piece q of v[p].
template <class T>
HOCKET_ALWAYS_INLINE void transpose_pieces(vec<T>* v) {
  if constexpr (pieces == 4) {
    const vec<T> a = halves_low<T>(v[0], v[1]), b = halves_low<T>(v[2], v[3]);
    const vec<T> c = halves_high<T>(v[0], v[1]), d = halves_high<T>(v[2], v[3]);
    v[0] = even_pieces<T>(a, b);
    v[1] = odd_pieces<T>(a, b);
    v[2] = even_pieces<T>(c, d);
    v[3] = odd_pieces<T>(c, d);
  } else if constexpr (pieces == 2) {
    const vec<T> a = halves_low<T>(v[0], v[1]), b = halves_high<T>(v[0], v[1]);
    v[0] = a;
    v[1] = b;
  }
}

/// out[lane * stride + i] = lanes_in[i] for i < n and lane < count. Whole registers of a row at a time: rows a multiple
/// of 4 KiB apart evict each other from the first cache, and every visit costs a line.
template <class T>
void scatter_rows(const T* lanes_in, std::size_t n, std::size_t count, T* out, std::size_t stride) {
  constexpr std::size_t width = lanes<T>, step = piece_size<T>;
  std::size_t i = 0;
  if (count == width) {
    for (; i + width <= n; i += width) {
      vec<T> v[step][pieces];  // v[j][g]: moments i + g * step .. of rows j, step + j, ...
#pragma GCC unroll 4
      for (std::size_t g = 0; g < pieces; ++g) {
        vec<T> r[step], turned_round[step];
#pragma GCC unroll 4
        for (std::size_t j = 0; j < step; ++j) r[j] = load(lanes_in + (i + g * step + j) * width);
        exchange_pieces<T>(r, turned_round);
#pragma GCC unroll 4
        for (std::size_t j = 0; j < step; ++j) v[j][g] = turned_round[j];
      }
#pragma GCC unroll 4
      for (std::size_t j = 0; j < step; ++j) {
        transpose_pieces<T>(v[j]);
#pragma GCC unroll 4
        for (std::size_t g = 0; g < pieces; ++g) store<T>(out + (g * step + j) * stride + i, v[j][g]);
      }
    }
  }
  for (; i < n; ++i)
    for (std::size_t lane = 0; lane < count; ++lane) out[lane * stride + i] = lanes_in[i * width + lane];
}

#include <hocket/kernels/fft/rows.inl>

}  // namespace hocket::kernels::fft::HOCKET_SIMD_NS
