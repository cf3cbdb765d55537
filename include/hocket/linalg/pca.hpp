// Principal component analysis of the rows of a matrix (N,D): fit, scores, reconstruction. Solvers, their choice and
// their accuracy: docs/pca.md.
//
//   auto model = hocket::linalg::pca_fit<float>(x, {.k = "32"}, hocket::cpu{2});
//   hocket::linalg::pca_transform(model, x, scores);  // (N,32)
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include <hocket/linalg/incremental_pca.hpp>
#include <hocket/linalg/pca_model.hpp>
#include <hocket/linalg/pca_options.hpp>
#include <hocket/linalg/pca_solvers/covariance.hpp>
#include <hocket/linalg/pca_solvers/full.hpp>
#include <hocket/linalg/pca_solvers/gram.hpp>
#include <hocket/linalg/pca_solvers/randomized.hpp>

namespace hocket::linalg {

/// A solver and the reason it was chosen.
struct pca_choice {
  pca_solver solver;
  std::string why;
};

/// Multiply-adds up to which `auto` takes an exact solver whatever k is: less than a tenth of a second.
inline constexpr double exact_solver_limit = 1e9;

/// The automatic choice for N rows of D features and k components (0: by share of variance). An exact solver (full,
/// covariance, gram) wherever that is cheap; randomized, which is only as exact as its tolerance, where it saves time
/// on a problem that would take long. docs/pca.md has the rule and what it was measured on.
inline pca_choice choose_pca_solver(std::size_t n, std::size_t d, std::size_t k) {
  const double rows = static_cast<double>(n), columns = static_cast<double>(d);
  const double least = std::min(rows, columns);
  const std::string size = text(n, " x ", d);
  // multiply-adds; an eigenproblem's run at about an eighth of a product's speed
  const double squared = rows * columns * least / 2 + 8 * 4.0 / 3 * least * least * least;
  const double width = std::clamp<double>((static_cast<double>(k) / 2 + 15), 16, 128);
  const double iterated = 8 * 2 * rows * columns * width;
  if (squared > exact_solver_limit && k > 0 && static_cast<double>(k) <= 0.2 * least && iterated < squared)
    return {pca_solver::randomized,
            text("k = ", k, " of ", size, ": few products with the data are cheaper than squaring them")};
  if (rows * columns * least <= 3e7)
    return {pca_solver::full, text(size, " is small: the most accurate solver costs nothing")};
  if (d <= n)
    return {pca_solver::covariance, text(size, ": D <= N, the ", d, " x ", d, " covariance is the smaller problem")};
  return {pca_solver::gram, text(size, ": N < D, the ", n, " x ", n, " Gram matrix is the smaller problem")};
}

/// Fits x (N,D), N >= 2. Refuses NaN and infinity with row and column. The same input and options give the same bits
/// for any device.threads.
template <Real T>
pca_model<T> pca_fit(view<const T, 2> x, const pca_options& options = {}, const cpu& device = {}) {
  const std::size_t n = x.extent(0), d = x.extent(1);
  expects(n >= 2 && d >= 1, errc::unsupported_shape, "a PCA needs at least 2 rows and 1 column, the data are ", n,
          " x ", d);
  expects(x.data() != nullptr, errc::bad_pointer, "pca_fit: the data pointer is null");
  expects(options.oversample >= 2, errc::bad_option, "oversample=", options.oversample, ": at least 2");
  expects(options.tolerance > 0, errc::bad_option, "tolerance=", options.tolerance, ": must be positive");
  expects(!options.batch_rows || *options.batch_rows >= 1, errc::bad_option, "batch_rows=0: at least 1");
  require_threads(device);
  const pca_rank rank = parse_rank(options.k, std::min(n, d));
  pca_choice choice{options.solver, "asked for"};
  if (options.solver == pca_solver::automatic) choice = choose_pca_solver(n, d, rank.count);
  expects(choice.solver != pca_solver::randomized || rank.count > 0, errc::bad_option, "k=", options.k,
          ": a share of the variance needs the whole spectrum; randomized takes a count or all");

  if (choice.solver == pca_solver::incremental) {
    incremental_pca<T> steps(options, device);
    const std::size_t batch = options.batch_rows.value_or(5 * d);
    expects(rank.count == 0 || options.k == "all" || batch >= rank.count, errc::bad_option, "batch_rows=", batch,
            ": a batch must have at least k = ", rank.count, " rows");
    for (std::size_t first = 0; first < n;) {
      // a last batch of fewer than k rows joins the one before
      std::size_t count = std::min(batch, n - first);
      if (n - first - count < std::max<std::size_t>(rank.count, 1) && options.k != "all") count = n - first;
      steps.partial_fit(x.rows(first, count));
      first += count;
    }
    return steps.model();
  }

  centred_matrix<T> centred(x, {options.gemm}, device);
  const std::size_t k = rank.count > 0 ? rank.count : std::min(n, d);
  const auto solve = [&](pca_solver solver) -> leading_spectrum<T> {
    static_assert(PcaSolver<full_solver, T> && PcaSolver<covariance_solver, T> && PcaSolver<gram_solver, T> &&
                  PcaSolver<randomized_solver, T>);
    switch (solver) {
      case pca_solver::full: return full_solver::solve(centred, k, options);
      case pca_solver::covariance: return covariance_solver::solve(centred, k, options);
      case pca_solver::gram: return gram_solver::solve(centred, k, options);
      default: return randomized_solver::solve(centred, k, options);
    }
  };
  leading_spectrum<T> found = solve(choice.solver);
  if (options.solver == pca_solver::automatic && !found.converged) {
    choice.solver = d <= n ? pca_solver::covariance : pca_solver::gram;
    choice.why =
        text("the spectrum is so flat that ", found.products, " products did not reach tolerance=", options.tolerance);
    found = solve(choice.solver);
  }
  pca_model<T> model = detail::make_model<T>(n, centred.mean(), std::move(found), rank, options);
  model.solver = choice.solver;
  model.why = std::move(choice.why);
  return model;
}

namespace detail {

/// Scale of score i when whitening: its standard deviation, at least the smallest that can be divided by.
template <Real T>
T score_scale(const pca_model<T>& model, std::size_t i) {
  return std::max(std::sqrt(model.explained_variance[i]), std::numeric_limits<T>::epsilon());
}

inline constexpr std::size_t score_rows = 128;  ///< rows of a tile

}  // namespace detail

/// scores (N,R) = (x - mean) components^T, divided by their standard deviations when the model whitens. x (N,D).
template <Real T>
void pca_transform(const pca_model<T>& model, view<const T, 2> x, view<T, 2> scores, const gemm_options& engine = {},
                   const cpu& device = {}) {
  const std::size_t n = x.extent(0), d = model.n_features, r = model.n_components;
  expects(x.extent(1) == d, errc::unsupported_shape, "pca_transform: rows have ", x.extent(1),
          " features, the PCA has ", d);
  expects(scores.extent(0) == n && scores.extent(1) == r, errc::unsupported_shape, "pca_transform: scores are ",
          to_text(scores.extents()), ", expected ", n, " x ", r);
  gemm_plan<T> products(engine, device);
  std::vector<T> turned(d * r), none(d, T(0));
  for (std::size_t i = 0; i < r; ++i) {
    const T scale = model.whiten ? 1 / detail::score_scale(model, i) : T(1);
    for (std::size_t j = 0; j < d; ++j) turned[j * r + i] = scale * model.components[i * d + j];
  }
  const std::size_t tiles = (n + detail::score_rows - 1) / detail::score_rows;
  std::vector<buffer<T>> centred(static_cast<std::size_t>(device.threads));
  for (auto& tile : centred) tile = buffer<T>(detail::score_rows * d);
  for_each_tile(device, tiles, [&](std::size_t index, std::size_t worker) {
    const std::size_t first = index * detail::score_rows, count = std::min(detail::score_rows, n - first);
    T* tile = centred[worker].data();
    kernels::centre::subtract<T>(count, d, x.data() + first * x.stride(0), x.stride(0), model.mean.data(), none.data(),
                                 tile, d);
    if (!std::isfinite(kernels::centre::squares<T>(count, d, tile, d))) require_finite(x.rows(first, count), first);
    products.tile({count, r, d, false, false, d, r, scores.stride(0)}, T(1), tile, turned.data(), T(0),
                  scores.data() + first * scores.stride(0), worker);
  });
}

/// x (N,D) = scores components + mean, undoing whitening: the nearest point that R components can express.
template <Real T>
void pca_inverse_transform(const pca_model<T>& model, view<const T, 2> scores, view<T, 2> x,
                           const gemm_options& engine = {}, const cpu& device = {}) {
  const std::size_t n = scores.extent(0), d = model.n_features, r = model.n_components;
  expects(scores.extent(1) == r, errc::unsupported_shape, "pca_inverse_transform: rows have ", scores.extent(1),
          " scores, the PCA has ", r, " components");
  expects(x.extent(0) == n && x.extent(1) == d, errc::unsupported_shape, "pca_inverse_transform: x is ",
          to_text(x.extents()), ", expected ", n, " x ", d);
  gemm_plan<T> products(engine, device);
  std::vector<T> scaled(model.components);
  if (model.whiten)
    for (std::size_t i = 0; i < r; ++i)
      for (std::size_t j = 0; j < d; ++j) scaled[i * d + j] *= detail::score_scale(model, i);
  for (std::size_t i = 0; i < n; ++i) std::copy(model.mean.begin(), model.mean.end(), &x(i, 0));
  products.run(T(1), scores, transpose::no, view<const T, 2>(scaled.data(), {r, d}), transpose::no, T(1), x);
}

}  // namespace hocket::linalg

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in linalg/instances.cpp
namespace hocket::linalg {
HOCKET_LINALG_INSTANCE pca_model<float> pca_fit<float>(view<const float, 2>, const pca_options&, const cpu&);
HOCKET_LINALG_INSTANCE pca_model<double> pca_fit<double>(view<const double, 2>, const pca_options&, const cpu&);
HOCKET_LINALG_INSTANCE void pca_transform<float>(const pca_model<float>&, view<const float, 2>, view<float, 2>,
                                                 const gemm_options&, const cpu&);
HOCKET_LINALG_INSTANCE void pca_transform<double>(const pca_model<double>&, view<const double, 2>, view<double, 2>,
                                                  const gemm_options&, const cpu&);
HOCKET_LINALG_INSTANCE void pca_inverse_transform<float>(const pca_model<float>&, view<const float, 2>, view<float, 2>,
                                                         const gemm_options&, const cpu&);
HOCKET_LINALG_INSTANCE void pca_inverse_transform<double>(const pca_model<double>&, view<const double, 2>,
                                                          view<double, 2>, const gemm_options&, const cpu&);
}  // namespace hocket::linalg
#endif
