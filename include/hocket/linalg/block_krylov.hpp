// The k leading eigenpairs of a symmetric positive semi-definite operator from few products: randomised block Krylov
// iteration (Musco and Musco, "Randomized block Krylov methods for stronger and faster approximate singular value
// decomposition", 2015) in Lanczos form: every block is orthogonalised against all earlier ones, and the Rayleigh-Ritz
// matrix falls out of that. The span holds the subspace iteration of Halko, Martinsson and Tropp (SIAM Review 53, 2011)
// of the same width and number of products, so their error bound holds here too.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/dense/engine.hpp>
#include <hocket/linalg/gemm.hpp>

namespace hocket::linalg {

struct krylov_options {
  std::size_t width = 0;  ///< columns of a block
  std::size_t steps = 0;  ///< products at most
  std::size_t least = 0;  ///< dimensions of the span before it may stop
  double tolerance = 0;   ///< stop when the estimated excess residual is below; 0: all steps
  double total = 0;       ///< trace of the operator, for the residual
  std::uint64_t seed = 0;
};

template <Real T>
struct krylov_result {
  std::vector<double> values;  ///< (k') falling, k' = min(k, dimensions of the span)
  std::vector<T> vectors;      ///< (k',D) orthonormal rows
  double next = 0;             ///< Ritz value k + 1: estimate of the largest eigenvalue left out
  std::size_t steps = 0;       ///< products that were made
  std::size_t dimensions = 0;  ///< of the span
  double excess = 0;           ///< estimated (residual - optimal) / optimal when it stopped
  bool converged = false;      ///< the estimate fell below the tolerance, or the span is invariant
};

namespace detail {

/// Gram-type products of tall matrices with sums in f64 over fixed blocks of rows.
template <Real T>
class tall_products {
 public:
  tall_products(std::size_t d, std::size_t most_columns, const cpu& device)
      : d_(d), device_(device), blocks_((d + block - 1) / block), parts_(blocks_ * most_columns * most_columns) {
    for (int worker = 0; worker < device.threads; ++worker) {
      scratch_.emplace_back(kernels::gemm::workspace_size);
      wide_.emplace_back(block * most_columns);
    }
  }

  /// w^T w (b,b) with products and sums in f64.
  std::vector<double> gram(view<const T, 2> w) {
    const std::size_t b = w.extent(1);
    for_each_tile(device_, blocks_, [&](std::size_t index, std::size_t worker) {
      const std::size_t first = index * block, count = std::min(block, d_ - first);
      double* rows = wide_[worker].data();
      for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = 0; j < b; ++j) rows[i * b + j] = static_cast<double>(w(first + i, j));
      kernels::gemm::own<double>({b, b, count, true, false, b, b, b}, 1.0, rows, rows, 0.0,
                                 parts_.data() + index * b * b, scratch_[worker].data());
    });
    std::vector<double> sum(b * b);
    for (std::size_t index = 0; index < blocks_; ++index)
      for (std::size_t e = 0; e < b * b; ++e) sum[e] += parts_[index * b * b + e];
    return sum;
  }

 private:
  static constexpr std::size_t block = 512;
  std::size_t d_;
  cpu device_;
  std::size_t blocks_;
  std::vector<double> parts_;
  std::vector<buffer<double>> scratch_, wide_;
};

}  // namespace detail

