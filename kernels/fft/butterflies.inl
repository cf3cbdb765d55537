// Butterflies of radix 2, 3, 4, 5, 7, 8 with one transform per SIMD lane, for cpu_body.inl: no shuffles, every
// operation is full width. A complex number is two registers, stored side by side: real parts of all lanes, then
// imaginary parts.

#include <hocket/core/simd_lanes.inl>

template <class T>
struct complex_vec {
  vec<T> re, im;
};
template <class T>
HOCKET_ALWAYS_INLINE complex_vec<T> operator+(complex_vec<T> a, complex_vec<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class T>
HOCKET_ALWAYS_INLINE complex_vec<T> operator-(complex_vec<T> a, complex_vec<T> b) {
  return {a.re - b.re, a.im - b.im};
}
/// a - i b and a + i b
template <class T>
HOCKET_ALWAYS_INLINE complex_vec<T> minus_i(complex_vec<T> a, complex_vec<T> b) {
  return {a.re + b.im, a.im - b.re};
}
template <class T>
HOCKET_ALWAYS_INLINE complex_vec<T> plus_i(complex_vec<T> a, complex_vec<T> b) {
  return {a.re - b.im, a.im + b.re};
}
/// a times the same number w in every lane
template <class T>
HOCKET_ALWAYS_INLINE complex_vec<T> turned(complex_vec<T> a, const T* w) {
  const T c = w[0], s = w[1];
  return {a.re * c - a.im * s, a.re * s + a.im * c};
}
template <class T>
HOCKET_ALWAYS_INLINE complex_vec<T> load_complex(const T* p) {
  return {load(p), load(p + lanes<T>)};
}
template <class T>
HOCKET_ALWAYS_INLINE void store_complex(T* p, complex_vec<T> z) {
  store(p, z.re);
  store(p + lanes<T>, z.im);
}

/// In place: a[k] <- sum over j of a[j] exp(-2 pi i j k / R).
template <class T, int R>
struct butterfly;

template <class T>
struct butterfly<T, 1> {
  static HOCKET_ALWAYS_INLINE void apply(complex_vec<T>*) {}
};

template <class T>
struct butterfly<T, 2> {
  static HOCKET_ALWAYS_INLINE void apply(complex_vec<T>* a) {
    const complex_vec<T> t = a[1];
    a[1] = a[0] - t;
    a[0] = a[0] + t;
  }
};

template <class T>
struct butterfly<T, 3> {
  static HOCKET_ALWAYS_INLINE void apply(complex_vec<T>* a) {
    constexpr T s1 = T(0.866025403784438646763723170752936183L);
    const complex_vec<T> t = a[1] + a[2], u = a[1] - a[2];
    const complex_vec<T> c = {a[0].re - t.re * T(0.5), a[0].im - t.im * T(0.5)};
    a[0] = a[0] + t;
    a[1] = {c.re + u.im * s1, c.im - u.re * s1};
    a[2] = {c.re - u.im * s1, c.im + u.re * s1};
  }
};

template <class T>
struct butterfly<T, 4> {
  static HOCKET_ALWAYS_INLINE void apply(complex_vec<T>* a) {
    const complex_vec<T> s0 = a[0] + a[2], d0 = a[0] - a[2], s1 = a[1] + a[3], d1 = a[1] - a[3];
    a[0] = s0 + s1;
    a[1] = minus_i(d0, d1);
    a[2] = s0 - s1;
    a[3] = plus_i(d0, d1);
  }
};

template <class T>
struct butterfly<T, 5> {
  static HOCKET_ALWAYS_INLINE void apply(complex_vec<T>* a) {
    constexpr T c1 = T(0.309016994374947424102293417182819059L), c2 = T(-0.809016994374947424102293417182819059L);
    constexpr T s1 = T(0.951056516295153572116439333379382143L), s2 = T(0.587785252292473129168705954639072769L);
    const complex_vec<T> t1 = a[1] + a[4], u1 = a[1] - a[4], t2 = a[2] + a[3], u2 = a[2] - a[3];
    const complex_vec<T> b1 = {a[0].re + t1.re * c1 + t2.re * c2, a[0].im + t1.im * c1 + t2.im * c2};
    const complex_vec<T> b2 = {a[0].re + t1.re * c2 + t2.re * c1, a[0].im + t1.im * c2 + t2.im * c1};
    const complex_vec<T> d1 = {u1.re * s1 + u2.re * s2, u1.im * s1 + u2.im * s2};
    const complex_vec<T> d2 = {u1.re * s2 - u2.re * s1, u1.im * s2 - u2.im * s1};
    a[0] = a[0] + t1 + t2;
    a[1] = minus_i(b1, d1);
    a[2] = minus_i(b2, d2);
    a[3] = plus_i(b2, d2);
    a[4] = plus_i(b1, d1);
  }
};

template <class T>
struct butterfly<T, 7> {
  static HOCKET_ALWAYS_INLINE void apply(complex_vec<T>* a) {
    constexpr T c1 = T(0.623489801858733530525004884004239811L), c2 = T(-0.222520933956314404288902564496794759L),
                c3 = T(-0.900968867902419126236102319507445051L);
    constexpr T s1 = T(0.781831482468029808708444526674057750L), s2 = T(0.974927912181823607018131682993931217L),
                s3 = T(0.433883739117558120475768332848358755L);
    const complex_vec<T> t1 = a[1] + a[6], u1 = a[1] - a[6], t2 = a[2] + a[5], u2 = a[2] - a[5], t3 = a[3] + a[4],
                         u3 = a[3] - a[4];
    const complex_vec<T> b1 = {a[0].re + t1.re * c1 + t2.re * c2 + t3.re * c3,
                               a[0].im + t1.im * c1 + t2.im * c2 + t3.im * c3};
    const complex_vec<T> b2 = {a[0].re + t1.re * c2 + t2.re * c3 + t3.re * c1,
                               a[0].im + t1.im * c2 + t2.im * c3 + t3.im * c1};
    const complex_vec<T> b3 = {a[0].re + t1.re * c3 + t2.re * c1 + t3.re * c2,
                               a[0].im + t1.im * c3 + t2.im * c1 + t3.im * c2};
    const complex_vec<T> d1 = {u1.re * s1 + u2.re * s2 + u3.re * s3, u1.im * s1 + u2.im * s2 + u3.im * s3};
    const complex_vec<T> d2 = {u1.re * s2 - u2.re * s3 - u3.re * s1, u1.im * s2 - u2.im * s3 - u3.im * s1};
    const complex_vec<T> d3 = {u1.re * s3 - u2.re * s1 + u3.re * s2, u1.im * s3 - u2.im * s1 + u3.im * s2};
    a[0] = a[0] + t1 + t2 + t3;
    a[1] = minus_i(b1, d1);
    a[2] = minus_i(b2, d2);
    a[3] = minus_i(b3, d3);
    a[4] = plus_i(b3, d3);
    a[5] = plus_i(b2, d2);
    a[6] = plus_i(b1, d1);
  }
};

template <class T>
struct butterfly<T, 8> {
  static HOCKET_ALWAYS_INLINE void apply(complex_vec<T>* a) {
    constexpr T h = T(0.707106781186547524400844362104849039L);
    const complex_vec<T> s0 = a[0] + a[4], d0 = a[0] - a[4], s2 = a[2] + a[6], d2 = a[2] - a[6];
    const complex_vec<T> s1 = a[1] + a[5], d1 = a[1] - a[5], s3 = a[3] + a[7], d3 = a[3] - a[7];
    const complex_vec<T> e0 = s0 + s2, e2 = s0 - s2, e1 = minus_i(d0, d2), e3 = plus_i(d0, d2);
    const complex_vec<T> o0 = s1 + s3, o2 = s1 - s3, o1 = minus_i(d1, d3), o3 = plus_i(d1, d3);
    // o1 turned by -45 degrees and o3 by -135 degrees; sqrt(1/2) goes into the last additions
    const complex_vec<T> p = {o1.re + o1.im, o1.im - o1.re}, q = {o3.im - o3.re, -o3.re - o3.im};
    a[0] = e0 + o0;
    a[4] = e0 - o0;
    a[2] = minus_i(e2, o2);
    a[6] = plus_i(e2, o2);
    a[1] = {e1.re + p.re * h, e1.im + p.im * h};
    a[5] = {e1.re - p.re * h, e1.im - p.im * h};
    a[3] = {e3.re + q.re * h, e3.im + q.im * h};
    a[7] = {e3.re - q.re * h, e3.im - q.im * h};
  }
};

template <class T, std::size_t... J>
HOCKET_ALWAYS_INLINE void load_legs(complex_vec<T>* a, const T* in, std::size_t leg, std::index_sequence<J...>) {
  ((a[J] = load_complex(in + J * leg)), ...);
}
template <class T, std::size_t... K>
HOCKET_ALWAYS_INLINE void store_legs(const complex_vec<T>* a, T* out, std::size_t leg, std::index_sequence<K...>) {
  (store_complex(out + K * leg, a[K]), ...);
}
template <class T, std::size_t First, std::size_t... K>
HOCKET_ALWAYS_INLINE void turn_legs(complex_vec<T>* a, const T* w, std::index_sequence<K...>) {
  ((K >= First ? void(a[K] = turned(a[K], w + 2 * K)) : void()), ...);
}

/// Which outputs are multiplied by twiddle factors w[c * R + k].
enum class turning {
  none,
  inner,  ///< row c = 0 and column k = 0 of the table are ones
  outer,
};

/// What a run of butterflies reads and writes; distances in units of T.
template <class T>
struct legs {
  const T* in;
  std::size_t in_leg, in_step;
  T* out;
  std::size_t out_leg, out_step;
  std::size_t count;
  const T* w;
  std::size_t w_step;
};

/// Butterfly c < count: legs in[c * in_step + j * in_leg], results out[c * out_step + k * out_leg].
template <class T, int R, turning Mode>
void butterflies(const legs<T>& run) {
  constexpr auto all = std::make_index_sequence<R>{};
  const T* in = run.in;
  T* out = run.out;
  const T* w = run.w;
  std::size_t count = run.count;
  const std::size_t in_leg = run.in_leg, out_leg = run.out_leg;
  complex_vec<T> a[R];
  if constexpr (Mode == turning::inner) {
    load_legs(a, in, in_leg, all);
    butterfly<T, R>::apply(a);
    store_legs(a, out, out_leg, all);
    in += run.in_step;
    out += run.out_step;
    w += run.w_step;
    --count;
  }
  for (; count > 0; --count, in += run.in_step, out += run.out_step, w += run.w_step) {
    load_legs(a, in, in_leg, all);
    butterfly<T, R>::apply(a);
    if constexpr (Mode == turning::inner) turn_legs<T, 1>(a, w, all);
    if constexpr (Mode == turning::outer) turn_legs<T, 0>(a, w, all);
    store_legs(a, out, out_leg, all);
  }
}

template <class T, turning Mode>
void butterflies_of(std::size_t radix, const legs<T>& run) {
  switch (radix) {
    case 1: return butterflies<T, 1, Mode>(run);
    case 2: return butterflies<T, 2, Mode>(run);
    case 3: return butterflies<T, 3, Mode>(run);
    case 4: return butterflies<T, 4, Mode>(run);
    case 5: return butterflies<T, 5, Mode>(run);
    case 7: return butterflies<T, 7, Mode>(run);
    default: return butterflies<T, 8, Mode>(run);
  }
}
