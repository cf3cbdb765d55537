// Our own transform: mixed radices 2, 3, 4, 5, 7, 8 and Bluestein, for every length, in SIMD lanes.
//
// Kernels work on lane blocks: HOCKET_SIMD_BYTES / sizeof(T) transforms side by side, element i being two registers
// (the real parts of all lanes, the imaginary parts of all lanes). Every operation is full width and no butterfly
// shuffles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <hocket/core/config.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/fft/plan.hpp>
#include <utility>

#define HOCKET_SIMD_BODY <hocket/kernels/fft/cpu_body.inl>
#include <hocket/core/simd_each.hpp>