/// `apply(q, out)` sets out (D,b) to the operator times q (D,b). `start(out)` fills the first block (D,b).
template <Real T, class Apply, class Start>
krylov_result<T> block_krylov(std::size_t d, std::size_t k, const krylov_options& options, gemm_plan<T>& products,
                              const kernels::dense::engine<double>& dense, Apply&& apply, Start&& start) {
  const cpu device = products.device();
  const std::size_t width = std::min(options.width, d);
  const std::size_t capacity = std::min(d, width * options.steps);
  constexpr std::size_t row_block = 256;
  const std::size_t row_blocks = (d + row_block - 1) / row_block;

  buffer<T> basis_storage(d * capacity), next_storage(d * width), spare_storage(d * width);
  buffer<T> partial(row_blocks * capacity * width), coefficients(capacity * width);
  const view<T, 2> basis(basis_storage.data(), {d, capacity});
  const auto columns_of = [&](std::size_t first, std::size_t count) {
    return view<T, 2>(basis_storage.data() + first, {d, count}, {capacity, std::size_t{1}});
  };
  detail::tall_products<T> tall(d, width, device);
  std::vector<double> projected(capacity * capacity);  // Rayleigh-Ritz matrix basis^T A basis

  // removes from w its part in the first m basis vectors; adds the coefficients to rows of `into` from column `column`
  const auto project = [&](std::size_t m, view<T, 2> w, double* into, std::size_t column) {
    const std::size_t b = w.extent(1);
    for_each_tile(device, row_blocks, [&](std::size_t index, std::size_t worker) {
      const std::size_t first = index * row_block, count = std::min(row_block, d - first);
      products.tile({m, b, count, true, false, capacity, w.stride(0), b}, T(1), basis.data() + first * capacity,
                    w.data() + first * w.stride(0), T(0), partial.data() + index * m * b, worker);
    });
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < b; ++j) {
        double sum = 0;
        for (std::size_t index = 0; index < row_blocks; ++index)
          sum += static_cast<double>(partial[index * m * b + i * b + j]);
        coefficients[i * b + j] = static_cast<T>(sum);
        if (into) into[i * capacity + column + j] += sum;
      }
    products.run(T(-1), columns_of(0, m), transpose::no, view<const T, 2>(coefficients.data(), {m, b}), transpose::no,
                 T(1), w);
  };

  // w (D,b) -> orthonormal columns of the basis from m on; returns how many directions were left. Directions are those
  // of the Gram matrix's eigenvectors, so dependent columns drop out: in the first pass those of rounding size, later
  // those that a further projection takes away, which were rounding along the basis and nothing else.
  const auto orthonormalise = [&](view<T, 2> w, std::size_t m, double floor) {
    std::size_t kept = w.extent(1);
    view<T, 2> from = w;
    for (int pass = 0; pass < 5; ++pass) {
      const std::size_t b = from.extent(1);
      if (pass > 0 && m > 0) project(m, from, nullptr, 0);
      std::vector<double> gram = tall.gram(from), scale(b, 1.0), values(b), vectors(b * b);
      // Later passes take the lengths as they are: to bring them back to 1 would bring rounding back to life.
      if (pass == 0)
        for (std::size_t j = 0; j < b; ++j) scale[j] = gram[j * b + j] > floor ? 1 / std::sqrt(gram[j * b + j]) : 0;
      for (std::size_t i = 0; i < b; ++i)
        for (std::size_t j = 0; j < b; ++j) gram[i * b + j] *= scale[i] * scale[j];
      std::vector<double> workspace(dense.eigen_workspace(b, b));
      if (!dense.eigen(b, b, gram.data(), values.data(), vectors.data(), workspace.data())) return std::size_t{0};
      // columns are unit vectors: an eigenvalue of rounding size is a dependence
      const double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
      const double rounding = 4 * epsilon * static_cast<double>(b);
      kept = 0;
      while (kept < b && values[kept] > (pass == 0 ? rounding * rounding : 0.01)) ++kept;
      kept = std::min(kept, capacity - m);
      if (kept == 0) return kept;
      std::vector<T> turn(b * kept);
      for (std::size_t i = 0; i < b; ++i)
        for (std::size_t j = 0; j < kept; ++j)
          turn[i * kept + j] = static_cast<T>(scale[i] * vectors[j * b + i] / std::sqrt(values[j]));
      // what a projection shortened has rounding along the basis again: once more
      const bool last = pass > 0 && (values[kept - 1] > 0.5 || pass == 4);
      T* spare = from.data() == spare_storage.data() ? next_storage.data() : spare_storage.data();
      const view<T, 2> to = last ? columns_of(m, kept) : view<T, 2>(spare, {d, kept});
      products.run(T(1), from, transpose::no, view<const T, 2>(turn.data(), {b, kept}), transpose::no, T(0), to);
      from = to;
      if (last) break;
    }
    return kept;
  };

  krylov_result<T> result;
  const view<T, 2> w(next_storage.data(), {d, width});
  start(w);
  std::size_t first = 0, count = orthonormalise(w, 0, 0);
  double sum_before = 0, gain_before = 0;
  int checks = 0;
  std::vector<double> ritz;
  const auto ritz_values = [&](std::size_t m, std::size_t wanted, double* vectors) {
    std::vector<double> small(m * m), workspace(dense.eigen_workspace(m, wanted));
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < m; ++j)
        small[i * m + j] = (projected[i * capacity + j] + projected[j * capacity + i]) / 2;
    ritz.assign(wanted, 0);
    const bool ok = dense.eigen(m, wanted, small.data(), ritz.data(), vectors, workspace.data());
    expects(ok, errc::bad_value, "the Rayleigh-Ritz problem of ", m, " dimensions did not converge; scale the data");
  };
  while (count > 0 && result.steps < options.steps) {
    const view<T, 2> out(next_storage.data(), {d, count});
    apply(view<const T, 2>(columns_of(first, count)), out);
    ++result.steps;
    const std::size_t m = first + count;
    project(m, out, projected.data(), first);
    // only the newest columns' upper part is measured; the lower part is its mirror image
    for (std::size_t i = 0; i < first; ++i)
      for (std::size_t j = first; j < m; ++j) projected[j * capacity + i] = projected[i * capacity + j];
    result.dimensions = m;
    if (m >= k && m >= options.least && options.tolerance > 0) {
      ritz_values(m, std::min(k, m), nullptr);
      double sum = 0;
      for (const double value : ritz) sum += value;
      const double gain = sum - sum_before, residual = std::max(options.total - sum, 0.0);
      const double noise = options.total * static_cast<double>(std::numeric_limits<T>::epsilon());
      ++checks;
      if (checks > 1) {
        // gains fall at least geometrically, so what is still to come is less than gain * r / (1 - r); a first gain has
        // no ratio yet and is taken to be halved
        const double r = checks > 2 ? std::clamp(gain / gain_before, 0.0, 0.9) : 0.5;
        const double to_come = std::max(gain, 0.0) * r / (1 - r);
        result.excess = residual > to_come ? to_come / (residual - to_come) : 0;
        if (to_come <= options.tolerance * (residual - to_come) || gain <= noise) {
          result.converged = true;
          break;
        }
        gain_before = std::max(gain, std::numeric_limits<double>::min());
      }
      sum_before = sum;
    }
    if (result.steps == options.steps || m >= capacity) break;
    double largest = 0;
    for (std::size_t i = 0; i < m; ++i) largest = std::max(largest, projected[i * capacity + i]);
    const double rounding_floor = largest * static_cast<double>(std::numeric_limits<T>::epsilon());
    first = m;
    count = orthonormalise(out, m, rounding_floor * rounding_floor);
    if (count == 0) result.converged = true;  // the span is invariant: its Ritz pairs are eigenpairs
  }

  const std::size_t m = result.dimensions, wanted = std::min(k + 1, m), found = std::min(k, m);
  if (m == d) result.converged = true;
  if (m > 0) {
    std::vector<double> rows(wanted * m);
    ritz_values(m, wanted, rows.data());
    result.next = wanted > found ? std::max(ritz[found], 0.0) : 0;
    result.values.assign(ritz.begin(), ritz.begin() + static_cast<std::ptrdiff_t>(found));
    result.vectors.resize(found * d);
    std::vector<T> turn(rows.size());
    std::transform(rows.begin(), rows.end(), turn.begin(), [](double value) { return static_cast<T>(value); });
    products.run(T(1), view<const T, 2>(turn.data(), {found, m}), transpose::no, columns_of(0, m), transpose::yes, T(0),
                 view<T, 2>(result.vectors.data(), {found, d}));
  }
  return result;
}

}  // namespace hocket::linalg
