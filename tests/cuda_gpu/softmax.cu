#include "cuda_gpu/softmax.hpp"

namespace {
const bool added = hocket::gpu_tests::add_room(hocket::gpu_tests::softmax_room<hocket::cuda>());
}
