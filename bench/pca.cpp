// Every solver of the PCA on one thread, over data with a power-law spectrum. What a solver leaves out is compared with
// the least that k components can leave out before it is timed. bench/peers times the large sizes beside other
// libraries.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/kernels/dense/engine.hpp>
#include <hocket/linalg/pca.hpp>

#include "bench/support/bench.hpp"

namespace {

using hocket::view;
using hocket::bench::ready;
using namespace hocket::linalg;

struct size {
  std::size_t n, d, k;
};

/// x (n,d): normal numbers, column j of deviation 1 / (j + 1).
template <class T>
struct data {
  explicit data(const size& s) : values(hocket::bench::normal_values<T>(s.n * s.d, 1)), x(values.data(), {s.n, s.d}) {
    for (std::size_t e = 0; e < values.size(); ++e) values[e] /= static_cast<T>(e % s.d + 1);
  }
  std::vector<T> values;
  view<const T, 2> x;
};

/// The centred data in f64, and the sum of its squares.
struct centred {
  template <class T>
  explicit centred(const view<const T, 2>& x) : values(x.size()) {
    const std::size_t n = x.extent(0), d = x.extent(1);
    std::vector<double> mean(d);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < d; ++j) mean[j] += static_cast<double>(x(i, j)) / static_cast<double>(n);
    for (std::size_t i = 0; i < n; ++i)
      for (std::size_t j = 0; j < d; ++j) {
        const double value = static_cast<double>(x(i, j)) - mean[j];
        values[i * d + j] = value;
        total += value * value;
      }
  }
  std::vector<double> values;
  double total = 0;
};

/// The sum of the k largest squared singular values: eigenvalues of the smaller product, made as plain sums.
double most_captured(const centred& x, const size& s) {
  const std::size_t r = std::min(s.n, s.d);
  std::vector<double> product(r * r), largest(s.k);
  for (std::size_t p = 0; p < std::max(s.n, s.d); ++p)
    for (std::size_t i = 0; i < r; ++i) {
      const auto value = [&](std::size_t j) { return s.d <= s.n ? x.values[p * s.d + j] : x.values[j * s.d + p]; };
      for (std::size_t j = 0; j < r; ++j) product[i * r + j] += value(i) * value(j);
    }
  const auto dense = hocket::kernels::dense::find_engine<double>("best");
  std::vector<double> vectors(s.k * r), workspace(dense.eigen_workspace(r, s.k));
  hocket::expects(dense.eigen(r, s.k, product.data(), largest.data(), vectors.data(), workspace.data()),
                  hocket::errc::bad_value, "the eigenproblem of the check did not converge");
  double sum = 0;
  for (const double value : largest) sum += value;
  return sum;
}

/// What the components leave out, against the least possible, and how far they are from orthonormal.
template <class T>
hocket::comparison check(const pca_model<T>& model, const data<T>& given, const size& s, double excess) {
  const centred x(given.x);
  hocket::comparison result;
  double captured = 0;
  for (std::size_t c = 0; c < s.k; ++c) {
    const T* row = model.components.data() + c * s.d;
    for (std::size_t i = 0; i < s.n; ++i) {
      double score = 0;
      for (std::size_t j = 0; j < s.d; ++j) score += x.values[i * s.d + j] * static_cast<double>(row[j]);
      captured += score * score;
    }
    for (std::size_t other = 0; other <= c; ++other) {
      double dot = 0;
      for (std::size_t j = 0; j < s.d; ++j)
        dot += static_cast<double>(row[j]) * static_cast<double>(model.components[other * s.d + j]);
      result.add(std::abs(dot - (other == c ? 1 : 0)), 8 * hocket::rounding<T>(std::sqrt(static_cast<double>(s.d))));
    }
  }
  const double least = x.total - most_captured(x, s);
  result.add(std::abs(x.total - captured - least),
             excess * least + hocket::rounding<T>(x.total * static_cast<double>(s.k)));
  return result;
}

template <class T>
ready prepare(pca_solver solver, const size& s) {
  const auto given = std::make_shared<data<T>>(s);
  pca_options options;
  options.solver = solver;
  options.k = hocket::text(s.k);
  // the tolerance of randomized; incremental cuts to k components after every batch, so it may lose a little
  const double excess = solver == pca_solver::incremental ? 0.1 : options.tolerance;
  ready made;
  made.check = check<T>(pca_fit<T>(given->x, options), *given, s, excess);
  made.run = [=] { pca_fit<T>(given->x, options); };
  return made;
}

template <class T>
void add_arms() {
  for (const size& s : {size{1797, 64, 16}, size{300, 2000, 16}, size{2000, 512, 32}})
    for (const auto& [solver, name] : hocket::enum_names<pca_solver>::values) {
      if (solver == pca_solver::automatic) continue;                // one of the others
      if (solver == pca_solver::gram && s.n > s.d) continue;        // the larger problem
      if (solver == pca_solver::covariance && s.d > s.n) continue;  // the larger problem
      hocket::bench::subjects().push_back({"pca", hocket::text("n=", s.n, "/d=", s.d, "/k=", s.k), std::string(name),
                                           std::string(name_of(hocket::dtype_of<T>)), 0,
                                           static_cast<double>(s.n * s.d * sizeof(T)), static_cast<double>(s.n), "rows",
                                           [solver = solver, s] { return prepare<T>(solver, s); }});
    }
}

const bool registered = hocket::bench::register_operation([] {
  add_arms<float>();
  add_arms<double>();
});

}  // namespace
