// The kernels that bring rows to length 1 as arms: `rows`, `columns`.
#pragma once

#include <hocket/kernels/unit_rows/cuda_launch.cuh>
#include <hocket/kernels/unit_rows/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

/// Normal values; every third row is shorter than `least`, the first of them zero.
template <class T>
std::vector<T> rows_to_shorten(const shape<2>& size) {
  std::vector<T> x = stored_values<T>(size[0] * size[1], 1);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (const std::size_t row = i / size[1]; row % 3 == 2)
      x[i] = from_f32<T>(row == 2 ? 0.0f : to_f32(x[i]) * 0x1p-10f);
  return x;
}
inline constexpr float least_length = 0x1p-4f;

template <class T, CudaDevice Device>
ready prepare_unit_rows_forward(const Device& device, const shape<2>& size) {
  namespace unit_rows = kernels::unit_rows;
  const auto x = rows_to_shorten<T>(size);
  struct operands {
    device_buffer<T, Device> x, y;
    device_buffer<float, Device> lengths;
  };
  const std::shared_ptr<operands> on(new operands{
      {device, "unit_rows: x", x}, {device, "unit_rows: y", x.size()}, {device, "unit_rows: lengths", size[0]}});
  ready made;
  made.run = [=] {
    unit_rows::gpu::forward<Device, T>(device, {on->x.data(), size}, least_length, {on->y.data(), size},
                                       {on->lengths.data(), {size[0]}});
  };
  made.run();
  const std::vector<float> wide = widened(x), lengths = on->lengths.download();
  const view<const float, 2> exact(wide.data(), size);
  std::vector<double> wanted(x.size());
  unit_rows::reference::forward<float>(exact, least_length, {wanted.data(), size});
  const std::vector<T> y = on->y.download();
  for (std::size_t i = 0; i < y.size(); ++i)
    made.check.add(std::abs(to_f64(y[i]) - wanted[i]), rounding<float>(4) + storage_rounding<T>(wanted[i]));
  for (std::size_t r = 0; r < size[0]; ++r) {
    const double length = unit_rows::reference::length_of<float>(exact[r]);
    made.check.add(std::abs(static_cast<double>(lengths[r]) - length), rounding<float>(length));
  }
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->y, on->lengths); };
  return made;
}

template <CudaDevice Device>
ready prepare_unit_rows_backward(const Device& device, const shape<2>& size, bool add) {
  namespace unit_rows = kernels::unit_rows;
  const auto x = rows_to_shorten<float>(size), dy = stored_values<float>(x.size(), 2),
             before = stored_values<float>(x.size(), 3);
  const view<const float, 2> exact(x.data(), size);
  std::vector<double> unit(x.size()), wanted(x.size());
  unit_rows::reference::forward<float>(exact, least_length, {unit.data(), size});
  unit_rows::reference::backward<float>(exact, least_length, {dy.data(), size}, {wanted.data(), size});
  std::vector<float> y(unit.begin(), unit.end()), lengths(size[0]);
  for (std::size_t r = 0; r < size[0]; ++r)
    lengths[r] = static_cast<float>(unit_rows::reference::length_of<float>(exact[r]));
  struct operands {
    device_buffer<float, Device> y, lengths, dy, dx;
  };
  const std::shared_ptr<operands> on(new operands{{device, "unit_rows: y", y},
                                                  {device, "unit_rows: lengths", lengths},
                                                  {device, "unit_rows: dy", dy},
                                                  {device, "unit_rows: dx", before}});
  ready made;
  made.run = [=] {
    unit_rows::gpu::backward(device, {std::as_const(on->y).data(), size},
                             {std::as_const(on->lengths).data(), {size[0]}}, least_length,
                             {std::as_const(on->dy).data(), size}, add, {on->dx.data(), size});
  };
  made.run();
  const std::vector<float> dx = on->dx.download();
  const double steepest = largest_of(dy) * std::sqrt(static_cast<double>(size[1]));
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const double by = static_cast<double>(std::max(lengths[i / size[1]], least_length));
    const double was = add ? static_cast<double>(before[i]) : 0;
    // y and the lengths that it reads were rounded too: once more what the kernel itself may be off
    made.check.add(std::abs(static_cast<double>(dx[i]) - was - wanted[i]),
                   rounding<float>(2 * 4 * steepest / by + std::abs(was)));
  }
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->dx); };
  return made;
}

template <CudaDevice Device>
ready prepare_unit_rows(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  const shape<2> size{size_of(sizes, "rows"), size_of(sizes, "columns")};
  if (kernel.variant == "backward") return prepare_unit_rows_backward(device, size, false);
  expects(kernel.variant == "forward", errc::bad_option, "unit_rows has no arm ", kernel.variant);
  return with_type(kernel.dtype,
                   [&](auto type) { return prepare_unit_rows_forward<decltype(type), Device>(device, size); });
}

}  // namespace hocket::bench
