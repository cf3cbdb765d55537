// The softmax kernels as arms: `rows`, `columns`.
#pragma once

#include <hocket/kernels/softmax/cuda_launch.cuh>
#include <hocket/kernels/softmax/reference.hpp>
#include <hocket/kernels/softmax/shape.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

template <class T, CudaDevice Device>
ready prepare_softmax_of(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  namespace softmax = kernels::softmax;
  const shape<2> size{size_of(sizes, "rows"), size_of(sizes, "columns")};
  const std::size_t n = size[0] * size[1];
  const bool forward = kernel.variant == "forward";
  expects(forward || kernel.variant == "backward", errc::bad_option, "softmax has no kernel ", kernel.variant);

  // Forward: x -> y. Backward: y, dy -> dx, with y a distribution.
  std::vector<T> x = stored_values<T>(n, 5, 3);
  const std::vector<T> dy = stored_values<T>(n, 6);
  for (std::size_t i = 34; i < n; i += 101) x[i] = from_f32<T>(100);  // overflows without the row's maximum
  std::vector<double> y(n), wanted(n);
  softmax::reference::forward<T>({x.data(), size}, {y.data(), size});
  std::vector<T> first = x;
  if (forward) {
    wanted = y;
  } else {
    for (std::size_t i = 0; i < n; ++i) first[i] = from_f32<T>(static_cast<float>(y[i]));
    softmax::reference::backward<T>({first.data(), size}, {dy.data(), size}, {wanted.data(), size});
  }
  const auto in = std::make_shared<device_buffer<T, Device>>(device, "softmax: x or y", first);
  const auto upstream = std::make_shared<device_buffer<T, Device>>(device, "softmax: dy", dy);
  const auto out = std::make_shared<device_buffer<T, Device>>(device, "softmax: y or dx", n);
  ready made;
  made.run = [=] {
    if (forward)
      softmax::gpu::forward<Device, T>(device, {in->data(), size}, {out->data(), size});
    else
      softmax::gpu::backward<Device, T>(device, {in->data(), size}, {upstream->data(), size}, {out->data(), size});
  };
  made.run();
  const std::vector<T> ours = out->download();
  const softmax::shape s{size[0], size[1]};
  const double promised = forward ? softmax::promise_forward(s) : softmax::promise_backward(s) * largest_of(dy);
  for (std::size_t i = 0; i < n; ++i)
    made.check.add(std::abs(to_f64(ours[i]) - wanted[i]), rounding<float>(promised) + storage_rounding<T>(wanted[i]));
  made.timed_run = timed_on(device, made.run);
  return made;
}

template <CudaDevice Device>
ready prepare_softmax(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  return with_type(kernel.dtype, [&](auto type) { return prepare_softmax_of<decltype(type)>(device, kernel, sizes); });
}

}  // namespace hocket::bench
