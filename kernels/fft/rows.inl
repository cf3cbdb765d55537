// Batches of rows in memory, for cpu_body.inl: gathered into lanes, transformed, scattered. An inverse transform is the
// forward one with real and imaginary parts exchanged before and after.

/// Pointers to the `count` rows of a block; idle lanes repeat the first.
template <class T>
HOCKET_ALWAYS_INLINE void point_rows(const T* in, std::size_t stride, std::size_t count, const T** rows) {
  for (std::size_t lane = 0; lane < lanes<T>; ++lane) rows[lane] = in + (lane < count ? lane : 0) * stride;
}

/// (re, im) -> (im, re) * scale, in place.
template <class T>
void exchange(std::size_t n, T scale, T* data) {
  for (std::size_t k = 0; k < n; ++k) {
    const complex_vec<T> z = load_complex(data + k * unit<T>);
    store_complex(data + k * unit<T>, complex_vec<T>{z.im * scale, z.re * scale});
  }
}

/// gather_rows and transform in one: the first pass reads pairs of the rows a few columns at a time, through a tile in
/// the first cache. `room` holds tables.size() complex numbers.
template <class T>
void transform_rows(const plan<T>& tables, const T* const* rows, T* out, T* work, T* room) {
  constexpr std::size_t u = unit<T>, width = lanes<T>, step = piece_size<T>;
  if (tables.chirped() || tables.passes().empty()) {
    gather_rows(rows, 2 * tables.size(), room);
    return transform(tables, room, out, work);
  }
  const pass& first = tables.passes().front();
  const std::size_t radix = first.radix, m = first.m;
  const std::size_t wanted = radix <= 16 ? 8 : radix <= 32 ? 4 : 2, columns = wanted < m ? wanted : m;
  T* const to = pass_target(tables, 0, out, work);
  T* const local = work + tables.size() * u;
  for (std::size_t p = 0; p < m; p += columns) {
    const std::size_t count = m - p < columns ? m - p : columns;
    for (std::size_t j = 0; j < radix; ++j) {
      const std::size_t at = 2 * (p + m * j);
      T* const leg = room + j * columns * u;
      std::size_t i = 0;
      for (; i + step <= 2 * count; i += step) {
        vec<T> v[step];
        gather_piece(rows, at + i, v);
        for (std::size_t q = 0; q < step; ++q) store(leg + (i + q) * width, v[q]);
      }
      for (; i < 2 * count; ++i)
        for (std::size_t lane = 0; lane < width; ++lane) leg[i * width + lane] = rows[lane][at + i];
    }
    for (std::size_t q = 0; q < count; ++q)
      radix_transform(tables, first, room + q * u, columns * u, to + (p + q) * radix * u, u,
                      p + q > 0 ? tables.twiddles(first.outer + (p + q) * radix) : nullptr, local);
  }
  run_passes(tables, 1, to, out, work);
}

/// `batch` complex transforms of n = tables.size() pairs (re, im); strides in T. An inverse is multiplied by `scale`.
template <class T>
void complex_rows(const plan<T>& tables, const T* in, std::size_t in_stride, T* out, std::size_t out_stride,
                  std::size_t batch, bool inverse, T scale, T* memory) {
  const std::size_t n = tables.size(), u = unit<T>;
  T *a = memory, *b = a + n * u, *work = b + n * u;
  for (std::size_t first = 0; first < batch; first += lanes<T>) {
    const std::size_t count = batch - first < lanes<T> ? batch - first : lanes<T>;
    const T* from[lanes<T>];
    point_rows(in + first * in_stride, in_stride, count, from);
    if (inverse) {
      gather_rows(from, 2 * n, a);
      exchange(n, T{1}, a);
      transform(tables, a, b, work);
      exchange(n, scale, b);
    } else {
      transform_rows(tables, from, b, work, a);
    }
    scatter_rows(b, 2 * n, count, out + first * out_stride, out_stride);
  }
}

/// X[k] and X[m - k] of a real transform of 2 m points from Z[k], Z[m - k] of the halved one, which was scaled by 1/2.
template <class T>
HOCKET_ALWAYS_INLINE void split_pair(complex_vec<T> a, complex_vec<T> b, const T* w, complex_vec<T>& low,
                                     complex_vec<T>& high) {
  const T c = w[0], s = w[1];
  const complex_vec<T> sum = {a.re + b.re, a.im - b.im}, difference = {a.re - b.re, a.im + b.im};
  const vec<T> re = difference.im * c + difference.re * s, im = difference.im * s - difference.re * c;
  low = {sum.re + re, sum.im + im};
  high = {sum.re - re, im - sum.im};
}

/// Bins 0 .. n / 2 in lanes from the complex transform `z` (of samples that were halved when n is even).
template <class T>
void split_spectrum(const real_plan<T>& tables, const T* z, T* bins) {
  constexpr std::size_t u = unit<T>;
  if (!tables.halved()) {
    std::copy_n(z, tables.bins() * u, bins);
    return;
  }
  const std::size_t m = tables.size() / 2;
  const complex_vec<T> first = load_complex(z);
  const vec<T> zero = {};
  store_complex(bins, complex_vec<T>{(first.re + first.im) * T{2}, zero});
  store_complex(bins + m * u, complex_vec<T>{(first.re - first.im) * T{2}, zero});
  for (std::size_t k = 1; k <= m / 2; ++k) {
    complex_vec<T> low, high;
    split_pair(load_complex(z + k * u), load_complex(z + (m - k) * u), tables.split() + 2 * k, low, high);
    store_complex(bins + (m - k) * u, high);
    store_complex(bins + k * u, low);
  }
}

