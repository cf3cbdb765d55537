// The verbs `fit` and `transform` as a user meets them.
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/io/npy.hpp>
#include <hocket/linalg/pca.hpp>

#include "experiments/programs.hpp"

using namespace hocket;
using program::scratch;

namespace {

program::result pca(const scratch& folder, const std::vector<std::string>& arguments) {
  return program::run(folder.path, PCA_RANK, arguments);
}

template <class T>
std::vector<T> rows_of(std::size_t n, std::size_t d) {
  std::vector<T> x(n * d);
  philox random(7);
  for (std::size_t i = 0; i < n; ++i) {
    const double common = random.next_normal();
    for (std::size_t j = 0; j < d; ++j)
      x[i * d + j] = static_cast<T>(5 + common / static_cast<double>(j + 1) + random.next_normal() / 4);
  }
  return x;
}

template <class T>
void fit_and_transform(const char* solver, const char* k, bool whiten) {
  INFO(solver << " k=" << k << " whiten=" << whiten << " " << name_of(dtype_of<T>));
  const scratch folder;
  const std::vector<T> x = rows_of<T>(60, 9);
  const view<const T, 2> rows(x.data(), {60, 9});
  io::write_npy(folder.path / "x.npy", rows);
  std::vector<std::string> arguments = {"fit",  "x.npy",  "--k", k,       "--solver",
                                        solver, "--seed", "3",   "--out", "made/here"};
  if (whiten) arguments.emplace_back("--whiten");
  const auto fitted = pca(folder, arguments);
  INFO(fitted.err);
  REQUIRE(fitted.code == 0);
  linalg::pca_options options;
  set_option(options, "solver", solver);
  options.k = k;
  options.seed = 3;
  options.whiten = whiten;
  const auto model = linalg::pca_fit<T>(rows, options);
  const std::size_t r = model.n_components;
  CHECK(io::read_npy(folder.path / "made/here/components.npy").extents() == std::vector<std::size_t>{r, 9});
  CHECK(io::read_npy_values<T>(folder.path / "made/here/components.npy", r * 9) == model.components);
  CHECK(io::read_npy_values<T>(folder.path / "made/here/mean.npy", 9) == model.mean);
  CHECK(io::read_npy_values<T>(folder.path / "made/here/explained_variance.npy", r) == model.explained_variance);
  REQUIRE(pca(folder, {"transform", "x.npy", "y.npy", "--pca", "made/here"}).code == 0);
  std::vector<T> scores(60 * r);
  linalg::pca_transform<T>(model, rows, view<T, 2>(scores.data(), {60, r}));
  CHECK(io::read_npy_values<T>(folder.path / "y.npy", 60 * r) == scores);
  if (whiten) {
    double squares = 0;
    for (std::size_t i = 0; i < 60; ++i)
      squares += static_cast<double>(scores[i * r]) * static_cast<double>(scores[i * r]);
    CHECK(std::abs(squares / 59 - 1) <= rounding<T>(60 * max_abs(x.data(), x.size())));
  }
}

}  // namespace

TEST_CASE("fit and transform give the library's numbers in the input's type", "[experiments][pca_rank]") {
  for (const char* solver : {"auto", "full", "covariance", "gram", "incremental"})
    for (const char* k : {"3", "0.9", "all"}) fit_and_transform<double>(solver, k, false);
  for (const bool whiten : {false, true}) {
    fit_and_transform<float>("full", "4", whiten);
    fit_and_transform<double>("full", "4", whiten);
    fit_and_transform<float>("randomized", "4", whiten);
  }
}

TEST_CASE("a model of another type meets in the wider one", "[experiments][pca_rank]") {
  const scratch folder;
  const std::vector<float> narrow = rows_of<float>(20, 4);
  const std::vector<double> wide(narrow.begin(), narrow.end());
  io::write_npy(folder.path / "narrow.npy", view<const float, 2>(narrow.data(), {20, 4}));
  io::write_npy(folder.path / "wide.npy", view<const double, 2>(wide.data(), {20, 4}));
  REQUIRE(pca(folder, {"fit", "narrow.npy", "--k", "2", "--solver", "full", "--out", "m"}).code == 0);
  REQUIRE(pca(folder, {"transform", "wide.npy", "y.npy", "--pca", "m"}).code == 0);
  CHECK(io::read_npy(folder.path / "y.npy").type() == dtype::f64);
}

TEST_CASE("wrong use of fit and transform is exit 2, unreadable arrays are exit 4", "[experiments][pca_rank]") {
  const scratch folder;
  std::vector<double> x = rows_of<double>(20, 4);
  io::write_npy(folder.path / "x.npy", view<const double, 2>(x.data(), {20, 4}));
  io::write_npy(folder.path / "flat.npy", view<const double, 1>(x.data(), {80}));
  io::write_npy(folder.path / "narrow.npy", view<const double, 2>(x.data(), {40, 2}));
  x[21] = std::numeric_limits<double>::infinity();
  io::write_npy(folder.path / "inf.npy", view<const double, 2>(x.data(), {20, 4}));
  io::write_file(folder.path / "text.npy", "1,2,3");
  const auto refuses = [&](int code, const std::vector<std::string>& arguments, const char* reason) {
    const auto done = pca(folder, arguments);
    INFO(done.err);
    CHECK(done.code == code);
    CHECK(done.says(reason));
    CHECK_FALSE(program::fs::exists(folder.path / "m"));
  };
  refuses(2, {"fit"}, "IN.npy");
  refuses(2, {"fit", "x.npy", "--solver", "full", "--out", "m"}, "--k");
  refuses(2, {"fit", "x.npy", "--k", "2", "--out", "m"}, "randomized");
  refuses(2, {"fit", "x.npy", "--k", "2", "--solver", "svd", "--out", "m"}, "randomized");
  refuses(2, {"fit", "x.npy", "--k", "2", "--solver", "full"}, "--out");
  for (const char* k : {"0", "5", "1.5", "-1", "some", "0.0"})
    refuses(2, {"fit", "x.npy", "--k", k, "--solver", "full", "--out", "m"}, k);
  refuses(2, {"fit", "x.npy", "--k", "2", "--solver", "full", "--seed", "x", "--out", "m"}, "seed");
  refuses(4, {"fit", "absent.npy", "--k", "2", "--solver", "full", "--out", "m"}, "no such file");
  refuses(4, {"fit", "text.npy", "--k", "2", "--solver", "full", "--out", "m"}, "not a .npy file");
  refuses(4, {"fit", "flat.npy", "--k", "2", "--solver", "full", "--out", "m"}, "dimensions");
  refuses(4, {"fit", "inf.npy", "--k", "2", "--solver", "full", "--out", "m"}, "row 5, column 1 is infinite");
  refuses(4, {"transform", "x.npy", "y.npy", "--pca", "nowhere"}, "no such file");
  REQUIRE(pca(folder, {"fit", "x.npy", "--k", "2", "--solver", "full", "--out", "fitted"}).code == 0);
  refuses(2, {"transform", "narrow.npy", "y.npy", "--pca", "fitted"}, "features");
  refuses(4, {"transform", "inf.npy", "y.npy", "--pca", "fitted"}, "infinite");
  refuses(2, {"transform", "x.npy", "y.npy"}, "--pca");
}
