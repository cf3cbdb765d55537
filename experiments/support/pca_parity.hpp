// PCA's part of the parity table: every solver against scikit-learn on the cases of tests/oracles/pca
// (make_oracles.py). One row per output and dtype; tests assert every row, the `parity` verb records them.
//
//   f64   |ours - scikit-learn in f64| <= 1e-8 of the output's largest value
//   f32   |ours in f32 - scikit-learn in f64| <= 2 x scikit-learn's own f32 error in that case (the 2x rule), with a
//   floor
//         of epsilon x the largest value of the output and of the data
// Components are compared element by element: both follow the sign rule of scikit-learn >= 1.5.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <hocket/core/tolerance.hpp>
#include <hocket/linalg/pca.hpp>
#include <hocket/measure/record.hpp>

namespace hocket::parity {

/// What is asked of f64, relative to the output's own scale.
inline constexpr double pca_f64_bound = 1e-8;

/// One fitted matrix of the oracle with the peer's answers.
struct pca_case {
  std::string name, solver, version;
  linalg::pca_options options;
  std::size_t n = 0, d = 0;
  std::map<std::string, std::vector<double>> arrays;  ///< "x", and "components64", "components32", ...
};

/// Reads tests/oracles/pca/pca.txt; bad_file when it is missing or cut short.
inline std::vector<pca_case> read_pca_cases(const std::string& path) {
  std::ifstream file(path);
  expects(file.good(), errc::bad_file, path, ": cannot be read; tests/oracles/pca/make_oracles.py writes it");
  const std::map<std::string, linalg::pca_solver> solvers{{"full", linalg::pca_solver::full},
                                                          {"covariance_eigh", linalg::pca_solver::covariance},
                                                          {"incremental", linalg::pca_solver::incremental}};
  std::vector<pca_case> cases;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key;
    words >> key;
    if (key == "case") {
      pca_case next;
      int whiten = 0;
      std::size_t batch = 0;
      words >> next.name >> next.solver >> next.options.k >> whiten >> batch >> next.n >> next.d >> next.version;
      next.options.solver = solvers.at(next.solver);
      next.options.whiten = whiten != 0;
      if (batch > 0) next.options.batch_rows = batch;
      cases.push_back(std::move(next));
    } else {
      std::size_t count = 0;
      words >> count;
      std::vector<double> values(count);
      for (double& value : values) {
        words >> value;
        if (key == "x") value = static_cast<double>(static_cast<float>(value));  // nine digits name a f32 number
      }
      expects(!words.fail() && !cases.empty(), errc::bad_file, path, ": array ", key, " is cut short");
      cases.back().arrays[key] = std::move(values);
    }
  }
  return cases;
}

/// Our answers under the oracle's names.
template <Real T>
std::map<std::string, std::vector<double>> run_pca_case(const pca_case& given) {
  const std::vector<T> x(given.arrays.at("x").begin(), given.arrays.at("x").end());
  const view<const T, 2> data(x.data(), {given.n, given.d});
  const auto model = linalg::pca_fit<T>(data, given.options);
  std::vector<T> scores(given.n * model.n_components);
  linalg::pca_transform(model, data, view<T, 2>(scores.data(), {given.n, model.n_components}));
  const auto wide = [](const std::vector<T>& values) { return std::vector<double>(values.begin(), values.end()); };
  return {{"mean", wide(model.mean)},
          {"components", wide(model.components)},
          {"variance", wide(model.explained_variance)},
          {"ratio", wide(model.explained_variance_ratio)},
          {"singular", wide(model.singular_values)},
          {"noise", {model.noise_variance}},
          {"scores", wide(scores)}};
}

/// Adds one case to the rows of a dtype.
template <Real T>
void add_pca_case(const pca_case& given, std::map<std::string, measure::parity_row>& rows) {
  const double largest_input = max_abs(given.arrays.at("x").data(), given.arrays.at("x").size());
  for (const auto& [what, ours] : run_pca_case<T>(given)) {
    // scikit-learn's incremental noise variance is that of the last batch's stack, ours that of all rows
    if (what == "noise" && given.solver == "incremental") continue;
    const std::vector<double>& reference = given.arrays.at(what + "64");
    const std::vector<double>& peer = given.arrays.at(what + "32");
    measure::parity_row& row = rows[what];
    row.what = "pca " + what;
    row.peer = "scikit-learn";
    row.peer_version = given.version;
    row.dtype = std::string(name_of(dtype_of<T>));
    row.bound = 1;
    row.unit = "of what is allowed";
    row.note =
        std::is_same_v<T, double> ? "allowed: 1e-8 of the largest value" : "allowed: 2 x scikit-learn's own f32 error";
    ++row.cases;
    const bool same_size = ours.size() == reference.size();
    const double scale = max_abs(reference.data(), reference.size());
    const double allowed = std::is_same_v<T, double>
                               ? pca_f64_bound * scale
                               : peer_bound<float>(max_abs_difference(peer.data(), reference.data(), reference.size()),
                                                   std::max(scale, largest_input));
    const double error = same_size ? max_abs_difference(ours.data(), reference.data(), reference.size()) : HUGE_VAL;
    const double units = allowed > 0 ? error / allowed : (error == 0 ? 0 : HUGE_VAL);
    if (!(units <= row.max_error.value_or(0))) row.max_error = units;
    if (!row.max_error) row.max_error = 0;
    row.ok = (row.cases == 1 || row.ok) && units <= 1;
  }
}

/// All rows; `oracle` is the path of tests/oracles/pca/pca.txt.
inline std::vector<measure::parity_row> pca_parity_rows(const std::string& oracle) {
  std::vector<measure::parity_row> list;
  const auto cases = read_pca_cases(oracle);
  std::map<std::string, measure::parity_row> narrow, wide;
  for (const pca_case& given : cases) {
    add_pca_case<float>(given, narrow);
    add_pca_case<double>(given, wide);
  }
  for (auto* rows : {&wide, &narrow})
    for (auto& [what, row] : *rows) list.push_back(std::move(row));
  return list;
}

}  // namespace hocket::parity
