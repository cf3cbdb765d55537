// AMX: eight tile registers of 16 rows x 64 bytes, and products of two tiles (bf16 pairs into f32, int8 quadruples into
// int32). A thread says which shape its tiles have before it uses them:
//
//   if (best_matrix_unit() == matrix_unit::amx) { const amx_tiles configured; ... _tile_dpbf16ps(...) ... }
//
// Functions that use tiles, and the line above, stand between HOCKET_AMX_BEGIN and HOCKET_AMX_END. Included by kernels
// only: the compiler's header of intrinsics is a large one.
#pragma once

#include <cstdint>

#include <hocket/core/amx.hpp>

#if HOCKET_HAS_AMX

#include <immintrin.h>

// clang-format off
#if defined(__clang__)
#define HOCKET_AMX_BEGIN _Pragma("clang attribute push(__attribute__((target(\"amx-tile,amx-bf16,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,bmi2,f16c\"))), apply_to = function)")
#define HOCKET_AMX_END _Pragma("clang attribute pop")
#else
#define HOCKET_AMX_BEGIN _Pragma("GCC push_options") _Pragma("GCC target(\"amx-tile,amx-bf16,amx-int8,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma,bmi2,f16c,prefer-vector-width=512\")")
#define HOCKET_AMX_END _Pragma("GCC pop_options")
#endif
// clang-format on

namespace hocket {

HOCKET_AMX_BEGIN
/// While it lives, all eight tiles of this thread have 16 rows of 64 bytes. Not nested.
class amx_tiles {
 public:
  amx_tiles() { configure(); }
  ~amx_tiles() { release(); }
  amx_tiles(const amx_tiles&) = delete;
  amx_tiles& operator=(const amx_tiles&) = delete;

  /// For scopes that are opened and closed by other means.
  static void configure() {
    struct alignas(64) {
      std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
      std::uint16_t row_bytes[16] = {};
      std::uint8_t rows[16] = {};
    } shape;
    for (int tile = 0; tile < 8; ++tile) {
      shape.row_bytes[tile] = 64;
      shape.rows[tile] = 16;
    }
    __asm__ volatile("" : : "r"(&shape) : "memory");  // g++ 12 believes that only the first eight bytes are read
    _tile_loadconfig(&shape);
  }
  static void release() { _tile_release(); }
};
HOCKET_AMX_END

}  // namespace hocket

#endif
