// Cross entropy on the CPU, forward and backward, f32 and f64. Classes are few beside an encoder's products.
//
// Ladder
//   1  a row at a time with the standard library's exponential; the log-sum-exp is kept, so that the backward pass
//      makes each probability with one exponential.
//   2  its two parts are kept, not their sum, and exponentials are summed in f64: the rounding of either was more than
//      twice PyTorch's error of a gradient at 4 rows of 33 classes.
//
// noexcept, no allocation; rows are independent, so the bits do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include <hocket/core/config.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/cross_entropy/reference.hpp>

namespace hocket::kernels::cross_entropy {

inline constexpr std::size_t rows_per_tile = 64;

namespace detail {
template <Real T>
bool counts(const targets<T>& t, std::size_t r) {
  return t.soft.data() || t.labels[r] != ignored;
}
template <Real T>
T target(const targets<T>& t, std::size_t r, std::size_t k, T even) {
  return t.soft.data() ? t.soft(r, k) : even + (t.labels[r] == k ? T{1} - t.smoothing : T{0});
}
}  // namespace detail

/// loss (rows) of z (rows, classes), and what the backward pass needs (rows, 2): the largest logit and the logarithm of
/// the sum of the exponentials of all differences to it.
template <Real T>
void forward(const cpu& device, const view<const T, 2>& z, const targets<T>& t, const view<T, 1>& loss,
             const view<T, 2>& kept) noexcept {
  const std::size_t rows = z.extent(0), classes = z.extent(1);
  const T even = t.smoothing / static_cast<T>(std::max<std::size_t>(classes, 1));
  for_each_tile(device, (rows + rows_per_tile - 1) / rows_per_tile, [&](std::size_t tile, std::size_t) {
    for (std::size_t r = tile * rows_per_tile; r < std::min(rows, (tile + 1) * rows_per_tile); ++r) {
      const T* const row = z.data() + r * z.stride(0);
      T largest = -std::numeric_limits<T>::infinity(), cost = 0;
      double sum = 0;  // an exponential costs more than its conversion
      for (std::size_t k = 0; k < classes; ++k) largest = largest < row[k] ? row[k] : largest;
      for (std::size_t k = 0; k < classes; ++k) sum += static_cast<double>(std::exp(row[k] - largest));
      const T log_sum = static_cast<T>(std::log(sum));
      // Differences to the largest logit, not to the log-sum-exp: the sum of both would be rounded first.
      if (detail::counts(t, r))
        for (std::size_t k = 0; k < classes; ++k) {
          const T q = detail::target(t, r, k, even);
          if (q != 0) cost += q * (log_sum - (row[k] - largest));
        }
      loss.data()[r] = cost;
      kept(r, 0) = largest;
      kept(r, 1) = log_sum;
    }
  });
}

/// dz (rows, classes) for a loss that weighs every row by `scale`; replaces or adds.
template <Real T>
void backward(const cpu& device, const view<const T, 2>& z, const targets<T>& t, const view<const T, 2>& kept, T scale,
              bool add, const view<T, 2>& dz) noexcept {
  const std::size_t rows = z.extent(0), classes = z.extent(1);
  const T even = t.smoothing / static_cast<T>(std::max<std::size_t>(classes, 1));
  for_each_tile(device, (rows + rows_per_tile - 1) / rows_per_tile, [&](std::size_t tile, std::size_t) {
    for (std::size_t r = tile * rows_per_tile; r < std::min(rows, (tile + 1) * rows_per_tile); ++r) {
      const bool counts = detail::counts(t, r);
      const T* const row = z.data() + r * z.stride(0);
      T* const out = dz.data() + r * dz.stride(0);
      T total = 1;  // of hard labels, smoothed or not
      if (t.soft.data()) {
        total = 0;
        for (std::size_t k = 0; k < classes; ++k) total += t.soft(r, k);
      }
      for (std::size_t k = 0; k < classes; ++k) {
        const T slope =
            counts ? scale * (std::exp(row[k] - kept(r, 0) - kept(r, 1)) * total - detail::target(t, r, k, even))
                   : T{0};
        out[k] = add ? out[k] + slope : slope;
      }
    }
  });
}

}  // namespace hocket::kernels::cross_entropy

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in instances.cpp
#define HOCKET_INSTANCE extern template
#include <hocket/kernels/cross_entropy/instances.inl>
#undef HOCKET_INSTANCE
#endif
