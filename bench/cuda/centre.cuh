// The centring kernels as arms: `n` rows, `d` columns. `column_sums` is the means of the columns, two kernels.
#pragma once

#include <hocket/kernels/centre/cuda_launch.cuh>

#include "bench/cuda/prepare.hpp"

namespace hocket::bench {

template <CudaDevice Device>
ready prepare_centre(const Device& device, const cuda_kernel& kernel, const dimensions& sizes) {
  namespace centre = kernels::centre::gpu;
  const std::size_t n = size_of(sizes, "n"), d = size_of(sizes, "d");
  const bool sums = kernel.variant == "column_sums";
  expects(sums || kernel.variant == "subtract", errc::bad_option, "centre has no arm ", kernel.variant);
  std::vector<float> x = stored_values<float>(n * d, 1);
  for (std::size_t e = 0; e < x.size(); ++e) x[e] += static_cast<float>(1000 * (e % d % 3));  // spreads off the origin
  std::vector<long double> mean(d), far(d);
  for (std::size_t e = 0; e < x.size(); ++e) {
    const auto value = static_cast<long double>(x[e]);
    mean[e % d] += value / static_cast<long double>(n);
    far[e % d] = std::max(far[e % d], std::abs(value - static_cast<long double>(x[e % d])));
  }
  std::vector<float> means(2 * d);  // high parts, then what they round away
  for (std::size_t j = 0; j < d; ++j) {
    means[j] = static_cast<float>(mean[j]);
    means[d + j] = static_cast<float>(mean[j] - static_cast<long double>(means[j]));
  }
  struct operands {
    device_buffer<float, Device> x, means, sums, out, squares;
  };
  const std::shared_ptr<operands> on(new operands{
      {device, "centre: x", x},
      {device, "centre: means", means},
      {device, "centre: sums", sums ? 2 * centre::groups_of(n) * d : 0},
      {device, "centre: out", sums ? 0 : n * d},
      {device, "centre: squares", sums ? 0 : centre::squares_of(n, d)},
  });
  ready made;
  made.run = [=] {
    const view<const float, 2> rows(std::as_const(on->x).data(), {n, d});
    float* const high = on->means.data();
    if (sums)
      centre::column_means(device, rows, high, high + d, on->sums.data());
    else
      centre::subtract(device, rows, high, high + d, view<float, 2>(on->out.data(), {n, d}), on->squares.data());
  };
  if (sums) on->means.fill_zero();
  made.run();

  if (sums) {  // errors of a compensated sum are of second order
    const std::vector<float> ours = on->means.download();
    for (std::size_t j = 0; j < d; ++j) {
      const long double found = static_cast<long double>(ours[j]) + static_cast<long double>(ours[d + j]);
      made.check.add(static_cast<double>(std::abs(found - mean[j])),
                     rounding<float>(rounding<float>(static_cast<double>(std::abs(mean[j]))) +
                                     centre::means_promise(n) * static_cast<double>(far[j])));
    }
  } else {
    const std::vector<float> ours = on->out.download();
    long double energy = 0;
    for (std::size_t e = 0; e < x.size(); ++e) {  // two subtractions, each rounded once
      const long double wanted = static_cast<long double>(x[e]) - static_cast<long double>(means[e % d]) -
                                 static_cast<long double>(means[d + e % d]);
      energy += wanted * wanted;
      made.check.add(
          static_cast<double>(std::abs(static_cast<long double>(ours[e]) - wanted)),
          rounding<float>(static_cast<double>(std::abs(wanted)) + std::abs(static_cast<double>(means[d + e % d]))));
    }
    double total = 0;
    for (const float part : on->squares.download()) total += static_cast<double>(part);
    made.check.add(std::abs(total - static_cast<double>(energy)), 4 * rounding<float>(static_cast<double>(energy)));
  }
  made.timed_run = timed_on(device, made.run);
  return made;
}

}  // namespace hocket::bench
