// The body of cpu.hpp compiled for each instruction set, in a file of its own because amx.hpp builds on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <hocket/core/config.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/simd.hpp>
#include <hocket/kernels/low_rank/shape.hpp>

#define HOCKET_SIMD_BODY <hocket/kernels/low_rank/cpu_body.inl>
#include <hocket/core/simd_each.hpp>
