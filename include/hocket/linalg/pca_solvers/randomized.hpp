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
    // Xc^T G, G (N,width) of independent numbers: half a product ahead of a start with G (D,width), and the pass over
    // the data yields their total variance too. The bound is proved for normal numbers; uniform ones cost a tenth.
    const philox random(options.seed, 0x9ca);
    buffer<T> sketch(n * krylov.width);
    for_each_tile(x.device(), (n + 63) / 64, [&](std::size_t block, std::size_t) {
      for (std::size_t e = block * 64 * krylov.width; e < std::min(n, block * 64 + 64) * krylov.width; ++e)
        sketch[e] = static_cast<T>(options.n_iter ? random.normal_at(e) : uniform(random, e));
    });
    buffer<T> first(d * krylov.width);
    const view<T, 2> first_block(first.data(), {d, krylov.width});
    x.transposed_product(view<const T, 2>(sketch.data(), {n, krylov.width}), first_block);
    krylov.total = x.squares();
    const auto start = [&](view<T, 2> out) { std::copy_n(first.data(), d * krylov.width, out.data()); };
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
  /// Number e of a stream of uniform numbers in (-1/2, 1/2): two from each draw.
  static double uniform(const philox& random, std::size_t e) {
    const std::uint64_t bits = random.bits_at(e / 2);
    const auto half = static_cast<std::uint32_t>(e % 2 == 0 ? bits >> 32 : bits);
    return (static_cast<double>(half) + 0.5) * 0x1p-32 - 0.5;
  }
};

}  // namespace hocket::linalg
