// Joining the products of groups of rows: f32 sums run over at most group_rows rows, groups are added in order in f64.
//
// Ladder
//   1  one f32 product over all rows: its error grows with N, and a small result (D x D) fills few blocks of a card.
//   2  one product per group of rows, side by side in one launch, and this join: the error no longer depends on N.
//   -  f64 products: 1/2 to 1/64 of the speed of f32.
#pragma once

#include <hocket/core/cuda/seam.cuh>

namespace hocket::kernels::covariance::gpu {

inline constexpr unsigned threads = 256;

/// sums[i] (+)= parts[g count + i] over all groups g, in order.
HOCKET_DEVICE void join(const float* parts, double* sums, unsigned groups, unsigned count, bool add) {
  const unsigned i = cu::global_index();
  if (!cu::inside(i < count)) return;
  double sum = add ? sums[i] : 0.0;
  for (unsigned g = 0; g < groups; ++g) sum += static_cast<double>(parts[static_cast<std::size_t>(g) * count + i]);
  sums[i] = sum;
}

HOCKET_DEVICE void narrow(const double* wide, float* out, unsigned count) {
  const unsigned i = cu::global_index();
  if (cu::inside(i < count)) out[i] = static_cast<float>(wide[i]);
}

}  // namespace hocket::kernels::covariance::gpu

// launch: grid ceil(count / 256); block 256; shared 0
HOCKET_KERNEL(hocket_covariance_join_f64)
(const float* parts, double* sums, unsigned groups, unsigned count, bool add) {
  hocket::kernels::covariance::gpu::join(parts, sums, groups, count, add);
}
// launch: grid ceil(count / 256); block 256; shared 0
HOCKET_KERNEL(hocket_covariance_narrow_f32)(const double* wide, float* out, unsigned count) {
  hocket::kernels::covariance::gpu::narrow(wide, out, count);
}
