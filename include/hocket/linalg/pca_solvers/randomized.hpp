// Randomized: block Krylov iteration from a random start (linalg/block_krylov.hpp). With n_iter, blocks have k +
// oversample columns and Halko, Martinsson and Tropp's bound is stated; without it, blocks are half as wide, which
// needs the fewest products, and iteration ends when the estimated excess residual is below the tolerance.
#pragma once

#include <cmath>

#include <hocket/linalg/block_krylov.hpp>
#include <hocket/linalg/pca_solvers/solver.hpp>

namespace hocket::linalg {

/// Bound on the expected spectral error of X - X_k, X_k the best rank-k approximation within the span of a random
/// sketch of `columns` columns after q power iterations: (1 + [1 + 4 sqrt(columns min(N, D)) / (p - 1)]^(1 / (2q + 1)))
/// s, where p = columns - k >= 2 and s is singular value number k + 1 (Halko, Martinsson, Tropp 2011, equation 1.10 and
/// theorem 9.3). The span of a block Krylov iteration holds that of the power iteration.
inline double halko_bound(std::size_t n, std::size_t d, std::size_t columns, std::size_t k, std::size_t q, double s) {
  const double p = static_cast<double>(columns - k);
  const double bracket =
      1 + 4 * std::sqrt(static_cast<double>(columns) * static_cast<double>(std::min(n, d))) / (p - 1);
  return (1 + std::pow(bracket, 1 / (2 * static_cast<double>(q) + 1))) * s;
}

struct randomized_solver {
  static constexpr std::size_t most_products = 20;

  template <Real T>
  static leading_spectrum<T> solve(centred_matrix<T>& x, std::size_t k, const pca_options& options) {
    const std::size_t n = x.rows(), d = x.columns(), most = std::min(n, d);
    const auto dense = kernels::dense::find_engine<double>(options.dense);
    krylov_options krylov;
    krylov.seed = options.seed;
    krylov.total = x.squares();
    if (options.n_iter) {
      krylov.width = std::min(most, k + options.oversample);
      krylov.steps = *options.n_iter + 1;  // the last product gives the Rayleigh quotients
    } else {
      // registers are 16 wide: blocks of a multiple of that cost nothing extra
      krylov.width = std::min(most, std::clamp<std::size_t>((k / 2 + 15) / 16 * 16, 16, 128));
      krylov.least = std::min(most, k + options.oversample);
      krylov.steps = std::max(most_products, (krylov.least + krylov.width - 1) / krylov.width + 6);
      krylov.tolerance = options.tolerance;
    }
    buffer<T> sketch;
    const auto start = [&](view<T, 2> out) {
      // Xc^T G, G (N,width) of independent normal numbers: half a product ahead of a start with G (D,width)
      const std::size_t width = out.extent(1);
      sketch = buffer<T>(n * width);
      const philox random(options.seed, 0x9ca);
      for_each_tile(x.device(), n, [&](std::size_t i, std::size_t) {
        for (std::size_t j = 0; j < width; j += 2) {
          const auto [first, second] = random_pair(random, (i * width + j) / 2 + i);
          sketch[i * width + j] = static_cast<T>(first);
          if (j + 1 < width) sketch[i * width + j + 1] = static_cast<T>(second);
        }
      });
      x.transposed_product(view<const T, 2>(sketch.data(), {n, width}), out);
    };
    auto found = block_krylov<T>(
        d, k, krylov, x.products(), dense, [&](view<const T, 2> q, view<T, 2> out) { x.normal_product(q, out); },
        start);

    leading_spectrum<T> result;
    result.total = krylov.total;
    result.squares = std::move(found.values);
    result.rows = std::move(found.vectors);
    result.converged = found.converged || options.n_iter.has_value();
    result.products = found.steps;
    result.width = krylov.width;
    result.next_square = found.next;
    const std::size_t rank = result.squares.size();
    detail::complete(result, rank, k, d);
    const std::size_t q = result.products > 0 ? result.products - 1 : 0;
    if (krylov.width >= k + 2) {
      result.error_bound = halko_bound(n, d, krylov.width, k, q, std::sqrt(found.next));
    } else if (krylov.width > 2) {
      // a narrow block: the bound holds for the rank that it oversamples
      const std::size_t covered = krylov.width / 2;
      const double s = covered < rank ? std::sqrt(result.squares[covered]) : std::sqrt(found.next);
      result.error_bound = halko_bound(n, d, krylov.width, covered, q, s);
    }
    return result;
  }

 private:
  /// Two independent normal numbers (Box and Muller) from draws 2i and 2i + 1.
  static std::pair<double, double> random_pair(const philox& random, std::size_t i) {
    const double radius = std::sqrt(-2 * std::log(1 - random.uniform_at(2 * i)));
    const double angle = 2 * std::numbers::pi * random.uniform_at(2 * i + 1);
    return {radius * std::cos(angle), radius * std::sin(angle)};
  }
};

}  // namespace hocket::linalg
