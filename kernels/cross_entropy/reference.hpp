// Cross entropy of the softmax of logits, row by row, and its gradient, from the definitions in the next wider type.
//   loss_r = -sum_k q_k ln p_k,   p = softmax(z),   dz_k = p_k sum q - q_k
// q is a row of `soft` targets, or (1 - smoothing) at the label plus smoothing / K everywhere (Szegedy et al.,
// "Rethinking the Inception architecture", 2016, sec. 7). A row whose label is `ignored` has loss and gradient 0.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

#include <hocket/core/dtype.hpp>
#include <hocket/core/view.hpp>

namespace hocket::kernels::cross_entropy {

inline constexpr std::uint32_t ignored = std::numeric_limits<std::uint32_t>::max();

struct shape {
  std::size_t rows = 0, classes = 0;
};

/// Labels with smoothing, or soft targets (rows, classes); the other is empty.
template <Real T>
struct targets {
  std::span<const std::uint32_t> labels = {};
  view<const T, 2> soft = {};
  T smoothing = 0;
};

namespace reference {

template <Real T>
using wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

template <Real T>
wide<T> target(const targets<T>& t, std::size_t r, std::size_t k, std::size_t classes) {
  if (t.soft.data()) return static_cast<wide<T>>(t.soft(r, k));
  const wide<T> even = static_cast<wide<T>>(t.smoothing) / static_cast<wide<T>>(classes);
  return even + (t.labels[r] == k ? 1 - static_cast<wide<T>>(t.smoothing) : wide<T>{0});
}
template <Real T>
wide<T> log_sum_exp(view<const T, 2> z, std::size_t r) {
  wide<T> largest = -std::numeric_limits<wide<T>>::infinity(), sum = 0;
  for (const T v : z[r]) largest = largest < static_cast<wide<T>>(v) ? static_cast<wide<T>>(v) : largest;
  for (const T v : z[r]) sum += std::exp(static_cast<wide<T>>(v) - largest);
  return largest + std::log(sum);
}

/// loss (rows) of z (rows, classes).
template <Real T>
void forward(view<const T, 2> z, const targets<T>& t, view<wide<T>, 1> loss) {
  for (std::size_t r = 0; r < z.extent(0); ++r) {
    loss[r] = 0;
    if (!t.soft.data() && t.labels[r] == ignored) continue;
    const wide<T> lse = log_sum_exp(z, r);
    for (std::size_t k = 0; k < z.extent(1); ++k)
      loss[r] += target(t, r, k, z.extent(1)) * (lse - static_cast<wide<T>>(z(r, k)));
  }
}

/// dz (rows, classes) for a loss that weighs every row by `scale`.
template <Real T>
void backward(view<const T, 2> z, const targets<T>& t, T scale, view<wide<T>, 2> dz) {
  for (std::size_t r = 0; r < z.extent(0); ++r) {
    const bool counts = t.soft.data() || t.labels[r] != ignored;
    const wide<T> lse = counts ? log_sum_exp(z, r) : wide<T>{0};
    wide<T> total = 0;
    for (std::size_t k = 0; counts && k < z.extent(1); ++k) total += target(t, r, k, z.extent(1));
    for (std::size_t k = 0; k < z.extent(1); ++k)
      dz(r, k) = counts ? static_cast<wide<T>>(scale) *
                              (std::exp(static_cast<wide<T>>(z(r, k)) - lse) * total - target(t, r, k, z.extent(1)))
                        : wide<T>{0};
  }
}

}  // namespace reference
}  // namespace hocket::kernels::cross_entropy
