// The order of training rows: every epoch a new permutation, a pure function of (seed, epoch), with a position that a
// checkpoint holds.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/core/rng.hpp>

namespace hocket::nn {

class epoch_sampler {
 public:
  epoch_sampler(std::size_t rows, std::uint64_t seed) : seed_(seed), order_(rows) {
    expects(rows >= 1, errc::unsupported_shape, "a sampler of no rows");
    shuffle();
  }

  /// Up to `count` rows, fewer at the end of an epoch; the next call begins the next one. Allocates nothing.
  std::span<const std::uint32_t> next(std::size_t count) {
    expects(count >= 1, errc::bad_option, "sampler: a batch of 0 rows");
    if (position_ == order_.size()) seek(epoch_ + 1, 0);
    const std::size_t here = std::min(count, order_.size() - position_);
    position_ += here;
    return {order_.data() + (position_ - here), here};
  }

  std::uint64_t seed() const { return seed_; }
  std::size_t epoch() const { return epoch_; }
  std::size_t position() const { return position_; }
  void seek(std::size_t epoch, std::size_t position) {
    expects(position <= order_.size(), errc::bad_value, "sampler: position ", position, " of ", order_.size(), " rows");
    if (epoch != epoch_) {
      epoch_ = epoch;
      shuffle();
    }
    position_ = position;
  }

 private:
  void shuffle() {
    std::iota(order_.begin(), order_.end(), std::uint32_t{0});
    philox(seed_, epoch_).shuffle(order_);
  }
  std::uint64_t seed_;
  std::size_t epoch_ = 0, position_ = 0;
  std::vector<std::uint32_t> order_;
};

}  // namespace hocket::nn
