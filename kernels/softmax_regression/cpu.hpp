// Softmax regression on the CPU. Rows are packed once into tiles of 256, features first, so that a register holds the
// same feature of 8 rows; tiles do not depend on the number of threads and are summed in order.
//
// Ladder (5,000 x 400, 10 classes, one thread, AVX-512): row by row as in reference.hpp; 1: tiles of rows in registers,
// four classes at a time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include <hocket/core/buffer.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/core/view.hpp>

namespace hocket::kernels::softmax_regression {

/// Rows of a tile; the last one is filled up with rows of weight 0.
inline constexpr std::size_t tile_rows = 256;

}  // namespace hocket::kernels::softmax_regression

#define HOCKET_SIMD_BODY <hocket/kernels/softmax_regression/cpu_body.inl>
#include <hocket/core/simd_each.hpp>

namespace hocket::kernels::softmax_regression {

/// X (n,D) packed as (tiles, D, tile_rows); rows past n are 0.
class packed_rows {
 public:
  packed_rows() = default;
  packed_rows(std::size_t rows, std::size_t features)
      : rows_(rows), features_(features), values_(tiles() * features * tile_rows) {}

  std::size_t rows() const { return rows_; }
  std::size_t features() const { return features_; }
  std::size_t tiles() const { return (rows_ + tile_rows - 1) / tile_rows; }
  double& operator()(std::size_t i, std::size_t j) {
    return values_[((i / tile_rows) * features_ + j) * tile_rows + i % tile_rows];
  }
  const double* tile(std::size_t t) const { return values_.data() + t * features_ * tile_rows; }

 private:
  std::size_t rows_ = 0, features_ = 0;
  buffer<double> values_;
};

/// What `value_and_gradient` needs besides its arguments; one per concurrent call.
struct workspace {
  workspace(std::size_t tiles, std::size_t features, std::size_t classes, std::size_t threads)
      : logits(threads * classes * tile_rows), gradients(tiles * classes * (features + 1)), losses(tiles) {}
  buffer<double> logits;     ///< (threads, K, tile_rows)
  buffer<double> gradients;  ///< (tiles, K, D + 1)
  buffer<double> losses;     ///< (tiles)
};

/// Z (K, tile_rows) of one tile.
inline void tile_logits(const packed_rows& x, std::size_t tile, const double* w, std::size_t classes, double* z) {
#if defined(__x86_64__)
  if (best_isa() == isa::avx512) return avx512::tile_logits(x.tile(tile), x.features(), w, classes, z);
  if (best_isa() == isa::avx2) return avx2::tile_logits(x.tile(tile), x.features(), w, classes, z);
#endif
  baseline::tile_logits(x.tile(tile), x.features(), w, classes, z);
}

inline void tile_gradient(const packed_rows& x, std::size_t tile, const double* residuals, std::size_t classes,
                          double* gradient) {
#if defined(__x86_64__)
  if (best_isa() == isa::avx512) return avx512::tile_gradient(x.tile(tile), x.features(), residuals, classes, gradient);
  if (best_isa() == isa::avx2) return avx2::tile_gradient(x.tile(tile), x.features(), residuals, classes, gradient);
#endif
  baseline::tile_gradient(x.tile(tile), x.features(), residuals, classes, gradient);
}

/// As reference(): labels and row weights are (tiles * tile_rows), the weights of the padding 0. Same bits for any
/// number of threads.
inline double value_and_gradient(const cpu& device, workspace& work, const packed_rows& x, const std::uint32_t* labels,
                                 const double* row_weights, const view<const double, 2>& w,
                                 const view<double, 2>& gradient) {
  const std::size_t classes = w.extent(0), features = x.features(), size = classes * (features + 1);
  for_each_tile(device, x.tiles(), [&](std::size_t tile, std::size_t worker) {
    double* z = work.logits.data() + worker * classes * tile_rows;
    tile_logits(x, tile, w.data(), classes, z);
    double loss = 0;
    for (std::size_t i = 0; i < tile_rows; ++i) {
      const double weight = row_weights[tile * tile_rows + i];
      const std::uint32_t label = labels[tile * tile_rows + i];
      double largest = z[i], sum = 0;
      for (std::size_t k = 1; k < classes; ++k) largest = std::max(largest, z[k * tile_rows + i]);
      const double at_label = z[label * tile_rows + i];
      for (std::size_t k = 0; k < classes; ++k) {
        double& value = z[k * tile_rows + i];
        value = std::exp(value - largest);
        sum += value;
      }
      loss += weight * (largest + std::log(sum) - at_label);
      for (std::size_t k = 0; k < classes; ++k) z[k * tile_rows + i] *= weight / sum;
      z[label * tile_rows + i] -= weight;
    }
    work.losses[tile] = loss;
    tile_gradient(x, tile, z, classes, work.gradients.data() + tile * size);
  });
  double loss = 0;
  std::fill_n(gradient.data(), size, 0.0);
  for (std::size_t tile = 0; tile < x.tiles(); ++tile) {
    loss += work.losses[tile];
    const double* part = work.gradients.data() + tile * size;
    for (std::size_t i = 0; i < size; ++i) gradient.data()[i] += part[i];
  }
  return loss;
}

}  // namespace hocket::kernels::softmax_regression
