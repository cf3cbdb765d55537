#include "cuda_gpu/training.hpp"

namespace {
const bool added = [] {
  for (auto& room : hocket::gpu_tests::training_rooms<hocket::cuda>()) hocket::gpu_tests::add_room(std::move(room));
  return true;
}();
}  // namespace
