// Launchers of the cross-entropy kernels: validate, choose the grid, start. They do not wait.
#pragma once

#include <cstdint>

#include <hocket/core/cuda/checks.hpp>
#include <hocket/kernels/cross_entropy/cuda.cuh>

namespace hocket::kernels::cross_entropy::gpu {

/// Labels (rows) with smoothing, or soft targets (rows, classes), on the device; the other is empty. A label is below
/// the number of classes, or `ignored`.
struct device_targets {
  view<const std::uint32_t, 1> labels = {};
  view<const float, 2> soft = {};
  float smoothing = 0;
};

/// Promised error in epsilon x (1 + max |z|) sum |q|, x scale for dz: sums over the lanes in trees of depth 5 after
/// runs of classes / 32, exponentials and the logarithm.
inline double promise(const shape& s) { return 16 + static_cast<double>(s.classes) / 32; }

namespace detail {

template <CudaDevice Device>
goals goals_of(const Device& device, view<const float, 2> z, const device_targets& t) {
  require_on_device(device, "cross_entropy: z", z, z.extents());
  if (t.soft.data()) {
    require_on_device(device, "cross_entropy: soft targets", t.soft, z.extents());
    expects(t.labels.data() == nullptr && t.smoothing == 0, errc::bad_option,
            "cross_entropy: soft targets and labels or smoothing at once");
  } else {
    require_on_device(device, "cross_entropy: labels", t.labels, {z.extent(0)});
    expects(t.smoothing >= 0 && t.smoothing <= 1, errc::bad_option, "cross_entropy: smoothing of ", t.smoothing,
            "; it must be between 0 and 1");
  }
  return {t.labels.data(), t.soft.data(), t.smoothing};
}

}  // namespace detail

/// loss (rows) of z (rows, classes), and what the backward pass needs (rows, 2).
template <CudaDevice Device>
void forward(const Device& device, view<const float, 2> z, const device_targets& t, view<float, 1> loss,
             view<float, 2> kept) {
  const goals q = detail::goals_of(device, z, t);
  require_on_device(device, "cross_entropy: loss", loss, {z.extent(0)});
  require_on_device(device, "cross_entropy: kept", kept, {z.extent(0), 2});
  if (z.extent(0) == 0) return;
  launch(device, "hocket_crossentropy_forward_f32", warp_per_row(z.extent(0), warps_per_block),
         &hocket_crossentropy_forward_f32, z.data(), q, loss.data(), kept.data(), static_cast<unsigned>(z.extent(0)),
         static_cast<unsigned>(z.extent(1)));
}

/// dz (rows, classes) for a loss that weighs every row by `scale`; replaces or adds.
template <CudaDevice Device>
void backward(const Device& device, view<const float, 2> z, const device_targets& t, view<const float, 2> kept,
              float scale, bool add, view<float, 2> dz) {
  const goals q = detail::goals_of(device, z, t);
  require_on_device(device, "cross_entropy: kept", kept, {z.extent(0), 2});
  require_on_device(device, "cross_entropy: dz", dz, z.extents());
  if (z.empty()) return;
  launch(device, "hocket_crossentropy_backward_f32", warp_per_row(z.extent(0), warps_per_block),
         &hocket_crossentropy_backward_f32, z.data(), q, kept.data(), scale, add, dz.data(),
         static_cast<unsigned>(z.extent(0)), static_cast<unsigned>(z.extent(1)));
}

}  // namespace hocket::kernels::cross_entropy::gpu
