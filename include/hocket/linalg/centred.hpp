// A data matrix seen as centred: means are found once, rows are centred tile by tile while they are worked on, so the
// data are neither copied nor changed. Products with the centred matrix go over fixed groups of rows whose sums are
// joined in order: the same bits for any number of threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/core/view.hpp>
#include <hocket/kernels/centre/cpu.hpp>
#include <hocket/linalg/gemm.hpp>

namespace hocket::linalg {

/// Refuses NaN and infinity with their row and column.
template <Real T>
void require_finite(view<const T, 2> x, std::size_t first_row = 0) {
  for (std::size_t i = 0; i < x.extent(0); ++i)
    for (std::size_t j = 0; j < x.extent(1); ++j)
      expects(std::isfinite(x(i, j)), errc::bad_value, "value at row ", first_row + i, ", column ", j, " is ",
              static_cast<double>(x(i, j)), "; remove or fill such rows first");
}

template <Real T>
class centred_matrix {
 public:
  /// Finds the column means of x (N,D); refuses values that are not finite. x must outlive the object.
  centred_matrix(view<const T, 2> x, const gemm_options& engine, const cpu& device)
      : x_(x),
        products_(engine, device),
        high_(x.extent(1)),
        low_(x.extent(1)),
        mean_(x.extent(1)),
        rest_(x.extent(1)) {
    const std::size_t n = rows(), d = columns();
    // eight groups of nearly equal size, each of tiles of nearly equal height
    const std::size_t least = std::max<std::size_t>(std::min<std::size_t>(n, 64), (n + most_groups - 1) / most_groups);
    group_rows_ = std::max<std::size_t>(least, 1);
    groups_ = (n + group_rows_ - 1) / group_rows_;
    const std::size_t tallest = std::clamp<std::size_t>(tile_bytes / sizeof(T) / std::max<std::size_t>(d, 1), 24, 240);
    const std::size_t tiles = (group_rows_ + tallest - 1) / tallest;
    tile_rows_ = (group_rows_ + tiles - 1) / tiles;
    // neighbouring rows must not fall into one set of the cache: no power-of-two distance
    ld_ = (d + 15) / 16 * 16 + 16;
    for (int worker = 0; worker < device.threads; ++worker) tiles_.emplace_back(tile_rows_ * ld_);
    find_means();
  }

  std::size_t rows() const { return x_.extent(0); }
  std::size_t columns() const { return x_.extent(1); }
  const cpu& device() const { return products_.device(); }
  gemm_plan<T>& products() { return products_; }
  view<const T, 2> source() const { return x_; }
  /// (D) column means.
  const std::vector<double>& mean() const { return mean_; }

  /// Mean of column j minus `origin`, without the digits that a common offset would take.
  double mean_minus(std::size_t j, T origin) const {
    return (static_cast<double>(high_[j]) - static_cast<double>(origin)) + rest_[j];
  }

  /// Element (i, j) minus its column's mean, in f64.
  double centred_value(std::size_t i, std::size_t j) const {
    return (static_cast<double>(x_(i, j)) - static_cast<double>(high_[j])) - rest_[j];
  }

  /// Rows [first, first + count) minus the means, columns [column, column + width), to out (count, ld).
  void subtract(std::size_t first, std::size_t count, std::size_t column, std::size_t width, T* out,
                std::size_t ld) const noexcept {
    kernels::centre::subtract<T>(count, width, x_.data() + first * x_.stride(0) + column, x_.stride(0),
                                 high_.data() + column, low_.data() + column, out, ld);
  }

  /// Squared Frobenius norm of the centred matrix; costs a pass over the data unless a product has been made before.
  double squares() {
    if (squares_ >= 0) return squares_;
    std::vector<double> parts(groups_);
    for_each_group([&](std::size_t group, std::size_t first, std::size_t count, T* tile, std::size_t) {
      subtract(first, count, 0, columns(), tile, ld_);
      parts[group] += kernels::centre::squares<T>(count, columns(), tile, ld_);
    });
    squares_ = 0;
    for (const double part : parts) squares_ += part;
    return squares_;
  }

  /// out (D,b) = Xc^T (Xc q), q (D,b): one pass over the data.
  void normal_product(view<const T, 2> q, view<T, 2> out) {
    const std::size_t d = columns(), b = q.extent(1);
    reserve(b);
    for_each_group([&](std::size_t group, std::size_t first, std::size_t count, T* tile, std::size_t worker) {
      subtract(first, count, 0, d, tile, ld_);
      T* y = narrow_.data() + worker * tile_rows_ * b;
      T* sum = partial_.data() + group * d * b;
      products_.tile({count, b, d, false, false, ld_, q.stride(0), b}, T(1), tile, q.data(), T(0), y, worker);
      products_.tile({d, b, count, true, false, ld_, b, b}, T(1), tile, y, T(first == group * group_rows_ ? 0 : 1), sum,
                     worker);
    });
    join(d, b, out);
  }

