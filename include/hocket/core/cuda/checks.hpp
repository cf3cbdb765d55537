// Checks that every CUDA launcher makes of its views, and the choice of an entry point by element type.
#pragma once

#include <cstdint>
#include <limits>
#include <type_traits>

#include <hocket/core/cuda/launch.cuh>
#include <hocket/core/view.hpp>

namespace hocket {

/// A dense view of the given shape that lies on the device; kernels count in 32 bits.
template <CudaDevice Device, class T, std::size_t Rank>
void require_on_device(const Device& device, const char* what, view<T, Rank> a, const shape<Rank>& wanted) {
  expects(a.extents() == wanted, errc::unsupported_shape, what, ": ", to_text(a.extents()), " does not match ",
          to_text(wanted));
  expects(a.dense(), errc::misaligned, what, ": rows must follow each other without padding");
  for (const std::size_t extent : wanted)
    expects(extent <= std::numeric_limits<unsigned>::max() / 2, errc::unsupported_shape, what, ": ", to_text(wanted),
            " has a dimension above 2^31");
  require_device_memory(device, what, a.data(), a.size() * sizeof(T));
}

/// A launch of one warp a row, `warps_per_block` of them in a block.
inline launch_shape warp_per_row(std::size_t rows, unsigned warps_per_block) {
  return {
      {static_cast<unsigned>((rows + warps_per_block - 1) / warps_per_block), 1, 1}, {32 * warps_per_block, 1, 1}, 0};
}

/// The entry point of T among those of float, f16 and bf16.
template <class T, class F32, class F16, class Bf16>
constexpr auto by_type(F32 f32_entry, F16 f16_entry, Bf16 bf16_entry) {
  if constexpr (std::is_same_v<std::remove_const_t<T>, float>)
    return f32_entry;
  else if constexpr (std::is_same_v<std::remove_const_t<T>, f16>)
    return f16_entry;
  else
    return bf16_entry;
}

/// An entry point and the name that profilers and launch counts show.
template <class Kernel>
struct entry {
  const char* name;
  Kernel kernel;
};
template <class Kernel>
entry(const char*, Kernel) -> entry<Kernel>;

/// The entry point <stem>_f32, <stem>_f16 or <stem>_bf16, by element type.
#define HOCKET_ENTRY(T, stem)                                        \
  ::hocket::entry {                                                  \
    ::hocket::by_type<T>(#stem "_f32", #stem "_f16", #stem "_bf16"), \
        ::hocket::by_type<T>(&stem##_f32, &stem##_f16, &stem##_bf16) \
  }

}  // namespace hocket
