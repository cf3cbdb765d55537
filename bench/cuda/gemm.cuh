// The products as arms: `m`, `n`, `k`; matrices dense, stored as the variant's last two letters say (n as it is, t
// transposed). The arm `cublas` is the library's product of the same matrices.
#pragma once

#include <hocket/kernels/gemm/cuda_launch.cuh>
#include <hocket/kernels/gemm/vendor_cublas.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

template <class T, CudaDevice Device>
ready prepare_gemm_of(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  namespace gemm = kernels::gemm;
  const std::size_t m = size_of(sizes, "m"), n = size_of(sizes, "n"), k = size_of(sizes, "k");
  const bool library = kernel.variant == "cublas";
  const std::string layout = library ? "nn" : kernel.variant.substr(kernel.variant.size() - 2);
  const bool ta = layout[0] == 't', tb = layout[1] == 't';
  const gemm::shape s{m, n, k, ta, tb, ta ? m : k, tb ? k : n, n};
  const auto which = kernel.variant.starts_with("tiled") || library ? gemm::gpu::arm::tiled_f32
                     : kernel.dtype == "tf32"                       ? gemm::gpu::arm::mma_tf32
                     : kernel.dtype == "f16"                        ? gemm::gpu::arm::mma_f16
                                                                    : gemm::gpu::arm::mma_bf16;

  const auto a = stored_values<T>(m * k, 1), b = stored_values<T>(k * n, 2);
  const auto on_a = std::make_shared<device_buffer<T, Device>>(device, "gemm: A", a);
  const auto on_b = std::make_shared<device_buffer<T, Device>>(device, "gemm: B", b);
  const auto on_c = std::make_shared<device_buffer<float, Device>>(device, "gemm: C", m * n);
  ready made;
  if (library) {
    const auto plan = std::make_shared<gemm::cublas_plan<Device>>(device);
    made.run = [=] { plan->multiply(s, 1.0f, on_a->data(), on_b->data(), 0.0f, on_c->data()); };
  } else {
    made.run = [=] {
      gemm::gpu::multiply<Device, T>(device, s, 1.0f, on_a->data(), on_b->data(), 0.0f, on_c->data(), which);
    };
  }
  made.run();

  // Every row of a small product; of a large one, rows spread over all tiles, as the plain sum takes minutes.
  const std::vector<float> c = on_c->download();
  const std::size_t rows = m * n * k <= (std::size_t{1} << 24) ? m : std::min<std::size_t>(m, 16);
  for (std::size_t r = 0; r < rows; ++r) {
    const std::size_t i = rows == m ? r : (r * 977 + r / 2) % m;
    for (std::size_t j = 0; j < n; ++j) {
      double sum = 0, terms = 0;
      for (std::size_t p = 0; p < k; ++p) {
        const double product = to_f64(a[ta ? p * m + i : i * k + p]) * to_f64(b[tb ? j * k + p : p * n + j]);
        sum += product;
        terms += std::abs(product);
      }
      made.check.add(std::abs(static_cast<double>(c[i * n + j]) - sum),
                     rounding<float>(gemm::gpu::promise(which, k) * terms));
    }
  }
  made.timed_run = timed_on(device, made.run);
  return made;
}

template <CudaDevice Device>
ready prepare_gemm(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  return with_type(kernel.dtype, [&](auto type) { return prepare_gemm_of<decltype(type)>(device, kernel, sizes); });
}

}  // namespace hocket::bench
