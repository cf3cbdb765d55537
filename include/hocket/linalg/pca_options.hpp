// What a PCA is asked for and what it answers.
#pragma once

#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>
#include <hocket/core/view.hpp>

namespace hocket::linalg {

enum class pca_solver { automatic, full, covariance, gram, randomized, incremental };

}  // namespace hocket::linalg

namespace hocket {
template <>
struct enum_names<linalg::pca_solver> {
  using s = linalg::pca_solver;
  static constexpr std::array values = {std::pair{s::automatic, std::string_view{"auto"}},
                                        std::pair{s::full, std::string_view{"full"}},
                                        std::pair{s::covariance, std::string_view{"covariance"}},
                                        std::pair{s::gram, std::string_view{"gram"}},
                                        std::pair{s::randomized, std::string_view{"randomized"}},
                                        std::pair{s::incremental, std::string_view{"incremental"}}};
};
}  // namespace hocket

namespace hocket::linalg {

struct pca_options {
  pca_solver solver = pca_solver::automatic;
  std::string k = "all";
  bool whiten = false;
  std::uint64_t seed = 0;
  std::size_t oversample = 10;
  std::optional<std::size_t> n_iter = std::nullopt;
  double tolerance = 1e-4;
  std::optional<std::size_t> batch_rows = std::nullopt;
  std::string gemm = "best";
  std::string dense = "best";

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("solver", self.solver,
          "auto, full, covariance, gram, randomized or incremental; docs/pca.md states the choice");
    visit("k", self.k, "components: a count, a share of the variance below 1 (0.95), or all");
    visit("whiten", self.whiten, "scores are divided by their standard deviation");
    visit("seed", self.seed, "randomized: the start block; the same seed gives the same bits");
    visit("oversample", self.oversample, "randomized: dimensions beyond k, at least 2 (Halko's p)");
    visit("n_iter", self.n_iter,
          "randomized: power iterations with k + oversample columns; none: until tolerance is met");
    visit("tolerance", self.tolerance, "randomized without n_iter: (residual - optimal residual) / optimal residual");
    visit("batch_rows", self.batch_rows, "incremental: rows per step; none: 5 D");
    visit("gemm", self.gemm, "product engine: best, own, blas, onednn, eigen");
    visit("dense", self.dense, "eigenvalue and SVD engine: best, own, lapack, eigen");
  }
};

/// The number of components asked for: a count, or a share of the variance.
struct pca_rank {
  std::size_t count = 0;  ///< 0 when `share` decides
  double share = 0;       ///< in (0, 1): the least count whose cumulative variance ratio exceeds it
};

/// Reads options.k for min(N, D) = `most`; bad_option when it is malformed or larger than `most`.
inline pca_rank parse_rank(std::string_view k, std::size_t most) {
  if (k == "all") return {most, 0};
  const char *first = k.data(), *last = k.data() + k.size();
  std::size_t count = 0;
  if (const auto done = std::from_chars(first, last, count); done.ec == std::errc{} && done.ptr == last) {
    expects(count >= 1 && count <= most, errc::bad_option, "k=", k, ": the data have min(rows, columns) = ", most,
            " components; choose 1 to ", most);
    return {count, 0};
  }
  double share = 0;
  const auto done = std::from_chars(first, last, share);
  expects(done.ec == std::errc{} && done.ptr == last && share > 0 && share < 1, errc::bad_option, "k=", k,
          ": expected a count >= 1, a share of the variance between 0 and 1 (such as 0.95), or all");
  return {0, share};
}

/// A fitted PCA: R components of D features.
template <Real T>
struct pca_model {
  std::size_t n_samples = 0, n_features = 0, n_components = 0;
  std::vector<T> mean;                      ///< (D)
  std::vector<T> components;                ///< (R,D) orthonormal rows; the largest |element| of each is positive
  std::vector<T> explained_variance;        ///< (R) squared singular values / (N - 1)
  std::vector<T> explained_variance_ratio;  ///< (R)
  std::vector<T> singular_values;           ///< (R)
  double total_variance = 0;                ///< of all D features together
  double noise_variance = 0;                ///< mean of the min(N, D) - R variances left out; 0 when none is
  bool whiten = false;

  pca_solver solver = pca_solver::automatic;  ///< the one that ran
  std::string why;                            ///< why that one, in a sentence
  double residual = 0;                        ///< share of the variance that the R components leave out
  bool converged = true;                      ///< randomized: the tolerance was met
  std::size_t products = 0;                   ///< randomized: products with Xc^T Xc
  std::size_t width = 0;                      ///< randomized: columns of a block
  std::optional<double>
      next_singular_value;            ///< estimate of number R + 1, the least spectral error that R components allow
  std::optional<double> error_bound;  ///< randomized: Halko's bound on the expected spectral error

  view<const T, 2> component_rows() const { return {components.data(), {n_components, n_features}}; }
};

}  // namespace hocket::linalg