/// split_spectrum and scatter_rows in one for an even length, from the transform `z` of samples that were not halved:
/// a few bins from either end of the spectrum at a time, through a tile in the first cache.
template <class T>
void scatter_spectrum(const real_plan<T>& tables, const T* z, std::size_t count, T* out, std::size_t stride) {
  constexpr std::size_t u = unit<T>, most = 16;
  const std::size_t m = tables.size() / 2;
  const auto half = [](const T* at) { return complex_vec<T>{load(at) * T(0.5), load(at + lanes<T>) * T(0.5)}; };
  alignas(64) T tile[(2 * most + 1) * u];
  for (std::size_t first = 0; first <= m / 2; first += most) {
    const bool last = m - 2 * first <= 2 * most;  // both ends meet: bins first .. m - first in one piece
    const std::size_t bins = last ? m / 2 + 1 - first : most, all = last ? m - 2 * first + 1 : 2 * most;
    for (std::size_t i = 0; i < bins; ++i) {
      const std::size_t k = first + i;
      complex_vec<T> low, high;
      if (k == 0) {
        const complex_vec<T> sum = load_complex(z);
        low = {sum.re + sum.im, vec<T>{}};
        high = {sum.re - sum.im, vec<T>{}};
      } else {
        split_pair(half(z + k * u), half(z + (m - k) * u), tables.split() + 2 * k, low, high);
      }
      store_complex(tile + (all - 1 - i) * u, high);
      store_complex(tile + i * u, low);
    }
    scatter_rows(tile, 2 * (last ? all : most), count, out + 2 * first, stride);
    if (last) break;
    scatter_rows(tile + most * u, 2 * most, count, out + 2 * (m - first - most + 1), stride);
  }
}

/// `batch` rows of n real samples -> rows of n / 2 + 1 pairs (re, im).
template <class T>
void real_forward_rows(const real_plan<T>& tables, const T* in, std::size_t in_stride, T* out, std::size_t out_stride,
                       std::size_t batch, T* memory) {
  const std::size_t n = tables.size(), u = unit<T>, width = lanes<T>, room = tables.complex().size() + 1;
  T *a = memory, *b = a + room * u, *work = b + room * u;
  for (std::size_t first = 0; first < batch; first += width) {
    const std::size_t count = batch - first < width ? batch - first : width;
    const T* from[lanes<T>];
    point_rows(in + first * in_stride, in_stride, count, from);
    if (tables.halved()) {
      transform_rows(tables.complex(), from, b, work, a);
      scatter_spectrum(tables, b, count, out + first * out_stride, out_stride);
    } else {
      gather_rows(from, n, b);
      for (std::size_t i = 0; i < n; ++i) store_complex(a + i * u, complex_vec<T>{load(b + i * width), vec<T>{}});
      transform(tables.complex(), a, b, work);
      scatter_rows(b, 2 * tables.bins(), count, out + first * out_stride, out_stride);
    }
  }
}

/// The way back, times `scale`: rows of n / 2 + 1 pairs -> rows of n samples. The imaginary parts of bin 0, and of bin
/// n / 2 of an even length, are not read. Even: z[j] = x[2 j] + i x[2 j + 1] has the transform
/// Z[k] = E + i O, Z[m - k] = conj E + i conj O, E = X[k] + conj X[m - k], O = (X[k] - conj X[m - k]) exp(2 pi i k /
/// n).
template <class T>
void real_inverse_rows(const real_plan<T>& tables, const T* in, std::size_t in_stride, T* out, std::size_t out_stride,
                       std::size_t batch, T scale, T* memory) {
  const std::size_t n = tables.size(), u = unit<T>, width = lanes<T>, room = tables.complex().size() + 1;
  const std::size_t m = n / 2;
  T *a = memory, *b = a + room * u, *work = b + room * u;
  const vec<T> zero = {};
  for (std::size_t first = 0; first < batch; first += width) {
    const std::size_t count = batch - first < width ? batch - first : width;
    const T* from[lanes<T>];
    point_rows(in + first * in_stride, in_stride, count, from);
    gather_rows(from, 2 * tables.bins(), b);
    if (tables.halved()) {
      const vec<T> x0 = load(b), xm = load(b + m * u);
      store_complex(a, complex_vec<T>{x0 - xm, x0 + xm});
      for (std::size_t k = 1; k <= m / 2; ++k) {
        const complex_vec<T> p = load_complex(b + k * u), q = load_complex(b + (m - k) * u);
        const complex_vec<T> even = {p.re + q.re, p.im - q.im}, d = {p.re - q.re, p.im + q.im};
        const T c = tables.split()[2 * k], s = tables.split()[2 * k + 1];
        const complex_vec<T> odd = {d.re * c + d.im * s, d.im * c - d.re * s};         // times the conjugate of w
        store_complex(a + k * u, complex_vec<T>{even.im + odd.re, even.re - odd.im});  // exchanged
        store_complex(a + (m - k) * u, complex_vec<T>{odd.re - even.im, even.re + odd.im});
      }
    } else {
      store_complex(a, complex_vec<T>{zero, load(b)});
      for (std::size_t k = 1; k <= m; ++k) {
        const complex_vec<T> x = load_complex(b + k * u);
        store_complex(a + k * u, complex_vec<T>{x.im, x.re});
        store_complex(a + (n - k) * u, complex_vec<T>{-x.im, x.re});
      }
    }
    transform(tables.complex(), a, b, work);
    exchange(tables.complex().size(), scale, b);
    if (!tables.halved())
      for (std::size_t i = 0; i < n; ++i) store<T>(b + i * width, load(b + i * u));
    scatter_rows(b, n, count, out + first * out_stride, out_stride);
  }
}
