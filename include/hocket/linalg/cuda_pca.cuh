// Principal component analysis on a CUDA device, f32: the data go there once, are centred there with compensated means,
// and every pass over them is a product of our own or of cuBLAS; only numbers of the size of a result come back.
// Templates on the device: `cuda` (a unit that nvcc compiles) and `cuda_on_host` (the tests) run the same lines.
//
//   auto model = hocket::linalg::pca_fit(x, {.k = "32"}, hocket::cuda{stream});   // x (N,D) f32 in host memory
//
// Solvers: covariance (syevd of Xc^T Xc in f64) and randomized (subspace iteration from a random start). Sums over rows
// run in f32 within 256 rows and in f64 across (kernels/covariance), so eigenvalues hold 1e-6 of the largest whatever
// N.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/kernels/centre/cuda_launch.cuh>
#include <hocket/kernels/covariance/cuda_launch.cuh>
#include <hocket/kernels/dense/vendor_cusolver.hpp>
#include <hocket/kernels/gemm/cuda_launch.cuh>
#include <hocket/kernels/gemm/vendor_cublas.hpp>
#include <hocket/linalg/pca.hpp>

namespace hocket::linalg {

/// |eigenvalue - f64 eigenvalue of the same f32 data| <= promise x the largest: every solver, CPU and CUDA, f32.
inline constexpr double pca_eigenvalue_promise = 1e-6;

/// f32 products on a device by the engine that pca_options.gemm names: own (kernels/gemm/cuda.cuh) or cublas (best).
template <CudaDevice Device>
class device_products {
 public:
  device_products(const Device& device, std::string_view engine) : device_(device) {
    expects(engine == "best" || engine == "cublas" || engine == "own", errc::not_built, "gemm=", engine,
            " is not on CUDA; known are: best, cublas, own");
    if (engine != "own") cublas_ = std::make_unique<kernels::gemm::cublas_plan<Device>>(device);
  }
  const Device& device() const { return device_; }

  /// C = op(A) op(B), for every matrix of the batch.
  void run(const kernels::gemm::shape& s, const float* a, const float* b, float* c,
           const kernels::gemm::batch& of = {}) {
    if (cublas_)
      cublas_->multiply(s, 1.0f, a, b, 0.0f, c, of);
    else
      kernels::gemm::gpu::multiply(device_, s, 1.0f, a, b, 0.0f, c, kernels::gemm::gpu::arm::tiled_f32, of);
  }

  /// out (d,b) f64 = A^T B for dense A (n,d), B (n,b).
  void transposed(std::size_t n, std::size_t d, std::size_t b, const float* left, const float* right, double* out) {
    namespace covariance = kernels::covariance::gpu;
    const std::size_t size = covariance::workspace_size(n, d, b);
    if (parts_.size() < size) parts_ = device_buffer<float, Device>(device_, "products of row groups", size);
    covariance::transposed_product(
        device_,
        [this](const auto& s, const float* l, const float* r, float* c, const auto& of) { run(s, l, r, c, of); }, n, d,
        b, left, right, out, parts_.data());
  }

 private:
  Device device_;
  std::unique_ptr<kernels::gemm::cublas_plan<Device>> cublas_;
  device_buffer<float, Device> parts_;
};

/// Data (N,D) on a device, centred there. Refuses values that are not finite.
template <CudaDevice Device>
class device_centred {
 public:
  device_centred(const Device& device, view<const float, 2> x)
      : rows_(x.extent(0)), columns_(x.extent(1)), data_(device, "data", rows_ * columns_), mean_(columns_) {
    namespace centre = kernels::centre::gpu;
    if (x.dense()) {
      data_.upload(x.data(), x.size());
    } else {
      for (std::size_t i = 0; i < rows_; ++i) data_.upload(x.data() + i * x.stride(0), columns_, i * columns_);
    }
    const std::size_t d = columns_;
    device_buffer<float, Device> means(device, "means", 2 * d),
        sums(device, "column sums", 2 * centre::groups_of(rows_) * d),
        squares(device, "squares", centre::squares_of(rows_, d));
    const view<float, 2> all(data_.data(), {rows_, d});
    centre::column_means(device, view<const float, 2>(all), means.data(), means.data() + d, sums.data());
    const std::vector<float> found = means.download();
    for (std::size_t j = 0; j < d; ++j) {
      mean_[j] = static_cast<double>(found[j]) + static_cast<double>(found[d + j]);
      if (std::isfinite(mean_[j])) continue;
      require_finite(x);
      fail(errc::bad_value, "the sum of column ", j, " overflows; scale the data down");
    }
    centre::subtract(device, view<const float, 2>(all), means.data(), means.data() + d, all, squares.data());
    for (const float part : squares.download()) squares_ += static_cast<double>(part);
    expects(std::isfinite(squares_), errc::bad_value, "the sum of squares overflows; scale the data down");
  }

