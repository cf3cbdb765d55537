#include "cuda_gpu/mfcc.hpp"

namespace {
const bool added = hocket::gpu_tests::add_room(hocket::gpu_tests::mfcc_room<hocket::cuda>());
}
