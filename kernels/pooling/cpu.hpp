// Pooling of ragged batches on the CPU, forward and backward. No padding is read or written.
//
// Ladder
//   1  an item a tile, its rows added in order along whole rows.
#pragma once

#include <algorithm>
#include <cstddef>

#include <hocket/core/config.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/pooling/reference.hpp>

namespace hocket::kernels::pooling {

/// y (items, columns) of x (rows, columns).
template <Real T>
void forward(const cpu& device, pool kind, const ragged& at, const view<const T, 2>& x, const view<T, 2>& y) noexcept {
  const std::size_t columns = x.extent(1);
  for_each_tile(device, at.lengths.size(), [&](std::size_t b, std::size_t) {
    T* HOCKET_RESTRICT const out = y.data() + b * y.stride(0);
    const T* const rows = x.data() + at.starts[b] * x.stride(0);
    if (at.lengths[b] == 0) {
      std::fill_n(out, columns, T{0});
      return;
    }
    std::copy_n(rows, columns, out);
    if (kind == pool::first) return;
    for (std::size_t t = 1; t < at.lengths[b]; ++t)
      for (std::size_t c = 0; c < columns; ++c) out[c] += rows[t * x.stride(0) + c];
    const T by = T{1} / static_cast<T>(at.lengths[b]);
    for (std::size_t c = 0; c < columns; ++c) out[c] *= by;
  });
}

/// dx (rows, columns) of dy (items, columns); replaces or adds.
template <Real T>
void backward(const cpu& device, pool kind, const ragged& at, const view<const T, 2>& dy, bool add,
              const view<T, 2>& dx) noexcept {
  const std::size_t columns = dy.extent(1);
  for_each_tile(device, at.lengths.size(), [&](std::size_t b, std::size_t) {
    const T* const from = dy.data() + b * dy.stride(0);
    for (std::size_t t = 0; t < at.lengths[b]; ++t) {
      const T by = kind == pool::mean ? T{1} / static_cast<T>(at.lengths[b]) : (t == 0 ? T{1} : T{0});
      T* HOCKET_RESTRICT const to = dx.data() + (at.starts[b] + t) * dx.stride(0);
      if (add)
        for (std::size_t c = 0; c < columns; ++c) to[c] += by * from[c];
      else
        for (std::size_t c = 0; c < columns; ++c) to[c] = by * from[c];
    }
  });
}

}  // namespace hocket::kernels::pooling

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/pooling/instances.inl>
#undef HOCKET_INSTANCE
#endif
