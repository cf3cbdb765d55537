// Attention as arms: `batch`, `heads`, `queries` (as many keys), the head width of the variant; dense, no mask.
// dq_d<width> is the whole backward pass, three kernels. `flash` of gpu-day is another library's forward pass on the
// same sizes.
#pragma once

#include <hocket/kernels/attention/cuda_launch.cuh>
#include <hocket/kernels/attention/reference.hpp>

#include "bench/cuda/prepare.hpp"
#include "bench/support/attention_gradients.hpp"

namespace hocket::bench {

template <class T, CudaDevice Device>
ready prepare_attention_of(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  namespace attention = kernels::attention;
  expects(kernel.variant.starts_with("forward_d") && !kernel.variant.ends_with("_drop"), errc::bad_option,
          "attention has no arm ", kernel.variant);
  const std::size_t batch = size_of(sizes, "batch"), heads = size_of(sizes, "heads"), rows = size_of(sizes, "queries"),
                    width = std::stoul(kernel.variant.substr(9)), n = batch * heads * rows * width;
  const attention::shape s{batch, heads, heads, rows, rows, width, 0, false, 0, attention::usual_scale(width)};
  const auto q = stored_values<T>(n, 1), k = stored_values<T>(n, 2), v = stored_values<T>(n, 3);
  struct operands {
    device_buffer<T, Device> q, k, v, out;
    device_buffer<float, Device> lse;
  };
  const std::shared_ptr<operands> on(new operands{{device, "attention: q", q},
                                                  {device, "attention: k", k},
                                                  {device, "attention: v", v},
                                                  {device, "attention: out", n},
                                                  {device, "attention: lse", batch * heads * rows}});
  const auto place = [=](const auto* data) { return attention::heads_outside(data, heads, rows, width); };
  ready made;
  made.run = [=] {
    const attention::inputs<T> in{place(std::as_const(on->q).data()), place(std::as_const(on->k).data()),
                                  place(std::as_const(on->v).data())};
    attention::gpu::forward<Device, T>(device, s, in,
                                       {attention::heads_outside(on->out.data(), heads, rows, width), on->lse.data()});
  };
  made.run();

  // Rows spread over items, heads and tiles: the definition takes minutes for all of a large problem.
  const std::vector<T> ours = on->out.download();
  const attention::inputs<T> in{place(q.data()), place(k.data()), place(v.data())};
  const std::size_t all = batch * heads * rows, checked = std::min<std::size_t>(all, 64);
  const double largest_v = largest_of(v);
  for (std::size_t c = 0; c < checked; ++c) {
    const std::size_t at = checked == all ? c : (c * 7919 + 13 * c / 2) % all;
    const std::size_t b = at / (heads * rows), h = at / rows % heads, i = at % rows;
    const auto row = attention::reference::row_at<T>(s, in, b, h, i);
    std::vector<double> wanted(width);
    double score = 0;
    for (std::size_t j = 0; j < row.keys.size(); ++j) {
      double terms = 0;
      for (std::size_t d = 0; d < width; ++d) {
        wanted[d] += row.p[j] * to_f64(row.keys[j].v[d]);
        terms += std::abs(to_f64(q[at * width + d]) * to_f64(row.keys[j].k[d]));
      }
      score = std::max(score, s.scale * terms);
    }
    // Tensor cores take probabilities rounded to T: half a unit of each, once more in their sum; a 16-bit float below
    // its normal numbers loses 2^-25 of the largest probability a key.
    const double rounded = 2 * storage_rounding<T>(largest_v) +
                           (std::is_same_v<T, f16> ? static_cast<double>(rows) * 0x1p-25 * largest_v : 0);
    for (std::size_t d = 0; d < width; ++d)
      made.check.add(
          std::abs(to_f64(ours[at * width + d]) - wanted[d]),
          rounding<float>(attention::promise_forward(s, score) * largest_v) + rounded + storage_rounding<T>(wanted[d]));
  }
  made.timed_run = timed_on(device, made.run);
  return made;
}

template <class T, CudaDevice Device>
ready prepare_attention_backward(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  namespace attention = kernels::attention;
  const std::size_t batch = size_of(sizes, "batch"), heads = size_of(sizes, "heads"), rows = size_of(sizes, "queries"),
                    width = std::stoul(kernel.variant.substr(4)), n = batch * heads * rows * width;
  const attention::shape s{batch, heads, heads, rows, rows, width, 0, false, 0, attention::usual_scale(width)};
  const auto q = stored_values<T>(n, 1), k = stored_values<T>(n, 2), v = stored_values<T>(n, 3),
             dout = stored_values<T>(n, 4);
  struct operands {
    device_buffer<T, Device> q, k, v, dout, out, dq, dk, dv;
    device_buffer<float, Device> lse, work;
  };
  const std::shared_ptr<operands> on(new operands{{device, "attention: q", q},
                                                  {device, "attention: k", k},
                                                  {device, "attention: v", v},
                                                  {device, "attention: dout", dout},
                                                  {device, "attention: out", n},
                                                  {device, "attention: dq", n},
                                                  {device, "attention: dk", n},
                                                  {device, "attention: dv", n},
                                                  {device, "attention: lse", batch * heads * rows},
                                                  {device, "attention: workspace", attention::gpu::workspace(s)}});
  const auto place = [=](auto* data) { return attention::heads_outside(data, heads, rows, width); };
  const auto read = [=](const device_buffer<T, Device>& x) { return place(x.data()); };
  const attention::inputs<T> in{read(on->q), read(on->k), read(on->v)};
  attention::gpu::forward<Device, T>(device, s, in, {place(on->out.data()), on->lse.data()});
  ready made;
  made.run = [=] {
    attention::gpu::backward<Device, T>(device, s, in, read(on->out), read(on->dout), on->lse.data(),
                                        {place(on->dq.data()), place(on->dk.data()), place(on->dv.data())},
                                        on->work.data());
  };
  made.run();

  // The first and the last head, some rows of a long one: the definition takes seconds a head.
  const std::vector<T> dq = on->dq.download(), dk = on->dk.download(), dv = on->dv.download();
  const std::size_t checked = std::min<std::size_t>(rows, 64);
  std::vector<std::size_t> at(checked);
  for (std::size_t c = 0; c < checked; ++c) at[c] = checked == rows ? c : c * (rows - 1) / (checked - 1);
  for (const std::size_t head : {std::size_t{0}, batch * heads - 1}) {
    const std::size_t first = head * rows * width;
    const auto picked = [&](const std::vector<T>& from) {
      std::vector<T> out;
      for (const std::size_t row : at)
        for (std::size_t d = 0; d < width; ++d) out.push_back(from[first + row * width + d]);
      return out;
    };
    attention_head<T>(&q[first], &k[first], &v[first], &dout[first], rows, width, s.scale, at)
        .add_to(made.check, {picked(dq), picked(dk), picked(dv)});
  }
  made.timed_run = timed_on(device, made.run);
  return made;
}

template <CudaDevice Device>
ready prepare_attention(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  return with_type(kernel.dtype, [&](auto type) {
    using T = decltype(type);
    return kernel.variant.starts_with("dq_d") ? prepare_attention_backward<T>(device, kernel, sizes)
                                              : prepare_attention_of<T>(device, kernel, sizes);
  });
}

}  // namespace hocket::bench
