// The O(n^3) parts of the dense solvers, along contiguous rows; compiled once per instruction set (core/simd_each.hpp).

namespace hocket::kernels::dense::HOCKET_SIMD_NS {

template <class T>
struct simd {
  static constexpr std::size_t lanes = HOCKET_SIMD_BYTES / sizeof(T);
  typedef T type __attribute__((vector_size(HOCKET_SIMD_BYTES)));
  typedef T unaligned __attribute__((vector_size(HOCKET_SIMD_BYTES), aligned(sizeof(T)), may_alias));
};
template <class T>
HOCKET_ALWAYS_INLINE typename simd<T>::type load(const T* x) {
  return typename simd<T>::type(*reinterpret_cast<const typename simd<T>::unaligned*>(x));
}
template <class T>
HOCKET_ALWAYS_INLINE void store(T* x, typename simd<T>::type value) {
  *reinterpret_cast<typename simd<T>::unaligned*>(x) = typename simd<T>::unaligned(value);
}

template <class T>
T dot(std::size_t n, const T* x, const T* y) {
  using vector = typename simd<T>::type;
  constexpr std::size_t lanes = simd<T>::lanes;
  vector s0{}, s1{}, s2{}, s3{};
  std::size_t i = 0;
  for (; i + 4 * lanes <= n; i += 4 * lanes) {
    s0 += load(x + i) * load(y + i);
    s1 += load(x + i + lanes) * load(y + i + lanes);
    s2 += load(x + i + 2 * lanes) * load(y + i + 2 * lanes);
    s3 += load(x + i + 3 * lanes) * load(y + i + 3 * lanes);
  }
  for (; i + lanes <= n; i += lanes) s0 += load(x + i) * load(y + i);
  s0 += s1 + s2 + s3;
  T sum = 0;
  for (; i < n; ++i) sum += x[i] * y[i];
  for (std::size_t lane = 0; lane < lanes; ++lane) sum += s0[lane];
  return sum;
}

/// y += a x
template <class T>
void add_scaled(std::size_t n, T a, const T* x, T* y) {
  constexpr std::size_t lanes = simd<T>::lanes;
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) store(y + i, load(y + i) + a * load(x + i));
  for (; i < n; ++i) y[i] += a * x[i];
}

/// y += a x + b z
template <class T>
void add_two_scaled(std::size_t n, T a, const T* x, T b, const T* z, T* y) {
  constexpr std::size_t lanes = simd<T>::lanes;
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) store(y + i, load(y + i) + a * load(x + i) + b * load(z + i));
  for (; i < n; ++i) y[i] += a * x[i] + b * z[i];
}

/// (x, y) = (c x - s y, s x + c y)
template <class T>
void rotate(std::size_t n, T c, T s, T* x, T* y) {
  constexpr std::size_t lanes = simd<T>::lanes;
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const typename simd<T>::type p = load(x + i), q = load(y + i);
    store(x + i, c * p - s * q);
    store(y + i, s * p + c * q);
  }
  for (; i < n; ++i) {
    const T p = x[i], q = y[i];
    x[i] = c * p - s * q;
    y[i] = s * p + c * q;
  }
}

/// Reflector that maps x (n) to (alpha, 0, ..., 0): (1 - beta v v^T) x, v[0] = 1. Overwrites x by v, returns beta.
/// LAPACK's convention (Golub and Van Loan, "Matrix Computations", algorithm 5.1.1); x is scaled against overflow.
template <class T>
T reflector(std::size_t n, T* x, T& alpha) {
  T largest = 0;
  for (std::size_t i = 1; i < n; ++i) largest = std::abs(x[i]) > largest ? std::abs(x[i]) : largest;
  alpha = n ? x[0] : T(0);
  if (n) x[0] = 1;
  if (n < 2 || largest == 0) return 0;
  largest = std::abs(alpha) > largest ? std::abs(alpha) : largest;
  for (std::size_t i = 1; i < n; ++i) x[i] /= largest;
  const T first = alpha / largest;
  const T tail = dot(n - 1, x + 1, x + 1);
  const T norm = std::sqrt(first * first + tail);
  const T v0 = first <= 0 ? first - norm : -tail / (first + norm);
  const T beta = 2 * v0 * v0 / (tail + v0 * v0);
  for (std::size_t i = 1; i < n; ++i) x[i] /= v0;
  alpha = norm * largest;
  return beta;
}

/// Rows [first, first + Rows) of the upper triangle of the symmetric A, from their diagonals on: A -= v w^T + w v^T,
/// and on the way p += A x, each element for its own row and for its mirror image's.
template <std::size_t Rows, class T>
void update_and_multiply(std::size_t n, std::size_t first, T* a, const T* v, const T* w, const T* x, T* p) {
  constexpr std::size_t lanes = simd<T>::lanes;
  using vector = typename simd<T>::type;
  T* row[Rows];
  T sum[Rows] = {}, vr[Rows], wr[Rows], xr[Rows];
  vector sums[Rows] = {};
  for (std::size_t r = 0; r < Rows; ++r) {
    row[r] = a + (first + r) * n;
    vr[r] = v[first + r];
    wr[r] = w[first + r];
    xr[r] = x[first + r];
  }
  const auto visit = [&](std::size_t c, std::size_t rows) {
    for (std::size_t r = 0; r < rows; ++r) {
      row[r][c] -= vr[r] * w[c] + wr[r] * v[c];
      sum[r] += row[r][c] * x[c];
      if (first + r != c) p[c] += row[r][c] * xr[r];
    }
  };
  std::size_t c = first;
  for (; c < first + Rows; ++c) visit(c, c - first + 1);
  for (; c < n && c % lanes != 0; ++c) visit(c, Rows);
  for (; c + lanes <= n; c += lanes) {
    const vector vc = load(v + c), wc = load(w + c), xc = load(x + c);
    vector pc = load(p + c);
#pragma GCC unroll 4
    for (std::size_t r = 0; r < Rows; ++r) {
      const vector value = load(row[r] + c) - vr[r] * wc - wr[r] * vc;
      store(row[r] + c, value);
      sums[r] += value * xc;
      pc += value * xr[r];
    }
    store(p + c, pc);
  }
  for (; c < n; ++c) visit(c, Rows);
  for (std::size_t r = 0; r < Rows; ++r) {
    for (std::size_t lane = 0; lane < lanes; ++lane) sum[r] += sums[r][lane];
    p[first + r] += sum[r];
  }
}

