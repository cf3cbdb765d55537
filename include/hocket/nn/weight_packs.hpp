// Weights as products want them (kernels/packed_gemm). Frozen weights are packed once and shared by all tapes that are
// given the same weight_packs; trained ones are packed by their tape before every pass.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/device.hpp>
#include <hocket/core/parallel.hpp>
#include <hocket/kernels/packed_gemm/cpu.hpp>
#include <hocket/nn/parameter.hpp>

namespace hocket::nn {

using kernels::packed_gemm::precision;

/// What is packed, and how.
template <Real T>
struct pack_recipe {
  std::vector<kernels::packed_gemm::part<T>> parts;  ///< read anew for every packing
  std::vector<std::uint64_t> versions;               ///< of the parameters they are
  bool turned = true;
  precision kind = precision::native;
  std::size_t k = 0, n = 0;
};

template <Real T>
class packed_weight {
 public:
  explicit packed_weight(const pack_recipe<T>& recipe)
      : recipe_(recipe), bytes_(kernels::packed_gemm::packed_bytes<T>(recipe.kind, recipe.n, recipe.k)) {}

  const std::byte* data() const { return bytes_.data(); }
  /// Packs what the parts hold now; allocates nothing.
  void fill(const cpu& device, std::span<const kernels::packed_gemm::part<T>> parts) {
    // A thread's strips side by side, up to a dozen: rows of its weight come in long pieces.
    const std::size_t strips = kernels::packed_gemm::strips_of<T>(recipe_.n),
                      threads = static_cast<std::size_t>(device.threads),
                      at_once = std::clamp<std::size_t>((strips + threads - 1) / threads, 1, 12);
    for_each_tile(device, (strips + at_once - 1) / at_once, [&](std::size_t tile, std::size_t) {
      kernels::packed_gemm::pack<T>(recipe_.kind, recipe_.k, recipe_.n, parts, recipe_.turned, tile * at_once,
                                    std::min(strips, (tile + 1) * at_once), bytes_.data());
    });
  }
  bool is(const pack_recipe<T>& other) const {
    const auto alike = [](const kernels::packed_gemm::part<T>& a, const kernels::packed_gemm::part<T>& b) {
      return a.count == b.count && a.offset == b.offset && a.length == b.length && a.scale == b.scale;
    };
    return recipe_.versions == other.versions && recipe_.turned == other.turned && recipe_.kind == other.kind &&
           std::equal(recipe_.parts.begin(), recipe_.parts.end(), other.parts.begin(), other.parts.end(), alike);
  }

 private:
  pack_recipe<T> recipe_;
  buffer<std::byte> bytes_;
};

/// The packed frozen weights of one or more tapes. Used by one thread at a time.
template <Real T>
class weight_packs {
 public:
  /// Packed now, or found. A pack lives as long as somebody holds it.
  std::shared_ptr<const packed_weight<T>> find(const pack_recipe<T>& recipe, const cpu& device) {
    std::erase_if(known_, [](const auto& each) { return each.expired(); });
    for (const auto& each : known_)
      if (const auto held = each.lock(); held && held->is(recipe)) return held;
    auto made = std::make_shared<packed_weight<T>>(recipe);
    made->fill(device, recipe.parts);
    known_.push_back(made);
    return made;
  }
  std::size_t size() const { return known_.size(); }

 private:
  std::vector<std::weak_ptr<const packed_weight<T>>> known_;
};

}  // namespace hocket::nn
