// The rooms of training on the executor, a unit of their own: executor.cpp is long to compile as it is.
#include "cuda_gpu/training.hpp"

namespace hocket::gpu_tests {

std::vector<room<cuda_on_host>> host_training_rooms() { return training_rooms<cuda_on_host>(); }

}  // namespace hocket::gpu_tests