/// A = Q T Q^T with T tridiagonal (diagonal, off[0..n-1)); only A's upper triangle is read. Reflector i is kept in row
/// i of `a`, columns i + 1.., its factor in beta[i]. `work` (2 n).
template <class T>
void tridiagonalise(std::size_t n, T* a, T* diagonal, T* off, T* beta, T* work) {
  T *w = work, *p = work + n;
  for (std::size_t i = 0; i < n; ++i) w[i] = 0;
  const T* v = w;  // of the step before; its update of the rows below is still to be made
  for (std::size_t i = 0; i < n; ++i) {
    T* row = a + i * n;
    add_two_scaled(n - i, -v[i], w + i, -w[i], v + i, row + i);
    diagonal[i] = row[i];
    if (i + 1 >= n) break;
    beta[i] = reflector(n - i - 1, row + i + 1, off[i]);
    for (std::size_t r = i + 1; r < n; ++r) p[r] = 0;
    std::size_t r = i + 1;
    for (; r < n && r % 4 != 0; ++r) update_and_multiply<1>(n, r, a, v, w, row, p);
    for (; r + 4 <= n; r += 4) update_and_multiply<4>(n, r, a, v, w, row, p);
    for (; r < n; ++r) update_and_multiply<1>(n, r, a, v, w, row, p);
    // A22 -= v w^T + w v^T, w = p - (beta / 2)(p . v) v, p = beta A22 v
    v = row;
    const T along = -beta[i] / 2 * beta[i] * dot(n - i - 1, p + i + 1, v + i + 1);
    for (std::size_t c = i + 1; c < n; ++c) w[c] = beta[i] * p[c] + along * v[c];
  }
}

/// Turns eigenvectors of T (rows of `vectors`, (k,n)) into those of A.
template <class T>
void back_transform(std::size_t n, std::size_t k, const T* a, const T* beta, T* vectors) {
  for (std::size_t i = n - 1; i-- > 0;) {
    const std::size_t m = n - i - 1;
    const T* v = a + i * n + i + 1;
    if (beta[i] == 0) continue;
    for (std::size_t r = 0; r < k; ++r) {
      T* z = vectors + r * n + i + 1;
      add_scaled(m, -beta[i] * dot(m, v, z), v, z);
    }
  }
}

/// A (m,n), m >= n, becomes R: its upper triangle (n,n) in place, zeros below. `w` (m + n).
template <class T>
void triangularise(std::size_t m, std::size_t n, T* a, T* w) {
  T* v = w + n;
  for (std::size_t j = 0; j < n && j + 1 < m; ++j) {
    const std::size_t length = m - j, rest = n - j - 1;
    for (std::size_t i = 0; i < length; ++i) v[i] = a[(j + i) * n + j];
    T alpha;
    const T beta = reflector(length, v, alpha);
    a[j * n + j] = alpha;
    for (std::size_t i = 1; i < length; ++i) a[(j + i) * n + j] = 0;
    if (beta == 0) continue;
    for (std::size_t q = 0; q < rest; ++q) w[q] = 0;
    for (std::size_t i = 0; i < length; ++i) add_scaled(rest, v[i], a + (j + i) * n + j + 1, w);
    for (std::size_t i = 0; i < length; ++i) add_scaled(rest, -beta * v[i], w, a + (j + i) * n + j + 1);
  }
}

/// One-sided Jacobi: rotates the rows of `a` (r,n) until all are orthogonal to working precision (Hestenes 1958; Golub
/// and Van Loan, section 8.6.3). False when 60 sweeps did not suffice.
template <class T>
bool orthogonalise_rows(std::size_t r, std::size_t n, T* a, T* squares) {
  const T tolerance = std::numeric_limits<T>::epsilon() * std::sqrt(static_cast<T>(n));
  for (int sweep = 0; sweep < 60; ++sweep) {
    T largest = 0;
    for (std::size_t i = 0; i < r; ++i) {
      squares[i] = dot(n, a + i * n, a + i * n);
      largest = squares[i] > largest ? squares[i] : largest;
    }
    // rows this short are rounding noise of the longest one: their direction is not theirs
    const T negligible = largest * tolerance * tolerance / 16;
    bool turned = false;
    for (std::size_t p = 0; p < r; ++p)
      for (std::size_t q = p + 1; q < r; ++q) {
        T *x = a + p * n, *y = a + q * n;
        if (squares[p] <= negligible || squares[q] <= negligible) continue;
        const T product = dot(n, x, y);
        if (!(std::abs(product) > tolerance * std::sqrt(squares[p]) * std::sqrt(squares[q]))) continue;
        turned = true;
        const T theta = (squares[q] - squares[p]) / (2 * product);
        const T t = (theta >= 0 ? T(1) : T(-1)) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const T c = 1 / std::sqrt(t * t + 1);
        rotate(n, c, t * c, x, y);
        squares[p] = dot(n, x, x);
        squares[q] = dot(n, y, y);
      }
    if (!turned) return true;
  }
  return false;
}

}  // namespace hocket::kernels::dense::HOCKET_SIMD_NS
