// LAPACK (OpenBLAS's, MKL's, netlib's) as the dense engine "lapack", through its Fortran names. Included by choice;
// link with the library. Not to be included together with <lapack.h>, which declares the same names its own way.
//
// Ladder: syevr finds only the wanted eigenvectors. gesdd on all of a tall matrix forms a left factor that nobody
// reads: the triangle is taken first.
#pragma once

#if defined(HOCKET_HAVE_LAPACK)

#include <algorithm>
#include <cstddef>
#include <limits>

#include <hocket/kernels/dense/engine.hpp>
#include <hocket/kernels/gemm/engine.hpp>

extern "C" {
void ssyevr_(const char*, const char*, const char*, const int*, float*, const int*, const float*, const float*,
             const int*, const int*, const float*, int*, float*, float*, const int*, int*, float*, const int*, int*,
             const int*, int*, std::size_t, std::size_t, std::size_t);
void dsyevr_(const char*, const char*, const char*, const int*, double*, const int*, const double*, const double*,
             const int*, const int*, const double*, int*, double*, double*, const int*, int*, double*, const int*, int*,
             const int*, int*, std::size_t, std::size_t, std::size_t);
void sgesdd_(const char*, const int*, const int*, float*, const int*, float*, float*, const int*, float*, const int*,
             float*, const int*, int*, int*, std::size_t);
void dgesdd_(const char*, const int*, const int*, double*, const int*, double*, double*, const int*, double*,
             const int*, double*, const int*, int*, int*, std::size_t);
void sgelqf_(const int*, const int*, float*, const int*, float*, float*, const int*, int*);
void dgelqf_(const int*, const int*, double*, const int*, double*, double*, const int*, int*);
}

namespace hocket::kernels::dense {

template <Real T>
struct lapack_names;
template <>
struct lapack_names<float> {
  static constexpr auto syevr = &ssyevr_;
  static constexpr auto gesdd = &sgesdd_;
  static constexpr auto gelqf = &sgelqf_;
};
template <>
struct lapack_names<double> {
  static constexpr auto syevr = &dsyevr_;
  static constexpr auto gesdd = &dgesdd_;
  static constexpr auto gelqf = &dgelqf_;
};

inline constexpr std::size_t lapack_block = 64;  ///< at least the block size of every LAPACK in use

/// Integers are kept in the same workspace: T is at least as large as int.
template <Real T>
std::size_t lapack_eigen_workspace(std::size_t n, std::size_t) {
  return n + n + n * n + (lapack_block + 26) * n + 64 + (10 + 2) * n + 64;
}

template <Real T>
bool lapack_eigen(std::size_t n, std::size_t k, T* a, T* values, T* vectors, T* workspace) noexcept {
  if (n == 0 || k == 0) return true;
  if (n > static_cast<std::size_t>(std::numeric_limits<int>::max()) / 128) return false;
  const gemm::one_thread alone;
  const int order = static_cast<int>(n), first = static_cast<int>(n - k) + 1, last = order, one = 1;
  const int work_size = static_cast<int>((lapack_block + 26) * n + 64), integers_size = static_cast<int>(10 * n + 32);
  T *w = workspace, *diagonal = w + n, *z = diagonal + n, *work = z + n * n;
  int* integers = reinterpret_cast<int*>(work + work_size);
  int* support = integers + integers_size;
  const T zero = 0;
  int found = 0, info = 0;
  // rising order, eigenvectors as Fortran columns: our rows, last first
  const auto solve = [&](bool all) {
    lapack_names<T>::syevr(vectors ? "V" : "N", all ? "A" : "I", "L", &order, a, &order, &zero, &zero,
                           all ? &one : &first, &last, &zero, &found, w, z, &order, support, work, &work_size, integers,
                           &integers_size, &info, 1, 1, 1);
    return info == 0 && static_cast<std::size_t>(found) == (all ? n : k);
  };
  for (std::size_t i = 0; i < n; ++i) diagonal[i] = a[i * n + i];
  bool all = k == n;
  if (!solve(all)) {
    // A part of the spectrum goes through inverse iteration, which fails inside a large cluster (the zeros of a
    // rank-deficient matrix); the whole of it does not. Only one triangle was overwritten: the other restores it.
    if (all) return false;
    for (std::size_t i = 0; i < n; ++i) {
      a[i * n + i] = diagonal[i];
      for (std::size_t j = i + 1; j < n; ++j) a[i * n + j] = a[j * n + i];
    }
    all = true;
    if (!solve(all)) return false;
    w += n - k;
    z += (n - k) * n;
  }
  for (std::size_t i = 0; i < k; ++i) {
    values[i] = w[k - 1 - i];
    if (vectors) std::copy_n(z + (k - 1 - i) * n, n, vectors + i * n);
  }
  return true;
}

/// gesdd with vectors of the smaller side of (rows, columns), in Fortran's view.
inline std::size_t lapack_gesdd_work(std::size_t small, std::size_t large) {
  return 4 * small * small + 7 * small + (small + large) * (lapack_block + 1) + small * large + 64;
}

template <Real T>
std::size_t lapack_svd_workspace(std::size_t m, std::size_t n) {
  const std::size_t small = std::min(m, n), large = m > n ? n : std::max(m, n);
  return small * small + small + lapack_gesdd_work(small, large) + 8 * small + lapack_block * std::max(m, n) + 64;
}

template <Real T>
bool lapack_svd(std::size_t m, std::size_t n, T* a, T* values, T* rows, T* workspace) noexcept {
  const std::size_t r = std::min(m, n);
  if (r == 0) return true;
  if (std::max(m, n) > static_cast<std::size_t>(std::numeric_limits<int>::max()) / 128) return false;
  const gemm::one_thread alone;
  // Fortran sees the transpose, (n,m) with columns of length n: its left vectors are our rows
  const int tall = static_cast<int>(n);
  int wide = static_cast<int>(m), info = 0;
  T *right = workspace, *tau = right + r * r, *work = tau + r;
  if (m > n) {
    const int size = static_cast<int>(lapack_block * std::max(m, n));
    lapack_names<T>::gelqf(&tall, &wide, a, &tall, tau, work, &size, &info);
    if (info != 0) return false;
    for (std::size_t j = 1; j < n; ++j)
      for (std::size_t i = 0; i < j; ++i) a[j * n + i] = 0;  // above the diagonal of L
    wide = tall;
  }
  const std::size_t size = lapack_gesdd_work(r, m > n ? n : std::max(m, n));
  const int work_size = static_cast<int>(std::min<std::size_t>(size, std::numeric_limits<int>::max()));
  int* integers = reinterpret_cast<int*>(work + size);
  const int rank = static_cast<int>(r);
  lapack_names<T>::gesdd("S", &tall, &wide, a, &tall, values, rows, &tall, right, &rank, work, &work_size, integers,
                         &info, 1);
  return info == 0;
}

template <Real T>
bool register_lapack() {
  return register_engine<T>(
      {"lapack", 20, &lapack_eigen_workspace<T>, &lapack_eigen<T>, &lapack_svd_workspace<T>, &lapack_svd<T>});
}

inline const bool lapack_registered = register_lapack<float>() && register_lapack<double>();

}  // namespace hocket::kernels::dense

#endif
