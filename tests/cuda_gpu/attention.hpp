// Attention forward and backward on a device: the problems of tests/kernels/attention, for every padded head width,
// with dropout and without. One case runs all four kernels of its width.
#pragma once

#include <hocket/kernels/attention/cuda_launch.cuh>

#include "bench/cuda/prepare.hpp"
#include "cuda_gpu/room.hpp"
#include "kernels/attention/problem.hpp"

namespace hocket::gpu_tests {

/// Forward and backward pass of a problem on a device.
template <class T, CudaDevice Device>
attention_test::answers<T> attend(const attention_test::problem<T>& p, const Device& device) {
  namespace attention = kernels::attention;
  using on_device = device_buffer<T, Device>;
  const device_buffer<std::uint32_t, Device> query_lengths(device, "query lengths", p.query_lengths),
      key_lengths(device, "key lengths", p.key_lengths), query_starts(device, "query starts", p.q.starts),
      key_starts(device, "key starts", p.kv.starts);
  const on_device q(device, "q", p.q_data), k(device, "k", p.k), v(device, "v", p.v),
      prefix_k(device, "prefix k", p.prefix_k), prefix_v(device, "prefix v", p.prefix_v), dout(device, "dout", p.dout);
  const device_buffer<float, Device> bias(device, "bias", p.bias);
  const attention::inputs<T> in =
      p.inputs(q.data(), k.data(), v.data(), prefix_k.data(), prefix_v.data(), bias.data(),
               {query_lengths.data(), key_lengths.data(), query_starts.data(), key_starts.data()});
  const std::size_t rows = attention::gpu::workspace(p.s);
  on_device out(device, "out", p.q.size), dq(device, "dq", p.q.size), dk(device, "dk", p.kv.size),
      dv(device, "dv", p.kv.size), dprefix_k(device, "dprefix k", p.prefix.size),
      dprefix_v(device, "dprefix v", p.prefix.size);
  device_buffer<float, Device> lse(device, "lse", rows), work(device, "workspace", rows);
  // What no kernel writes must stay what it was: padding is NaN.
  const std::vector<T> nan(std::max({p.q.size, p.kv.size, p.prefix.size}), from_f32<T>(NAN));
  for (on_device* each : {&out, &dq, &dk, &dv, &dprefix_k, &dprefix_v}) each->upload(nan.data(), each->size());
  attention::gpu::forward<Device, T>(device, p.s, in, {p.q.over(out.data()), lse.data()});
  const T* const kept = out.data();
  attention::gpu::backward<Device, T>(device, p.s, in, p.q.over(kept), p.q.over(dout.data()), lse.data(),
                                      {p.q.over(dq.data()), p.kv.over(dk.data()), p.kv.over(dv.data()),
                                       p.prefix.over(dprefix_k.data()), p.prefix.over(dprefix_v.data())},
                                      work.data());
  return {out.download(),       dq.download(),        dk.download(), dv.download(),
          dprefix_k.download(), dprefix_v.download(), lse.download()};
}

template <CudaDevice Device>
bench::ready check_attention(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  const std::size_t padded = std::stoul(kernel.variant.substr(kernel.variant.find("_d") + 2));
  const auto of = [&](const char* name) { return bench::size_of(sizes, name); };
  attention_test::trial t{of("batch"),    of("heads"),
                          of("kv_heads"), of("queries"),
                          of("keys"),     padded - of("narrower"),
                          of("prefix"),   of("causal") != 0,
                          of("window"),   static_cast<attention_test::lengths>(of("lengths"))};
  if (kernel.variant.ends_with("_drop")) t.dropout = 0.3;
  return bench::with_type(kernel.dtype, [&](auto type) {
    using T = decltype(type);
    const attention_test::problem<T> p(t);
    bench::ready made;
    made.check = attention_test::judge(p, p.expected(), p.peer(), p.magnitudes(), attend<T>(p, device));
    return made;
  });
}

template <CudaDevice Device>
room<Device> attention_room() {
  const auto size = [](std::size_t batch, std::size_t heads, std::size_t kv_heads, std::size_t queries,
                       std::size_t keys, std::size_t narrower, std::size_t prefix, std::size_t causal,
                       std::size_t window, std::size_t lengths) {
    return dimensions{{"batch", batch},     {"heads", heads},      {"kv_heads", kv_heads}, {"queries", queries},
                      {"keys", keys},       {"prefix", prefix},    {"causal", causal},     {"window", window},
                      {"lengths", lengths}, {"narrower", narrower}};
  };
  const auto launches = [](const cuda_kernel& kernel, const dimensions&) -> std::vector<std::string> {
    if (!kernel.variant.starts_with("forward")) return {};
    const std::string width = kernel.variant.substr(kernel.variant.find("_d")) + "_" + kernel.dtype;
    return {kernel.name, "hocket_attention_dq" + width, "hocket_attention_dkv" + width,
            "hocket_attention_delta_" + kernel.dtype};
  };
  return {"attention",
          {size(2, 2, 1, 17, 15, 0, 3, 1, 0, 1), size(2, 1, 1, 13, 13, 25, 0, 1, 4, 3)},
          {size(1, 2, 1, 65, 63, 0, 5, 1, 9, 0), size(2, 4, 2, 200, 333, 3, 7, 0, 0, 2),
           size(3, 2, 2, 257, 257, 0, 0, 1, 0, 3)},
          &check_attention<Device>,
          launches};
}

}  // namespace hocket::gpu_tests