  /// out (D,b) = Xc^T y, y (N,b).
  void transposed_product(view<const T, 2> y, view<T, 2> out) {
    const std::size_t d = columns(), b = y.extent(1);
    reserve(b);
    std::vector<double> parts(groups_);
    for_each_group([&](std::size_t group, std::size_t first, std::size_t count, T* tile, std::size_t worker) {
      subtract(first, count, 0, d, tile, ld_);
      if (squares_ < 0) parts[group] += kernels::centre::squares<T>(count, d, tile, ld_);
      products_.tile({d, b, count, true, false, ld_, y.stride(0), b}, T(1), tile, y.data() + first * y.stride(0),
                     T(first == group * group_rows_ ? 0 : 1), partial_.data() + group * d * b, worker);
    });
    if (squares_ < 0) {
      squares_ = 0;
      for (const double part : parts) squares_ += part;
    }
    join(d, b, out);
  }

  /// (b) squared lengths of Xc v_i for the rows v_i of v (b,D), summed in f64: Rayleigh quotients of Xc^T Xc.
  std::vector<double> row_energies(view<const T, 2> v) {
    const std::size_t d = columns(), b = v.extent(0);
    reserve(b);
    buffer<T> turned(d * b);
    for (std::size_t i = 0; i < b; ++i)
      for (std::size_t j = 0; j < d; ++j) turned[j * b + i] = v(i, j);
    std::vector<double> parts(groups_ * b);
    for_each_group([&](std::size_t group, std::size_t first, std::size_t count, T* tile, std::size_t worker) {
      subtract(first, count, 0, d, tile, ld_);
      T* y = narrow_.data() + worker * tile_rows_ * b;
      products_.tile({count, b, d, false, false, ld_, b, b}, T(1), tile, turned.data(), T(0), y, worker);
      for (std::size_t i = 0; i < count; ++i)
        for (std::size_t j = 0; j < b; ++j)
          parts[group * b + j] += static_cast<double>(y[i * b + j]) * static_cast<double>(y[i * b + j]);
    });
    std::vector<double> energies(b);
    for (std::size_t group = 0; group < groups_; ++group)
      for (std::size_t j = 0; j < b; ++j) energies[j] += parts[group * b + j];
    return energies;
  }

 private:
  static constexpr std::size_t tile_bytes = std::size_t{8} << 20;  ///< a share of the last-level cache
  static constexpr std::size_t most_groups = 8;  ///< partial sums kept apart; so many threads can work at once

  /// body(group, first row, rows, tile, worker): the tiles of a group in order, on one thread.
  template <class Body>
  void for_each_group(Body&& body) {
    for_each_tile(
        device(), groups_,
        [&](std::size_t group, std::size_t worker) {
          const std::size_t end = std::min(rows(), (group + 1) * group_rows_);
          for (std::size_t first = group * group_rows_; first < end; first += tile_rows_)
            body(group, first, std::min(tile_rows_, end - first), tiles_[worker].data(), worker);
        },
        true);
  }

  void find_means() {
    const std::size_t n = rows(), d = columns();
    std::vector<double> parts(groups_ * d);
    for_each_tile(
        device(), groups_,
        [&](std::size_t group, std::size_t) {
          const std::size_t first = group * group_rows_, count = std::min(n, first + group_rows_) - first;
          kernels::centre::column_sums<T>(count, d, x_.data() + first * x_.stride(0), x_.stride(0), x_.data(),
                                          parts.data() + group * d);
        },
        true);
    for (std::size_t j = 0; j < d; ++j) {
      // distances from the first row are summed, so a common offset takes no digits
      double sum = 0;
      for (std::size_t group = 0; group < groups_; ++group) sum += parts[group * d + j];
      if (!std::isfinite(sum)) {
        require_finite(x_);
        fail(errc::bad_value, "the sum of column ", j, " overflows; scale the data down");
      }
      const double origin = static_cast<double>(x_(0, j)), shift = sum / static_cast<double>(n);
      mean_[j] = origin + shift;
      high_[j] = static_cast<T>(mean_[j]);
      rest_[j] = (origin - static_cast<double>(high_[j])) + shift;
      low_[j] = static_cast<T>(rest_[j]);
    }
  }

  void reserve(std::size_t b) {
    const std::size_t workers = static_cast<std::size_t>(device().threads);
    if (partial_.size() < groups_ * columns() * b) partial_ = buffer<T>(groups_ * columns() * b);
    if (narrow_.size() < workers * tile_rows_ * b) narrow_ = buffer<T>(workers * tile_rows_ * b);
  }

  /// out = the groups' sums, joined in order in f64.
  void join(std::size_t d, std::size_t b, view<T, 2> out) {
    constexpr std::size_t step = 64;
    for_each_tile(device(), (d + step - 1) / step, [&](std::size_t block, std::size_t) {
      for (std::size_t i = block * step; i < std::min(d, (block + 1) * step); ++i)
        for (std::size_t j = 0; j < b; ++j) {
          double sum = 0;
          for (std::size_t group = 0; group < groups_; ++group)
            sum += static_cast<double>(partial_[group * d * b + i * b + j]);
          out(i, j) = static_cast<T>(sum);
        }
    });
  }

  view<const T, 2> x_;
  gemm_plan<T> products_;
  buffer<T> high_, low_;
  std::vector<double> mean_, rest_;
  std::size_t tile_rows_ = 0, group_rows_ = 0, groups_ = 0, ld_ = 0;
  std::vector<buffer<T>> tiles_;
  buffer<T> partial_, narrow_;
  double squares_ = -1;  ///< not known yet
};

}  // namespace hocket::linalg