  std::size_t rows() const { return rows_; }
  std::size_t columns() const { return columns_; }
  const float* data() const { return data_.data(); }
  const std::vector<double>& mean() const { return mean_; }
  /// Sum of squares of the centred data.
  double squares() const { return squares_; }

 private:
  std::size_t rows_, columns_;
  device_buffer<float, Device> data_;
  std::vector<double> mean_;
  double squares_ = 0;
};

namespace detail {

/// Eigenvalues of a symmetric matrix in falling order, eigenvectors as rows.
struct device_spectrum {
  std::vector<double> values, vectors;
};

/// The eigenproblem of the symmetric matrix (n,n) on the device, which it destroys.
template <CudaDevice Device>
device_spectrum eigen_of(const Device& device, kernels::dense::cusolver_plan<Device>& solver, std::size_t n,
                         device_buffer<double, Device>& matrix) {
  device_buffer<double, Device> values(device, "eigenvalues", n);
  solver.eigen(n, matrix.data(), values.data());
  const std::vector<double> rising = values.download(), rows = matrix.download(n * n);
  device_spectrum out{std::vector<double>(n), std::vector<double>(n * n)};
  for (std::size_t i = 0; i < n; ++i) {
    const std::size_t at = kernels::dense::falling(i, n);
    out.values[i] = rising[at];
    std::copy_n(rows.data() + at * n, n, out.vectors.data() + i * n);
  }
  return out;
}

/// A block of columns (d, up to b) that is turned into an orthonormal basis in place.
template <CudaDevice Device>
class device_basis {
 public:
  device_basis(const Device& device, std::size_t d, std::size_t b)
      : device_(device),
        d_(d),
        columns_(device, "block", d * b),
        spare_(device, "spare block", d * b),
        gram_(device, "Gram matrix", b * b),
        turn_(device, "turn", b * b),
        count_(b) {}

  float* data() { return columns_.data(); }
  std::size_t count() const { return count_; }
  void upload(const std::vector<float>& values) { columns_.upload(values.data(), values.size()); }

  /// Columns become an orthonormal basis of their span: each pass multiplies by S V L^(-1/2), where V, L are the
  /// eigenpairs of the Gram matrix of the columns scaled to unit length (S). Directions that rounding made are dropped;
  /// passes repeat until the columns that go in are already near to orthonormal, so what comes out is so to rounding.
  void orthonormalise(device_products<Device>& products, kernels::dense::cusolver_plan<Device>& solver) {
    const double epsilon = static_cast<double>(std::numeric_limits<float>::epsilon());
    for (int pass = 0; pass < 5 && count_ > 0; ++pass) {
      const std::size_t b = count_;
      products.transposed(d_, b, b, columns_.data(), columns_.data(), gram_.data());
      std::vector<double> gram = gram_.download(b * b), scale(b);
      double shortest = 1;
      for (std::size_t j = 0; j < b; ++j) {
        const double square = gram[j * b + j];
        shortest = std::min(shortest, square);
        scale[j] = square > 0 ? 1 / std::sqrt(square) : 0;
      }
      for (std::size_t i = 0; i < b; ++i)
        for (std::size_t j = 0; j < b; ++j) gram[i * b + j] *= scale[i] * scale[j];
      gram_.upload(gram.data(), b * b);
      const device_spectrum found = eigen_of(device_, solver, b, gram_);
      const double least = epsilon * static_cast<double>(b);
      std::size_t kept = 0;
      while (kept < b && found.values[kept] > 16 * least * least) ++kept;
      std::vector<float> turn(b * kept);
      for (std::size_t i = 0; i < b; ++i)
        for (std::size_t j = 0; j < kept; ++j)
          turn[i * kept + j] = static_cast<float>(scale[i] * found.vectors[j * b + i] / std::sqrt(found.values[j]));
      count_ = kept;
      if (kept == 0) return;
      turn_.upload(turn.data(), turn.size());
      products.run({d_, kept, b, false, false, b, kept, kept}, columns_.data(), turn_.data(), spare_.data());
      std::swap(columns_, spare_);
      if (pass > 0 && shortest > 0.5 && found.values[kept - 1] > 0.5) return;
    }
  }

