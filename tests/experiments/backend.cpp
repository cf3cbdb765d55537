// --backend cuda of the verbs that do a job on the user's own files: the CUDA path where there is a device, else exit 5
// with the reason, and nothing written either way by the CPU in its place.
#include <string>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/io/npy.hpp>
#include <hocket/linalg/pca.hpp>

#include "experiments/programs.hpp"

using namespace hocket;
using program::scratch;

namespace {

/// "no_device", "not_built", or "" where CUDA can be used.
std::string missing() {
  try {
    require_backend(backend::cuda);
  } catch (const error& problem) {
    return std::string(name_of(problem.kind()));
  }
  return "";
}

std::vector<float> rows_of(std::size_t n, std::size_t d) {
  std::vector<float> x(n * d);
  for (std::size_t i = 0; i < n * d; ++i) x[i] = static_cast<float>(i * i % 23) + static_cast<float>(i % d);
  return x;
}

}  // namespace

TEST_CASE("fit and extract on CUDA: done there, or exit 5 with the reason", "[experiments]") {
  const scratch folder;
  const std::size_t n = 50, d = 6;
  const std::vector<float> x = rows_of(n, d);
  const view<const float, 2> rows(x.data(), {n, d});
  io::write_npy(folder.path / "x.npy", rows);
  const std::vector<std::string> fit = {"fit",        "x.npy",     "--k",  "2",     "--solver",
                                        "covariance", "--backend", "cuda", "--out", "m"};
  const auto done = program::run(folder.path, PCA_RANK, fit);
  INFO(done.err);
  const std::string recording = std::string(HOCKET_SOURCE_DIR) + "/experiments/data/embedded/sounds/bd_808.flac";
  const std::vector<std::string> extract = {"extract",   recording, "y.npy",     "--preset", "librosa-0.11",
                                            "--feature", "mfcc",    "--backend", "cuda"};
  const auto made = program::run(folder.path, AUDIO_FEATURES, extract);
  INFO(made.err);
  if (missing().empty()) {
    REQUIRE(done.code == 0);
    REQUIRE(made.code == 0);
    linalg::pca_options options;
    options.solver = linalg::pca_solver::covariance;
    options.k = "2";
    const auto model = linalg::pca_fit<float>(rows, options);
    const auto variances = io::read_npy_values<float>(folder.path / "m/explained_variance.npy", 2);
    // both promise 1e-6 of the largest: docs/pca.md
    CHECK(compare(variances.data(), model.explained_variance.data(), 2,
                  2e-6 * static_cast<double>(model.explained_variance[0])));
  } else {
    CHECK(done.code == 5);
    CHECK(done.says((missing() + ": ").c_str()));
    CHECK_FALSE(program::fs::exists(folder.path / "m"));
    CHECK(made.code == 5);
    CHECK(made.says((missing() + ": ").c_str()));
    CHECK_FALSE(program::fs::exists(folder.path / "y.npy"));
  }
  const auto unknown = program::run(folder.path, PCA_RANK,
                                    {"fit", "x.npy", "--k", "2", "--solver", "full", "--backend", "tpu", "--out", "m"});
  CHECK(unknown.code == 2);
  CHECK(unknown.says("cpu or cuda"));
  const auto wide = program::run(folder.path, AUDIO_FEATURES,
                                 {"extract", recording, "y.npy", "--preset", "librosa-0.11", "--feature", "mfcc",
                                  "--backend", "cuda", "-S", "dtype=f64"});
  CHECK(wide.code == 2);
  CHECK(wide.says("f32"));
}
