// Rows of softmax, forward and backward; compiled once per instruction set (core/simd_each.hpp). A row's bits depend on
// its values only. What is left over at the end of a row goes through the same instructions as the rest.

namespace hocket::kernels::softmax::HOCKET_SIMD_NS {

#include <hocket/core/simd_lanes.inl>
#include <hocket/kernels/softmax/exp.inl>

inline constexpr std::size_t at_once = 4;  ///< registers a step: four sums in flight, added in a tree

/// y (n) = softmax of x (n); y may be x.
template <class T>
void forward_row(const T* x, T* y, std::size_t n) noexcept {
  constexpr std::size_t width = lanes<T>, step = at_once * width;
  constexpr T none = -std::numeric_limits<T>::infinity();
  const std::size_t steps = n / step * step, whole = n / width * width, rest = n - whole;

  vec<T> largest[at_once], sums[at_once] = {};
  for (auto& each : largest) each = vec<T>{} + none;
  for (std::size_t j = 0; j < steps; j += step)
#pragma GCC unroll 4
    for (std::size_t i = 0; i < at_once; ++i) largest[i] = larger<T>(largest[i], load(x + j + i * width));
  for (std::size_t j = steps; j < whole; j += width) largest[0] = larger<T>(largest[0], load(x + j));
  if (rest > 0) largest[0] = larger<T>(largest[0], load_some(x + whole, rest, none));
  // A NaN is lost here and comes back through the exponentials' sum; so does a row of -infinity.
  const T peak = largest_of<T>(larger<T>(larger<T>(largest[0], largest[1]), larger<T>(largest[2], largest[3])));

  for (std::size_t j = 0; j < steps; j += step)
#pragma GCC unroll 4
    for (std::size_t i = 0; i < at_once; ++i) {
      const vec<T> e = exp_of<T>(load(x + j + i * width) - peak);
      store<T>(y + j + i * width, e);
      sums[i] += e;
    }
  for (std::size_t j = steps; j < whole; j += width) {
    const vec<T> e = exp_of<T>(load(x + j) - peak);
    store<T>(y + j, e);
    sums[0] += e;
  }
  if (rest > 0) {
    const vec<T> e = exp_of<T>(load_some(x + whole, rest, none) - peak);
    store_some<T>(y + whole, rest, e);
    sums[1] += e;
  }
  const T scale = T{1} / sum_of<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (std::size_t j = 0; j < whole; j += width) store<T>(y + j, load(y + j) * scale);
  for (std::size_t j = whole; j < n; ++j) y[j] *= scale;
}

/// dx (n) = y (dy - sum y dy); dx may be dy.
template <class T>
void backward_row(const T* y, const T* dy, T* dx, std::size_t n) noexcept {
  constexpr std::size_t width = lanes<T>, step = at_once * width;
  const std::size_t steps = n / step * step, whole = n / width * width, rest = n - whole;
  vec<T> sums[at_once] = {};
  for (std::size_t j = 0; j < steps; j += step)
#pragma GCC unroll 4
    for (std::size_t i = 0; i < at_once; ++i) sums[i] += load(y + j + i * width) * load(dy + j + i * width);
  for (std::size_t j = steps; j < whole; j += width) sums[0] += load(y + j) * load(dy + j);
  if (rest > 0) sums[1] += load_some(y + whole, rest, T{0}) * load_some(dy + whole, rest, T{0});
  const T dot = sum_of<T>((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (std::size_t j = 0; j < whole; j += width) store<T>(dx + j, load(y + j) * (load(dy + j) - dot));
  if (rest > 0)
    store_some<T>(dx + whole, rest, load_some(y + whole, rest, T{0}) * (load_some(dy + whole, rest, T{0}) - dot));
}

template <class T>
void forward_rows(std::size_t rows, std::size_t columns, const T* x, std::size_t ldx, T* y, std::size_t ldy) noexcept {
  for (std::size_t r = 0; r < rows; ++r) forward_row(x + r * ldx, y + r * ldy, columns);
}

template <class T>
void backward_rows(std::size_t rows, std::size_t columns, const T* y, std::size_t ldy, const T* dy, std::size_t lddy,
                   T* dx, std::size_t lddx) noexcept {
  for (std::size_t r = 0; r < rows; ++r) backward_row(y + r * ldy, dy + r * lddy, dx + r * lddx, columns);
}

}  // namespace hocket::kernels::softmax::HOCKET_SIMD_NS
