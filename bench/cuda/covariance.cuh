// Sums of products over rows as arms. `join` and `narrow`: `groups` results of `count` numbers; `own` and `cublas`: the
// whole of A^T A for `n` rows and `d` columns, multiplied by our tiled kernel or by the library, joined in f64.
#pragma once

#include <optional>

#include <hocket/kernels/covariance/cuda_launch.cuh>
#include <hocket/kernels/gemm/cuda_launch.cuh>
#include <hocket/kernels/gemm/vendor_cublas.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

template <CudaDevice Device>
ready prepare_join(const Device& device, bool narrow, std::size_t groups, std::size_t count) {
  namespace covariance = kernels::covariance::gpu;
  const std::vector<float> parts = stored_values<float>(narrow ? 0 : groups * count, 1);
  const std::vector<float> spread = stored_values<float>(count, 2);
  std::vector<double> before(spread.begin(), spread.end());
  for (double& x : before) x += 0x1p-30;  // more digits than f32 keeps
  struct operands {
    device_buffer<float, Device> parts, out;
    device_buffer<double, Device> sums;
  };
  const std::shared_ptr<operands> on(new operands{{device, "covariance: parts", parts},
                                                  {device, "covariance: out", narrow ? count : 0},
                                                  {device, "covariance: sums", before}});
  ready made;
  const auto join = [=](bool add) {
    covariance::join(device, std::as_const(on->parts).data(), on->sums.data(), groups, count, add);
  };
  if (narrow) {
    made.run = [=] { covariance::narrow(device, std::as_const(on->sums).data(), on->out.data(), count); };
    made.run();
    const std::vector<float> ours = on->out.download();
    for (std::size_t i = 0; i < count; ++i)
      made.check.add(std::abs(static_cast<double>(ours[i]) - before[i]), rounding<float>(std::abs(before[i]) / 2));
  } else {
    made.run = [=] { join(false); };
    for (const bool add : {true, false}) {
      join(add);
      const std::vector<double> ours = on->sums.download();
      for (std::size_t i = 0; i < count; ++i) {
        double sum = add ? before[i] : 0, terms = std::abs(sum);
        for (std::size_t g = 0; g < groups; ++g) {
          sum += static_cast<double>(parts[g * count + i]);
          terms += std::abs(static_cast<double>(parts[g * count + i]));
        }
        made.check.add(std::abs(ours[i] - sum), rounding<double>(static_cast<double>(groups) * terms));
      }
    }
  }
  made.timed_run = timed_on(device, made.run);
  return made;
}

template <CudaDevice Device>
ready prepare_products(const Device& device, bool library, std::size_t n, std::size_t d) {
  namespace covariance = kernels::covariance::gpu;
  namespace gemm = kernels::gemm;
  const std::vector<float> x = stored_values<float>(n * d, 3);
  struct operands {
    device_buffer<float, Device> x, parts;
    device_buffer<double, Device> sums;
    std::optional<gemm::cublas_plan<Device>> plan;
  };
  const std::shared_ptr<operands> on(new operands{{device, "covariance: x", x},
                                                  {device, "covariance: parts", covariance::workspace_size(n, d, d)},
                                                  {device, "covariance: sums", d * d},
                                                  std::nullopt});
  if (library) on->plan.emplace(device);
  ready made;
  made.run = [=] {
    const auto multiply = [&](const gemm::shape& s, const float* a, const float* b, float* c, const gemm::batch& of) {
      if (on->plan)
        on->plan->multiply(s, 1.0f, a, b, 0.0f, c, of);
      else
        gemm::gpu::multiply(device, s, 1.0f, a, b, 0.0f, c, gemm::gpu::arm::tiled_f32, of);
    };
    const float* const rows = on->x.data();
    covariance::transposed_product(device, multiply, n, d, d, rows, rows, on->sums.data(), on->parts.data());
  };
  made.run();
  // Every column of a small result; of a large one the plain sums of some columns with all others take seconds.
  const std::vector<double> ours = on->sums.download();
  const std::size_t checked = n * d * d <= (std::size_t{1} << 24) ? d : std::min<std::size_t>(d, 8);
  for (std::size_t c = 0; c < checked; ++c) {
    const std::size_t i = checked == d ? c : c * 977 % d;
    std::vector<double> sum(d), terms(d);
    for (std::size_t r = 0; r < n; ++r)
      for (std::size_t j = 0; j < d; ++j) {
        const double product = static_cast<double>(x[r * d + i]) * static_cast<double>(x[r * d + j]);
        sum[j] += product;
        terms[j] += std::abs(product);
      }
    for (std::size_t j = 0; j < d; ++j)
      made.check.add(std::abs(ours[i * d + j] - sum[j]), rounding<float>(covariance::promise * terms[j]));
  }
  made.timed_run = timed_on(device, made.run);
  return made;
}

template <CudaDevice Device>
ready prepare_covariance(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  const bool narrow = kernel.variant == "narrow", library = kernel.variant == "cublas";
  if (narrow || kernel.variant == "join")
    return prepare_join(device, narrow, narrow ? 1 : size_of(sizes, "groups"), size_of(sizes, "count"));
  expects(library || kernel.variant == "own", errc::bad_option, "covariance has no arm ", kernel.variant);
  return prepare_products(device, library, size_of(sizes, "n"), size_of(sizes, "d"));
}

}  // namespace hocket::bench
