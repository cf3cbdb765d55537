// The pooling kernels as arms: `items`, `longest` of their lengths (`ragged` 1) or the length of all (0), `columns`,
// `mean` 1 or 0 (the first row).
#pragma once

#include <hocket/kernels/pooling/cuda_launch.cuh>
#include <hocket/kernels/pooling/reference.hpp>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

/// Items of lengths 0 to `longest` with a row that belongs to none before each and at the end.
struct pooling_case {
  pooling_case(std::size_t items, std::size_t longest_item, std::size_t width, kernels::pooling::pool which,
               bool ragged = true)
      : longest(longest_item), columns(width), kind(which) {
    philox random(9);
    std::uint32_t next = 1;
    for (std::size_t b = 0; b < items; ++b) {
      // the first is the longest, the second is empty
      const std::uint64_t length = !ragged || b == 0 ? longest : b == 1 ? 0 : random.next_below(longest + 1);
      lengths.push_back(static_cast<std::uint32_t>(length));
      starts.push_back(next);
      next += lengths.back() + 1;
      used.insert(used.end(), 1, false);
      used.insert(used.end(), lengths.back(), true);
    }
    used.push_back(false);
    rows = used.size();
  }
  kernels::pooling::ragged at() const { return {starts, lengths}; }
  std::size_t longest, columns, rows = 0;
  kernels::pooling::pool kind;
  std::vector<std::uint32_t> starts, lengths;
  std::vector<bool> used;  ///< rows that belong to an item
};

template <class T, CudaDevice Device>
struct pooling_operands {
  pooling_operands(const Device& device, const pooling_case& c, const std::vector<T>& in, const std::vector<T>& out)
      : from(device, "pooling: from", in),
        to(device, "pooling: to", out),
        starts(device, "pooling: starts", c.starts),
        lengths(device, "pooling: lengths", c.lengths) {}
  kernels::pooling::gpu::device_ragged at() {
    return {{starts.data(), {starts.size()}}, {lengths.data(), {lengths.size()}}};
  }
  device_buffer<T, Device> from, to;
  device_buffer<std::uint32_t, Device> starts, lengths;
};

template <class T, CudaDevice Device>
ready prepare_pooling_forward(const Device& device, const pooling_case& c) {
  namespace pooling = kernels::pooling;
  const shape<2> wide{c.rows, c.columns}, small{c.lengths.size(), c.columns};
  std::vector<T> x = stored_values<T>(wide[0] * wide[1], 6), nothing(small[0] * small[1]);
  const auto finite = widened(x);
  for (std::size_t i = 0; i < x.size(); ++i)
    if (!c.used[i / c.columns]) x[i] = from_f32<T>(std::numeric_limits<float>::quiet_NaN());
  const auto on = std::make_shared<pooling_operands<T, Device>>(device, c, x, nothing);
  ready made;
  made.run = [=, kind = c.kind] {
    pooling::gpu::forward<Device, T>(device, kind, on->at(), {on->from.data(), wide}, {on->to.data(), small});
  };
  made.run();

  std::vector<double> wanted(nothing.size()), magnitude(wanted.size());
  std::vector<float> sizes = finite;
  for (float& v : sizes) v = std::abs(v);
  pooling::reference::forward<float>(c.kind, c.at(), {finite.data(), wide}, {wanted.data(), small});
  pooling::reference::forward<float>(c.kind, c.at(), {sizes.data(), wide}, {magnitude.data(), small});
  const std::vector<T> y = on->to.download();
  for (std::size_t i = 0; i < y.size(); ++i)
    made.check.add(
        std::abs(to_f64(y[i]) - wanted[i]),
        rounding<float>(pooling::gpu::promise_forward(c.longest) * magnitude[i]) + storage_rounding<T>(wanted[i]));
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->to); };
  return made;
}

template <CudaDevice Device>
ready prepare_pooling_backward(const Device& device, const pooling_case& c, bool add) {
  namespace pooling = kernels::pooling;
  const shape<2> wide{c.rows, c.columns}, small{c.lengths.size(), c.columns};
  const auto dy = stored_values<float>(small[0] * small[1], 8), before = stored_values<float>(wide[0] * wide[1], 5);
  const auto on = std::make_shared<pooling_operands<float, Device>>(device, c, dy, before);
  ready made;
  made.run = [=, kind = c.kind] {
    pooling::gpu::backward(device, kind, on->at(), {std::as_const(on->from).data(), small}, add, {on->to.data(), wide});
  };
  made.run();

  std::vector<double> slopes(before.size());
  pooling::reference::backward<float>(c.kind, c.at(), {dy.data(), small}, {slopes.data(), wide});
  const std::vector<float> dx = on->to.download();
  for (std::size_t i = 0; i < dx.size(); ++i) {
    const double was = static_cast<double>(before[i]);
    if (c.used[i / c.columns])
      made.check.add(std::abs(static_cast<double>(dx[i]) - slopes[i] - (add ? was : 0)),
                     rounding<float>(2 * (std::abs(slopes[i]) + std::abs(was))));
    else
      made.check.add(static_cast<double>(dx[i]) == was ? 0 : 1, 0);
  }
  made.timed_run = timed_on(device, made.run);
  made.written = [on] { return bytes_of(on->to); };
  return made;
}

template <CudaDevice Device>
ready prepare_pooling(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  using kernels::pooling::pool;
  const pooling_case c(size_of(sizes, "items"), size_of(sizes, "longest"), size_of(sizes, "columns"),
                       size_of(sizes, "mean") == 1 ? pool::mean : pool::first, size_of(sizes, "ragged") == 1);
  if (kernel.variant == "backward") return prepare_pooling_backward(device, c, false);
  expects(kernel.variant == "forward", errc::bad_option, "pooling has no arm ", kernel.variant);
  return with_type(kernel.dtype, [&](auto type) { return prepare_pooling_forward<decltype(type), Device>(device, c); });
}

}  // namespace hocket::bench
