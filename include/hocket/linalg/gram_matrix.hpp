// Xc^T Xc and Xc Xc^T of a centred matrix, in f64. Products are made in T over at most 240 rows (or columns) and joined
// in f64; small problems are multiplied in f64 throughout.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <hocket/linalg/centred.hpp>

namespace hocket::linalg {

namespace detail {

inline constexpr std::size_t gram_depth = 240;  ///< longest sum that is rounded in T alone

/// Multiply-adds below which products are made in f64: a few hundredths of a second.
inline constexpr double wide_product_limit = 4e8;

/// sum (m,n) of f64 with distance ld += left^T right, left (depth,m), right (depth,n), through `product` (m,n).
template <Real T>
void add_product(gemm_plan<T>& products, std::size_t m, std::size_t n, std::size_t depth, bool transposed,
                 const T* left, std::size_t ldl, const T* right, std::size_t ldr, T* product, double* sum,
                 std::size_t ld, std::size_t worker) {
  products.tile({m, n, depth, !transposed, transposed, ldl, ldr, n}, T(1), left, right, T(0), product, worker);
  kernels::centre::add<T>(m, n, product, n, sum, ld);
}

inline void mirror_upper(std::size_t n, std::vector<double>& a) {
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) a[j * n + i] = a[i * n + j];
}

/// Products in P (T, or double for small problems) of a matrix centred in T.
template <Real P, Real T>
std::vector<double> normal_matrix_in(centred_matrix<T>& x, const gemm_options& engine) {
  const std::size_t n = x.rows(), d = x.columns();
  const std::size_t block = d <= 1024 ? 128 : 256;
  const std::size_t band = d <= 1024 ? d : block;  // columns that one tile is responsible for
  const std::size_t bands = (d + band - 1) / band;
  const std::size_t groups =
      std::clamp<std::size_t>(std::min(n / (4 * gram_depth), std::size_t{4000000} / (d * d + 1)), 1, 8);
  const std::size_t group_rows = ((n + groups - 1) / groups + gram_depth - 1) / gram_depth * gram_depth;
  gemm_plan<P> products(engine, x.device());
  std::vector<std::vector<double>> sums(groups, std::vector<double>(d * d));
  const auto workers = static_cast<std::size_t>(x.device().threads);
  std::vector<buffer<T>> rows(workers);
  std::vector<buffer<P>> wide(workers), product(workers);
  const std::size_t ld = (d + 15) / 16 * 16 + 16;
  for (std::size_t worker = 0; worker < workers; ++worker) {
    rows[worker] = buffer<T>(gram_depth * ld);
    if constexpr (!std::is_same_v<P, T>) wide[worker] = buffer<P>(gram_depth * ld);
    product[worker] = buffer<P>(block * block);
  }
  for_each_tile(
      x.device(), groups * bands,
      [&](std::size_t index, std::size_t worker) {
        const std::size_t group = index / bands, left = index % bands * band, width = d - left;
        const std::size_t left_end = std::min(d, left + band);
        double* sum = sums[group].data();
        for (std::size_t first = group * group_rows; first < std::min(n, (group + 1) * group_rows);
             first += gram_depth) {
          const std::size_t depth = std::min({gram_depth, n - first, (group + 1) * group_rows - first});
          x.subtract(first, depth, left, width, rows[worker].data(), ld);
          const P* panel = nullptr;
          if constexpr (std::is_same_v<P, T>) {
            panel = rows[worker].data();
          } else {
            for (std::size_t i = 0; i < depth; ++i)
              for (std::size_t j = 0; j < width; ++j)
                wide[worker][i * ld + j] = static_cast<P>(rows[worker][i * ld + j]);
            panel = wide[worker].data();
          }
          for (std::size_t i = left; i < left_end; i += block)
            for (std::size_t j = i; j < d; j += block)
              add_product<P>(products, std::min(block, left_end - i), std::min(block, d - j), depth, false,
                             panel + (i - left), ld, panel + (j - left), ld, product[worker].data(), sum + i * d + j, d,
                             worker);
        }
      },
      true);
  for_each_tile(x.device(), d, [&](std::size_t i, std::size_t) {
    for (std::size_t group = 1; group < groups; ++group)
      kernels::centre::add<double>(1, d - i, sums[group].data() + i * d + i, d, sums[0].data() + i * d + i, d);
  });
  mirror_upper(d, sums[0]);
  return std::move(sums[0]);
}

template <Real P, Real T>
std::vector<double> outer_matrix_in(centred_matrix<T>& x, const gemm_options& engine) {
  constexpr std::size_t block = 128;
  const std::size_t n = x.rows(), d = x.columns(), blocks = (n + block - 1) / block;
  gemm_plan<P> products(engine, x.device());
  std::vector<double> sum(n * n);
  const auto workers = static_cast<std::size_t>(x.device().threads);
  std::vector<buffer<T>> rows(workers);
  std::vector<buffer<P>> wide(workers), product(workers);
  constexpr std::size_t ld = gram_depth + 16;
  for (std::size_t worker = 0; worker < workers; ++worker) {
    rows[worker] = buffer<T>(2 * block * ld);
    if constexpr (!std::is_same_v<P, T>) wide[worker] = buffer<P>(2 * block * ld);
    product[worker] = buffer<P>(block * block);
  }
  for_each_tile(
      x.device(), blocks * blocks,
      [&](std::size_t index, std::size_t worker) {
        const std::size_t i = index / blocks * block, j = index % blocks * block;
        if (j < i) return;
        const std::size_t m = std::min(block, n - i), width = std::min(block, n - j);
        for (std::size_t first = 0; first < d; first += gram_depth) {
          const std::size_t depth = std::min(gram_depth, d - first);
          T* panel = rows[worker].data();
          x.subtract(i, m, first, depth, panel, ld);
          x.subtract(j, width, first, depth, panel + block * ld, ld);
          const P* both = nullptr;
          if constexpr (std::is_same_v<P, T>) {
            both = panel;
          } else {
            for (std::size_t e = 0; e < 2 * block * ld; ++e) wide[worker][e] = static_cast<P>(panel[e]);
            both = wide[worker].data();
          }
          add_product<P>(products, m, width, depth, true, both, ld, both + block * ld, ld, product[worker].data(),
                         sum.data() + i * n + j, n, worker);
        }
      },
      true);
  mirror_upper(n, sum);
  return sum;
}

}  // namespace detail

/// Xc^T Xc (D,D).
template <Real T>
std::vector<double> normal_matrix(centred_matrix<T>& x, const gemm_options& engine = {}) {
  const double work =
      static_cast<double>(x.rows()) * static_cast<double>(x.columns()) * static_cast<double>(x.columns());
  // an engine named for f32 need not exist in f64
  if (work <= detail::wide_product_limit)
    return detail::normal_matrix_in<double>(x, std::is_same_v<T, double> ? engine : gemm_options{});
  return detail::normal_matrix_in<T>(x, engine);
}

/// Xc Xc^T (N,N).
template <Real T>
std::vector<double> outer_matrix(centred_matrix<T>& x, const gemm_options& engine = {}) {
  const double work = static_cast<double>(x.rows()) * static_cast<double>(x.rows()) * static_cast<double>(x.columns());
  // an engine named for f32 need not exist in f64
  if (work <= detail::wide_product_limit)
    return detail::outer_matrix_in<double>(x, std::is_same_v<T, double> ? engine : gemm_options{});
  return detail::outer_matrix_in<T>(x, engine);
}

}  // namespace hocket::linalg
