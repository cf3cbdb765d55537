// The 2x rule for what a stored peer computed: safetensors files with the f64 reference and the peer's own f32 error.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <hocket/core/tolerance.hpp>
#include <hocket/io/safetensors.hpp>

namespace nn_test {

using namespace hocket;

inline std::vector<std::uint32_t> numbers(const io::safetensors_file& file, const std::string& name) {
  const auto stored = file.copy<std::int32_t>(name);
  return {stored.begin(), stored.end()};
}
inline std::vector<double> values(const io::safetensors_file& file, const std::string& name) {
  const auto stored = file.copy_as<double>(name);
  return {stored.begin(), stored.end()};
}

/// ours against the f64 reference by the 2x rule (factor 3 for gradients): `peer_error`, the peer's largest in the same
/// tensor, bounds ours, with a floor of epsilon x `magnitude`. A tensor of a few numbers needs the peer's largest error
/// over several ways to compute it (tests/oracles/ways.py): one evaluation may be exact by chance.
template <Real T>
comparison by_peer(const T* ours, const std::vector<double>& reference, double peer_error, double factor,
                   double magnitude) {
  return compare(ours, reference.data(), reference.size(), peer_bound<float>(peer_error, magnitude, factor));
}

/// The largest value that enters a mean cross entropy, from `logits` in f64 (rows of `classes`): a logit, a row's
/// log-sum-exp or a row's loss. Its rounding stays in the mean even where the losses are small, because a row's loss is
/// the difference of its log-sum-exp and its logits.
inline double cross_entropy_magnitude(const std::vector<double>& logits, const std::vector<std::uint32_t>& labels,
                                      double smoothing) {
  const std::size_t rows = labels.size(), classes = logits.size() / rows;
  double largest = max_abs(logits.data(), logits.size());
  for (std::size_t r = 0; r < rows; ++r) {
    const double* const row = logits.data() + r * classes;
    double sum = 0, mean = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      sum += std::exp(row[c]);
      mean += row[c] / static_cast<double>(classes);
    }
    const double loss = std::log(sum) - (1 - smoothing) * row[labels[r]] - smoothing * mean;
    largest = std::max({largest, std::abs(std::log(sum)), loss});
  }
  return largest;
}

}  // namespace nn_test
