// The 2x rule for what a stored peer computed: safetensors files with the f64 reference and the peer's own f32 result.
#pragma once

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

/// ours against the f64 reference by the 2x rule (factor 3 for gradients): the peer's largest error in the same tensor
/// bounds ours, with a floor of epsilon x `magnitude`.
template <Real T>
comparison by_peer(const T* ours, const std::vector<double>& reference, const std::vector<double>& peer, double factor,
                   double magnitude) {
  const double error = max_abs_difference(peer.data(), reference.data(), reference.size());
  return compare(ours, reference.data(), reference.size(), peer_bound<float>(error, magnitude, factor));
}

}  // namespace nn_test