 private:
  Device device_;
  std::size_t d_;
  device_buffer<float, Device> columns_, spare_;
  device_buffer<double, Device> gram_;
  device_buffer<float, Device> turn_;
  std::size_t count_;
};

/// All of Xc^T Xc and its eigenvectors.
template <CudaDevice Device>
leading_spectrum<float> covariance_on(const Device& device, const device_centred<Device>& x, std::size_t k,
                                      device_products<Device>& products,
                                      kernels::dense::cusolver_plan<Device>& solver) {
  const std::size_t d = x.columns();
  device_buffer<double, Device> matrix(device, "covariance", d * d);
  products.transposed(x.rows(), d, d, x.data(), x.data(), matrix.data());
  const device_spectrum found = eigen_of(device, solver, d, matrix);
  leading_spectrum<float> result;
  result.total = x.squares();
  for (std::size_t i = 0; i < k; ++i) result.squares.push_back(std::max(found.values[i], 0.0));
  result.rows.resize(k * d);
  std::transform(found.vectors.begin(), found.vectors.begin() + static_cast<std::ptrdiff_t>(k * d), result.rows.begin(),
                 [](double v) { return static_cast<float>(v); });
  return result;
}

/// Subspace iteration: an orthonormal block Q (D,k + oversample) is multiplied by Xc^T Xc and orthonormalised again;
/// the eigenpairs of (Xc Q)^T (Xc Q) are the components' estimates (Rayleigh and Ritz). n_iter = q power iterations
/// follow the first product (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1); without n_iter until the
/// components gain less than `tolerance` of what they leave out.
template <CudaDevice Device>
leading_spectrum<float> randomized_on(const Device& device, const device_centred<Device>& x, std::size_t k,
                                      const pca_options& options, device_products<Device>& products,
                                      kernels::dense::cusolver_plan<Device>& solver) {
  const std::size_t n = x.rows(), d = x.columns(), width = std::min(std::min(n, d), k + options.oversample);
  const std::size_t most = options.n_iter ? *options.n_iter + 1 : randomized_solver::most_products;
  std::vector<float> start(d * width);
  const philox random(options.seed, 0x9ca);
  for (std::size_t e = 0; e < start.size(); ++e) start[e] = static_cast<float>(random.normal_at(e));
  device_basis<Device> basis(device, d, width);
  basis.upload(start);
  device_buffer<float, Device> scores(device, "scores", n * width), rows(device, "components", k * d),
      turn(device, "turn", width * width);
  device_buffer<double, Device> small(device, "Ritz matrix", width * width), sums(device, "block sums", d * width);

  leading_spectrum<float> result;
  result.total = x.squares();
  result.width = width;
  result.converged = options.n_iter.has_value();
  double sum_before = 0, gain_before = 0;
  for (std::size_t step = 0;; ++step) {
    basis.orthonormalise(products, solver);
    const std::size_t m = basis.count();
    if (m == 0) break;
    products.run({n, m, d, false, false, d, m, m}, x.data(), basis.data(), scores.data());
    const bool last = step == most;
    const bool judged = last || (!options.n_iter && step > 0);
    if (judged) {
      products.transposed(n, m, m, scores.data(), scores.data(), small.data());
      const device_spectrum ritz = eigen_of(device, solver, m, small);
      const std::size_t found = std::min(k, m);
      double sum = 0;
      for (std::size_t i = 0; i < found; ++i) sum += ritz.values[i];
      // gains fall at least geometrically: what is still to come is less than gain r / (1 - r)
      const double gain = sum - sum_before, residual = std::max(result.total - sum, 0.0);
      const double r = step > 2 && gain_before > 0 ? std::clamp(gain / gain_before, 0.0, 0.9) : 0.5;
      const double to_come = std::max(gain, 0.0) * r / (1 - r);
      const double noise = result.total * static_cast<double>(std::numeric_limits<float>::epsilon());
      const bool met = step > 1 && (to_come <= options.tolerance * (residual - to_come) || gain <= noise);
      // all directions that the data have: the span is exact
      const bool whole = m < width || m == std::min(n, d);
      if (!options.n_iter) result.converged = result.converged || met || whole;
      if (last || result.converged) {
        result.squares.assign(ritz.values.begin(), ritz.values.begin() + static_cast<std::ptrdiff_t>(found));
        result.next_square = m > found ? std::max(ritz.values[found], 0.0) : 0;
        result.products = step;
        std::vector<float> combine(found * m);
        std::transform(ritz.vectors.begin(), ritz.vectors.begin() + static_cast<std::ptrdiff_t>(found * m),
                       combine.begin(), [](double v) { return static_cast<float>(v); });
        turn.upload(combine.data(), combine.size());
        products.run({found, d, m, false, true, m, m, d}, turn.data(), basis.data(), rows.data());
        result.rows = rows.download(found * d);
        break;
      }
      gain_before = gain;
      sum_before = sum;
    }
    products.transposed(n, d, m, x.data(), scores.data(), sums.data());
    kernels::covariance::gpu::narrow(device, sums.data(), basis.data(), d * m);
  }
  const std::size_t rank = result.squares.size();
  complete(result, rank, k, d);
  if (width >= k + 2 && result.next_square)
    result.error_bound =
        halko_bound(n, d, width, k, result.products > 0 ? result.products - 1 : 0, std::sqrt(*result.next_square));
  return result;
}

}  // namespace detail

/// The automatic choice on a device, which has no full and no Gram solver.
inline pca_choice choose_device_pca_solver(std::size_t n, std::size_t d, std::size_t k) {
  pca_choice choice = choose_pca_solver(n, d, k);
  if (choice.solver == pca_solver::full)
    return {pca_solver::covariance, text(n, " x ", d, " is small: the exact solver that CUDA has")};
  if (choice.solver == pca_solver::gram && k > 0)
    return {pca_solver::randomized, text(n, " x ", d, ": N < D, and CUDA has no Gram solver")};
  if (choice.solver == pca_solver::gram)
    return {pca_solver::covariance, text(n, " x ", d, ": a share of the variance needs the whole spectrum")};
  return choice;
}

/// Fits x (N,D) f32, N >= 2, in host memory, on a CUDA device. Refuses NaN and infinity with row and column. The same
/// input and options give the same bits run to run.
template <Real T, CudaDevice Device>
pca_model<T> pca_fit(view<const T, 2> x, const pca_options& options, const Device& device) {
  static_assert(std::is_same_v<T, float>, "the CUDA PCA takes float: convert, or fit on cpu{}");
  const std::size_t n = x.extent(0), d = x.extent(1);
  expects(n >= 2 && d >= 1, errc::unsupported_shape, "a PCA needs at least 2 rows and 1 column, the data are ", n,
          " x ", d);
  expects(x.data() != nullptr, errc::bad_pointer, "pca_fit: the data pointer is null");
  expects(options.oversample >= 2, errc::bad_option, "oversample=", options.oversample, ": at least 2");
  expects(options.tolerance > 0, errc::bad_option, "tolerance=", options.tolerance, ": must be positive");
  const pca_rank rank = parse_rank(options.k, std::min(n, d));
  pca_choice choice{options.solver, "asked for"};
  if (options.solver == pca_solver::automatic) choice = choose_device_pca_solver(n, d, rank.count);
  expects(choice.solver == pca_solver::covariance || choice.solver == pca_solver::randomized, errc::not_built,
          "solver=", name_of(choice.solver), " is not on CUDA; known are: auto, covariance, randomized");
  expects(choice.solver != pca_solver::randomized || rank.count > 0, errc::bad_option, "k=", options.k,
          ": a share of the variance needs the whole spectrum; randomized takes a count or all");
  expects(options.dense == "best" || options.dense == "cusolver", errc::not_built, "dense=", options.dense,
          " is not on CUDA; known are: best, cusolver");
  require_device(device);
  device_products<Device> products(device, options.gemm);
  kernels::dense::cusolver_plan<Device> solver(device);
  const device_centred<Device> centred(device, x);
  const std::size_t k = rank.count > 0 ? rank.count : std::min(n, d);
  const auto solve = [&] {
    return choice.solver == pca_solver::covariance
               ? detail::covariance_on(device, centred, k, products, solver)
               : detail::randomized_on(device, centred, k, options, products, solver);
  };
  leading_spectrum<float> found = solve();
  if (options.solver == pca_solver::automatic && !found.converged && d <= n) {
    choice = {pca_solver::covariance, text("the spectrum is so flat that ", found.products,
                                           " products did not reach tolerance=", options.tolerance)};
    found = solve();
  }
  pca_model<T> model = detail::make_model<T>(n, centred.mean(), std::move(found), rank, options);
  model.solver = choice.solver;
  model.why = choice.why;
  return model;
}

}  // namespace hocket::linalg
