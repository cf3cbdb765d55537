// The epilogue's kernels as arms: `rows`, `columns`, `act` (the activation's number), `percent` dropped. The backward
// pass is one arm: du, then the bias gradient.
#pragma once

#include <hocket/kernels/epilogue/cuda_launch.cuh>
#include <hocket/kernels/epilogue/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

/// Bias, residual and a bias gradient that is added to are there or are not.
struct epilogue_case {
  kernels::epilogue::shape size;
  bool extras = true;
};

template <class T, CudaDevice Device>
ready prepare_epilogue_forward(const Device& device, const epilogue_case& c) {
  namespace epilogue = kernels::epilogue;
  const shape<2> size{c.size.rows, c.size.columns};
  const std::size_t n = size[0] * size[1], columns = size[1];
  const auto x = stored_values<T>(n, 3, 3), residual = stored_values<T>(n, 4), bias = stored_values<T>(columns, 6);
  struct operands {
    device_buffer<T, Device> x, residual, bias, u, y;
  };
  const std::shared_ptr<operands> on(new operands{{device, "epilogue: x", x},
                                                  {device, "epilogue: residual", residual},
                                                  {device, "epilogue: bias", bias},
                                                  {device, "epilogue: u", n},
                                                  {device, "epilogue: y", n}});
  ready made;
  made.run = [=] {
    epilogue::gpu::forward<Device, T>(device, {on->x.data(), size}, {c.extras ? on->bias.data() : nullptr, {columns}},
                                      {c.extras ? on->residual.data() : nullptr, size}, {on->y.data(), size},
                                      c.size.act, c.size.drop, {c.extras ? on->u.data() : nullptr, size});
  };
  if (!c.extras) on->u.fill_zero();
  made.run();

  const auto wide_x = widened(x), wide_residual = widened(residual), wide_bias = widened(bias);
  std::vector<double> wanted(n);
  epilogue::reference::forward<float>(c.size, {wide_x.data(), size}, {c.extras ? wide_bias.data() : nullptr, {columns}},
                                      {c.extras ? wide_residual.data() : nullptr, size}, {wanted.data(), size});
  const std::vector<T> y = on->y.download(), u = on->u.download();
  for (std::size_t i = 0; i < n; ++i) {
    const double b = c.extras ? static_cast<double>(wide_bias[i % columns]) : 0,
                 r = c.extras ? static_cast<double>(wide_residual[i]) : 0, exact = static_cast<double>(wide_x[i]) + b;
    const double magnitude = std::abs(static_cast<double>(wide_x[i])) + std::abs(b) + std::abs(r) + 1;
    made.check.add(std::abs(to_f64(y[i]) - wanted[i]),
                   rounding<float>(epilogue::promise_forward(c.size) * magnitude) + storage_rounding<T>(wanted[i]));
    if (c.extras)
      made.check.add(std::abs(to_f64(u[i]) - exact), rounding<float>(std::abs(exact)) + storage_rounding<T>(exact));
  }
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->u, on->y); };
  return made;
}

template <CudaDevice Device>
ready prepare_epilogue_backward(const Device& device, const epilogue_case& c) {
  namespace epilogue = kernels::epilogue;
  const shape<2> size{c.size.rows, c.size.columns};
  const std::size_t n = size[0] * size[1], columns = size[1], work = epilogue::gpu::workspace(c.size);
  const auto dy = stored_values<float>(n, 5), u = stored_values<float>(n, 3, 3);
  struct operands {
    device_buffer<float, Device> dy, u, du, dbias, work;
  };
  const std::shared_ptr<operands> on(new operands{{device, "epilogue: dy", dy},
                                                  {device, "epilogue: u", u},
                                                  {device, "epilogue: du", n},
                                                  {device, "epilogue: dbias", columns},
                                                  {device, "epilogue: workspace", work}});
  on->dbias.fill_zero();
  ready made;
  made.run = [=] {
    epilogue::gpu::backward(device, {std::as_const(on->dy).data(), size}, {std::as_const(on->u).data(), size},
                            {on->du.data(), size}, {on->dbias.data(), {columns}}, false, {on->work.data(), {work}},
                            c.size.act, c.size.drop);
    if (c.extras)  // the gradient once more, added to what is there
      epilogue::gpu::backward(device, {std::as_const(on->dy).data(), size}, {std::as_const(on->u).data(), size},
                              {on->du.data(), size}, {on->dbias.data(), {columns}}, true, {on->work.data(), {work}},
                              c.size.act, c.size.drop);
  };
  made.run();

  std::vector<double> wanted(n), wanted_bias(columns), sizes(columns);
  epilogue::reference::backward<float>(c.size, {dy.data(), size}, {u.data(), size}, {wanted.data(), size},
                                       {wanted_bias.data(), {columns}});
  const std::vector<float> du = on->du.download(), dbias = on->dbias.download();
  const double units = epilogue::promise_backward(c.size), steepest = largest_of(dy), times = c.extras ? 2 : 1;
  for (std::size_t i = 0; i < n; ++i) {
    sizes[i % columns] += std::abs(wanted[i]) + rounding<float>(units * steepest);
    made.check.add(std::abs(static_cast<double>(du[i]) - wanted[i]), rounding<float>(units * steepest));
  }
  for (std::size_t j = 0; j < columns; ++j)
    made.check.add(std::abs(static_cast<double>(dbias[j]) - times * wanted_bias[j]),
                   times * rounding<float>(epilogue::gpu::promise_bias(c.size.rows) * sizes[j] +
                                           units * steepest * static_cast<double>(c.size.rows)));
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->du, on->dbias); };
  return made;
}

template <CudaDevice Device>
ready prepare_epilogue(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  namespace epilogue = kernels::epilogue;
  epilogue_case c;
  c.size = {size_of(sizes, "rows"), size_of(sizes, "columns"), static_cast<epilogue::activation>(size_of(sizes, "act")),
            epilogue::make_dropout(static_cast<double>(size_of(sizes, "percent")) / 100, 99, std::uint64_t{7} << 40)};
  if (kernel.variant == "backward") return prepare_epilogue_backward(device, c);
  expects(kernel.variant == "forward", errc::bad_option, "epilogue has no arm ", kernel.variant);
  return with_type(kernel.dtype,
                   [&](auto type) { return prepare_epilogue_forward<decltype(type), Device>(device, c); });
}

}  // namespace hocket::bench
