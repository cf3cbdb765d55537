// Compiled once per instruction set; see core/simd.hpp. f64 only: the optimiser's line search needs the digits.
namespace hocket::kernels::softmax_regression::HOCKET_SIMD_NS {

using lanes [[gnu::vector_size(HOCKET_SIMD_BYTES)]] = double;
inline constexpr std::size_t width = HOCKET_SIMD_BYTES / sizeof(double);

/// Z[k0 .. k0 + Classes) of the whole tile: two registers of rows at a time stay in 2 x Classes accumulators.
template <std::size_t Classes>
void logits(const double* x, std::size_t features, const double* w, double* z) {
  const std::size_t row_length = features + 1;
  for (std::size_t i = 0; i < tile_rows; i += 2 * width) {
    lanes sum[Classes][2];
    for (std::size_t k = 0; k < Classes; ++k) sum[k][0] = sum[k][1] = lanes{} + w[k * row_length + features];
    for (std::size_t j = 0; j < features; ++j) {
      const lanes low = *reinterpret_cast<const lanes*>(x + j * tile_rows + i);
      const lanes high = *reinterpret_cast<const lanes*>(x + j * tile_rows + i + width);
      for (std::size_t k = 0; k < Classes; ++k) {
        sum[k][0] += w[k * row_length + j] * low;
        sum[k][1] += w[k * row_length + j] * high;
      }
    }
    for (std::size_t k = 0; k < Classes; ++k) {
      *reinterpret_cast<lanes*>(z + k * tile_rows + i) = sum[k][0];
      *reinterpret_cast<lanes*>(z + k * tile_rows + i + width) = sum[k][1];
    }
  }
}

inline double total(const lanes& value) {
  double sum = 0;
  for (std::size_t i = 0; i < width; ++i) sum += value[i];
  return sum;
}

/// Gradient of Classes rows of W: residuals (Classes, tile_rows) times X; two features at a time.
template <std::size_t Classes>
void gradients(const double* x, std::size_t features, const double* residuals, double* gradient) {
  const std::size_t row_length = features + 1;
  for (std::size_t j = 0; j < features; j += 2) {
    const bool pair = j + 1 < features;
    const double* first = x + j * tile_rows;
    const double* second = pair ? first + tile_rows : first;
    lanes sum[Classes][2] = {};
    for (std::size_t i = 0; i < tile_rows; i += width) {
      const lanes low = *reinterpret_cast<const lanes*>(first + i);
      const lanes high = *reinterpret_cast<const lanes*>(second + i);
      for (std::size_t k = 0; k < Classes; ++k) {
        const lanes residual = *reinterpret_cast<const lanes*>(residuals + k * tile_rows + i);
        sum[k][0] += residual * low;
        sum[k][1] += residual * high;
      }
    }
    for (std::size_t k = 0; k < Classes; ++k) {
      gradient[k * row_length + j] = total(sum[k][0]);
      if (pair) gradient[k * row_length + j + 1] = total(sum[k][1]);
    }
  }
  for (std::size_t k = 0; k < Classes; ++k) {
    lanes sum = {};
    for (std::size_t i = 0; i < tile_rows; i += width)
      sum += *reinterpret_cast<const lanes*>(residuals + k * tile_rows + i);
    gradient[k * row_length + features] = total(sum);
  }
}

/// Calls step.template operator()<count>(first) for runs of at most four classes.
template <class Step>
void by_four(std::size_t classes, Step&& step) {
  std::size_t k = 0;
  for (; k + 4 <= classes; k += 4) step(std::integral_constant<std::size_t, 4>{}, k);
  if (classes - k == 3) step(std::integral_constant<std::size_t, 3>{}, k);
  if (classes - k == 2) step(std::integral_constant<std::size_t, 2>{}, k);
  if (classes - k == 1) step(std::integral_constant<std::size_t, 1>{}, k);
}

inline void tile_logits(const double* x, std::size_t features, const double* w, std::size_t classes, double* z) {
  by_four(classes, [&](auto count, std::size_t k) {
    logits<count.value>(x, features, w + k * (features + 1), z + k * tile_rows);
  });
}

inline void tile_gradient(const double* x, std::size_t features, const double* residuals, std::size_t classes,
                          double* gradient) {
  by_four(classes, [&](auto count, std::size_t k) {
    gradients<count.value>(x, features, residuals + k * tile_rows, gradient + k * (features + 1));
  });
}

}  // namespace hocket::kernels::softmax_regression::HOCKET_SIMD_NS
