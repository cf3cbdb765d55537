// Xc^T Xc and Xc Xc^T of a centred matrix, in f64. Products are made in T over at most 240 rows (or columns) and joined
// in f64; small problems are multiplied in f64 throughout.
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <vector>

#include <hocket/kernels/covariance/cpu.hpp>
#include <hocket/linalg/centred.hpp>

namespace hocket::linalg {

namespace detail {

/// Multiply-adds below which products are made in f64: a few hundredths of a second.
inline constexpr double wide_product_limit = 4e8;

/// A^T A (d,d) of A (n,d) with products in P. pack(first, rows, strip, strips, panel, worker) writes rows [first, first
/// + rows) of A's strips [strip, strips) as kernels/covariance wants them.
template <Real P, class Pack>
std::vector<double> square_by_panels(std::size_t n, std::size_t d, const cpu& device, Pack&& pack) {
  namespace covariance = kernels::covariance;
  constexpr std::size_t depth = covariance::panel_depth;
  const std::size_t strips = covariance::strips_of<P>(d);
  // A tile of work is a group of rows and a band of the result's rows; either depends on the shape alone.
  const std::size_t band = d <= 1024 ? std::max<std::size_t>(strips, 1) : 256 / covariance::strip_columns<P>;
  const std::size_t bands = (strips + band - 1) / band;
  const std::size_t groups =
      std::clamp<std::size_t>(std::min(n / (4 * depth), std::size_t{4000000} / (d * d + 1)), 1, 8);
  const std::size_t group_rows = ((n + groups - 1) / groups + depth - 1) / depth * depth;
  std::vector<buffer<double>> sums(groups);
  for_each_tile(device, groups,
                [&](std::size_t group, std::size_t) { sums[group] = buffer<double>(covariance::result_size<P>(d)); });
  std::vector<buffer<P>> panels;
  for (int worker = 0; worker < device.threads; ++worker) panels.emplace_back(covariance::panel_size<P>(strips));
  for_each_tile(
      device, groups * bands,
      [&](std::size_t index, std::size_t worker) {
        const std::size_t group = index / bands, left = index % bands * band;
        const std::size_t begin = group * group_rows, end = std::min(n, begin + group_rows);
        P* const panel = panels[worker].data();
        for (std::size_t first = begin; first < end; first += depth) {
          const std::size_t rows = std::min(depth, end - first);
          pack(first, rows, left, strips, panel, worker);
          covariance::add_panel<P>(rows, left, std::min(strips, left + band), strips, panel, sums[group].data(),
                                   first > begin);
        }
      },
      true);
  std::vector<double> out(d * d);
  for_each_tile(
      device, strips,
      [&](std::size_t i, std::size_t) {
        constexpr std::size_t size = covariance::block_size<P>;
        for (std::size_t j = i; j < strips; ++j) {
          const std::size_t at = covariance::block_index(i, j, strips) * size;
          for (std::size_t group = 1; group < groups; ++group)
            kernels::centre::add<double>(1, size, sums[group].data() + at, size, sums[0].data() + at, size);
          covariance::place<P>(i, j, d, sums[0].data() + at, out.data());
        }
      },
      true);
  return out;
}

/// Products in P: T, or double for small problems.
template <Real P, Real T>
std::vector<double> normal_matrix_in(const centred_matrix<T>& x) {
  namespace covariance = kernels::covariance;
  constexpr std::size_t width = covariance::strip_columns<P>, at_once = 8;
  const std::size_t d = x.columns();
  return square_by_panels<P>(
      x.rows(), d, x.device(),
      [&](std::size_t first, std::size_t rows, std::size_t left, std::size_t strips, P* panel, std::size_t) {
        // a few rows through all strips: data are read nearly in the order of memory
        for (std::size_t r = 0; r < rows; r += at_once)
          for (std::size_t s = left; s < strips; ++s) {
            const std::size_t count = std::min(at_once, rows - r), columns = std::min(width, d - s * width);
            P* const to = panel + ((s - left) * covariance::panel_depth + r) * width;
            if constexpr (std::is_same_v<P, T>) {
              x.subtract(first + r, count, s * width, columns, to, width);
            } else {
              T narrow[at_once * width] = {};
              x.subtract(first + r, count, s * width, columns, narrow, width);
              for (std::size_t e = 0; e < count * width; ++e) to[e] = static_cast<P>(narrow[e]);
            }
          }
      });
}

template <Real P, Real T>
std::vector<double> outer_matrix_in(const centred_matrix<T>& x) {
  namespace covariance = kernels::covariance;
  constexpr std::size_t width = covariance::strip_columns<P>, ld = covariance::panel_depth + 8;
  const std::size_t n = x.rows();
  std::vector<buffer<T>> lines;
  for (int worker = 0; worker < x.device().threads; ++worker) lines.emplace_back(width * ld);
  return square_by_panels<P>(
      x.columns(), n, x.device(),
      [&](std::size_t first, std::size_t depth, std::size_t left, std::size_t strips, P* panel, std::size_t worker) {
        T* const line = lines[worker].data();
        for (std::size_t s = left; s < strips; ++s, panel += covariance::panel_depth * width) {
          x.subtract(s * width, std::min(width, n - s * width), first, depth, line, ld);
          for (std::size_t p = 0; p < depth; ++p)
            for (std::size_t q = 0; q < width; ++q) panel[p * width + q] = static_cast<P>(line[q * ld + p]);
        }
      });
}

}  // namespace detail

/// Xc^T Xc (D,D).
template <Real T>
std::vector<double> normal_matrix(const centred_matrix<T>& x) {
  const double n = static_cast<double>(x.rows()), d = static_cast<double>(x.columns());
  return n * d * d <= detail::wide_product_limit ? detail::normal_matrix_in<double>(x) : detail::normal_matrix_in<T>(x);
}

/// Xc Xc^T (N,N).
template <Real T>
std::vector<double> outer_matrix(const centred_matrix<T>& x) {
  const double n = static_cast<double>(x.rows()), d = static_cast<double>(x.columns());
  return n * n * d <= detail::wide_product_limit ? detail::outer_matrix_in<double>(x) : detail::outer_matrix_in<T>(x);
}

}  // namespace hocket::linalg
