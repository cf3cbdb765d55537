// The verbs for arrays of the user's own:
//   fit IN.npy --k 32|0.95|all --solver NAME [--whiten] [--seed N] [--backend cpu|cuda] --out DIR
//   transform IN.npy OUT.npy --pca DIR
// DIR holds mean.npy (D), components.npy (R,D) and explained_variance.npy (R) in the type of the input, and pca.tsv
// with what the arrays do not say: whether scores are whitened, which solver ran and why.
#pragma once

#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include <hocket/io/npy.hpp>
#include <hocket/io/tsv.hpp>
#include <hocket/linalg/pca.hpp>

#include "experiments/support/driver.hpp"
#include "experiments/support/pca_fit.hpp"

namespace hocket::experiments::pca_rank {

/// Reads (N,D) of f32 or f64; anything else is refused.
inline io::npy_array read_matrix(const std::string& path) {
  io::npy_array array = io::read_npy(path);
  expects(array.rank() == 2, errc::bad_file, path, ": has ", array.rank(), " dimensions; a PCA takes rows x features");
  expects(array.type() == dtype::f32 || array.type() == dtype::f64, errc::bad_file, path, ": holds ",
          name_of(array.type()), "; a PCA takes float32 or float64");
  return array;
}

template <Real T>
int fit_as(const io::npy_array& array, const std::string& input, const linalg::pca_options& options, backend where,
           const std::filesystem::path& folder) {
  const auto x = array.as_view<T, 2>();
  io::require_finite(x, input);
  const linalg::pca_model<T> model = pca_fit_on<T>(where, x, options);
  std::error_code trouble;
  std::filesystem::create_directories(folder, trouble);
  expects(!trouble, errc::bad_file, folder.string(), ": cannot be made: ", trouble.message());
  io::write_npy(folder / "mean.npy", make_view(model.mean));
  io::write_npy(folder / "components.npy", model.component_rows());
  io::write_npy(folder / "explained_variance.npy", make_view(model.explained_variance));
  io::write_file(folder / "pca.tsv", text("key\tvalue\nwhiten\t", model.whiten, "\nsolver\t", name_of(model.solver),
                                          "\nwhy\t", model.why, "\nn_samples\t", model.n_samples, "\nnoise_variance\t",
                                          model.noise_variance, "\nresidual\t", model.residual, "\n"));
  std::cerr << "solver " << name_of(model.solver) << ": " << model.why << "\n";
  std::cout << folder.string() << "\t" << model.n_components << " x " << model.n_features << "\t"
            << (dtype_of<T> == dtype::f32 ? "float32" : "float64") << "\tleaves out " << model.residual
            << " of the variance\n";
  return exit_ok;
}

/// A vector or matrix of f32 or f64 as T.
template <Real T>
std::vector<T> numbers_as(const io::npy_array& array, const std::string& path) {
  expects(array.type() == dtype::f32 || array.type() == dtype::f64, errc::bad_file, path, ": holds ",
          name_of(array.type()), ", expected float32 or float64");
  std::vector<T> out(array.size());
  if (array.type() == dtype::f32) {
    const auto* values = reinterpret_cast<const float*>(array.bytes().data());
    std::copy_n(values, out.size(), out.begin());
  } else {
    const auto* values = reinterpret_cast<const double*>(array.bytes().data());
    std::transform(values, values + out.size(), out.begin(), [](double v) { return static_cast<T>(v); });
  }
  for (const T value : out) expects(std::isfinite(value), errc::bad_value, path, ": holds a NaN or infinite value");
  return out;
}

/// Reads what fit wrote.
template <Real T>
linalg::pca_model<T> read_model(const std::filesystem::path& folder) {
  linalg::pca_model<T> model;
  const io::npy_array components = io::read_npy(folder / "components.npy");
  expects(components.rank() == 2, errc::bad_file, (folder / "components.npy").string(), ": expected 2 dimensions");
  model.n_components = components.extents()[0];
  model.n_features = components.extents()[1];
  model.components = numbers_as<T>(components, (folder / "components.npy").string());
  model.mean = numbers_as<T>(io::read_npy(folder / "mean.npy"), (folder / "mean.npy").string());
  model.explained_variance =
      numbers_as<T>(io::read_npy(folder / "explained_variance.npy"), (folder / "explained_variance.npy").string());
  expects(model.mean.size() == model.n_features && model.explained_variance.size() == model.n_components,
          errc::bad_file, folder.string(), ": mean.npy has ", model.mean.size(), " values and explained_variance.npy ",
          model.explained_variance.size(), ", components.npy is ", model.n_components, " x ", model.n_features);
  const io::tsv_table facts = io::read_tsv(folder / "pca.tsv");
  const std::size_t key = facts.column("key"), value = facts.column("value");
  bool known = false;
  for (const auto& row : facts.rows) {
    if (row[key] != "whiten") continue;
    expects(row[value] == "true" || row[value] == "false", errc::bad_file, facts.source, ": whiten is ", row[value]);
    model.whiten = row[value] == "true";
    known = true;
  }
  expects(known, errc::bad_file, facts.source, ": does not say whether scores are whitened");
  return model;
}

/// Scores in the wider of the input's and the model's type, as numpy would promote them.
template <Real T>
int transform_as(const io::npy_array& array, const std::string& input, const std::string& output,
                 const std::filesystem::path& folder) {
  const linalg::pca_model<T> model = read_model<T>(folder);
  const std::size_t rows = array.extents()[0], features = array.extents()[1];
  expects(features == model.n_features, errc::unsupported_shape, input, ": rows have ", features,
          " features, the PCA in ", folder.string(), " has ", model.n_features);
  std::vector<T> x;
  if (array.type() == dtype::f32) {
    io::require_finite(array.as_view<float, 2>(), input);
  } else {
    io::require_finite(array.as_view<double, 2>(), input);
  }
  x = numbers_as<T>(array, input);
  std::vector<T> scores(rows * model.n_components);
  linalg::pca_transform<T>(model, make_view(std::as_const(x), rows, features),
                           make_view(scores, rows, model.n_components));
  io::write_npy(output, make_view(std::as_const(scores), rows, model.n_components));
  std::cout << output << "\t" << rows << " x " << model.n_components << "\t"
            << (dtype_of<T> == dtype::f32 ? "float32" : "float64") << (model.whiten ? "\twhitened" : "") << "\n";
  return exit_ok;
}

inline verb fit_verb() {
  return {"fit",
          "a PCA of your own array: fit IN.npy --k 32|0.95|all --solver NAME [--whiten] [--seed N] "
          "[--backend cpu|cuda] --out DIR",
          [](CLI::App& app) -> std::function<int()> {
            struct arguments {
              std::string input, k, solver, folder, seed, device = "cpu";
              bool whiten = false;
            };
            const auto given = std::make_shared<arguments>();
            std::string solvers;
            for (const auto& [value, name] : enum_names<linalg::pca_solver>::values)
              solvers += text(solvers.empty() ? "" : ", ", name);
            app.add_option("IN.npy", given->input, "rows x features, float32 or float64");
            app.add_option("--k", given->k, "components: a count, a share of the variance such as 0.95, or all");
            app.add_option("--solver", given->solver, "one of " + solvers);
            app.add_flag("--whiten", given->whiten, "scores have unit variance");
            app.add_option("--seed", given->seed, "of the randomized solver's start, 0 if absent");
            app.add_option("--backend", given->device, "cpu or cuda, which computes in f32")->capture_default_str();
            app.add_option("--out", given->folder, "folder to write, made if it is not there");
            return [given, solvers]() -> int {
              expects(!given->input.empty(), errc::bad_option, "fit expects IN.npy");
              expects(!given->k.empty(), errc::bad_option,
                      "fit needs --k: a count, a share of the variance such as 0.95, or all");
              expects(!given->solver.empty(), errc::bad_option, "fit needs --solver; known are: ", solvers);
              expects(!given->folder.empty(), errc::bad_option, "fit needs --out DIR");
              expects(given->device == "cpu" || given->device == "cuda", errc::bad_option, "--backend ", given->device,
                      ": expected cpu or cuda");
              const backend where = given->device == "cuda" ? backend::cuda : backend::cpu;
              linalg::pca_options options;
              options.k = given->k;
              set_option(options, "solver", given->solver);
              options.whiten = given->whiten;
              if (!given->seed.empty()) set_option(options, "seed", given->seed);
              linalg::parse_rank(options.k == "all" ? "1" : options.k, std::numeric_limits<std::size_t>::max());
              require_backend(where);
              const io::npy_array array = read_matrix(given->input);
              return array.type() == dtype::f32 ? fit_as<float>(array, given->input, options, where, given->folder)
                                                : fit_as<double>(array, given->input, options, where, given->folder);
            };
          }};
}

inline verb transform_verb() {
  return {"transform", "scores of your own array: transform IN.npy OUT.npy --pca DIR",
          [](CLI::App& app) -> std::function<int()> {
            struct arguments {
              std::string input, output, folder;
            };
            const auto given = std::make_shared<arguments>();
            app.add_option("IN.npy", given->input, "rows x features, float32 or float64");
            app.add_option("OUT.npy", given->output, "the array of scores to write");
            app.add_option("--pca", given->folder, "a folder that fit wrote");
            return [given]() -> int {
              expects(!given->input.empty() && !given->output.empty(), errc::bad_option,
                      "transform expects IN.npy and OUT.npy");
              expects(!given->folder.empty(), errc::bad_option, "transform needs --pca DIR, a folder that fit wrote");
              const io::npy_array array = read_matrix(given->input);
              const io::npy_array components = io::read_npy(std::filesystem::path(given->folder) / "components.npy");
              const bool narrow = array.type() == dtype::f32 && components.type() == dtype::f32;
              return narrow ? transform_as<float>(array, given->input, given->output, given->folder)
                            : transform_as<double>(array, given->input, given->output, given->folder);
            };
          }};
}

}  // namespace hocket::experiments::pca_rank
