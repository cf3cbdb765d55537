#include "cuda_gpu/covariance.hpp"

namespace {
const bool added = hocket::gpu_tests::add_room(hocket::gpu_tests::covariance_room<hocket::cuda>());
}
