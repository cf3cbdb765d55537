// Whether AMX, the matrix unit of some x86-64 processors, may be used: Linux gives it to a process that asks. What it
// is and how code uses it: core/amx_tiles.hpp.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <hocket/core/simd.hpp>

#if defined(__x86_64__) && defined(__linux__)
#define HOCKET_HAS_AMX 1
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#define HOCKET_HAS_AMX 0
#endif

namespace hocket {

enum class matrix_unit { none, amx };

template <>
struct enum_names<matrix_unit> {
  static constexpr std::array values = {std::pair{matrix_unit::none, std::string_view{"none"}},
                                        std::pair{matrix_unit::amx, std::string_view{"amx"}}};
};

namespace detail {

/// Whether processor, system and kernel let this process use tiles; asks for them.
inline bool ask_for_amx() {
#if HOCKET_HAS_AMX
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned amx_bf16 = 1u << 22, amx_tile = 1u << 24, amx_int8 = 1u << 25;
  constexpr unsigned wanted = amx_bf16 | amx_tile | amx_int8;
  if ((d & wanted) != wanted) return false;
  unsigned subleaf_a = 0;
  if (!__get_cpuid_count(7, 1, &subleaf_a, &b, &c, &d) || !(subleaf_a & 1u << 5)) return false;  // avx512_bf16
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) return false;                          // osxsave
  unsigned low = 0, high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  constexpr unsigned tile_state = 3u << 17;
  if ((low & tile_state) != tile_state) return false;
  constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return ::syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
  return false;
#endif
}

inline matrix_unit initial_matrix_unit() {
  const char* const wanted = std::getenv("HOCKET_MATRIX_UNIT");
  if (!wanted || !*wanted) return matrix_unit::amx;
  return option_from_text<matrix_unit>("HOCKET_MATRIX_UNIT", wanted);
}

inline std::atomic<matrix_unit>& matrix_unit_limit() {
  static std::atomic<matrix_unit> value{initial_matrix_unit()};
  return value;
}

}  // namespace detail

/// What this machine has. The first call asks the kernel for permission.
inline matrix_unit machine_matrix_unit() {
  static const matrix_unit value =
      machine_isa() == isa::avx512 && detail::ask_for_amx() ? matrix_unit::amx : matrix_unit::none;
  return value;
}

/// What kernels use: the machine's, unless the environment says HOCKET_MATRIX_UNIT=none, limit_matrix_unit was called,
/// or best_isa() was lowered below avx512.
inline matrix_unit best_matrix_unit() {
  if (best_isa() != isa::avx512 || detail::matrix_unit_limit().load(std::memory_order_relaxed) == matrix_unit::none)
    return matrix_unit::none;
  return machine_matrix_unit();
}

/// Whether kernels may round f32 to bf16 with the processor's own instruction, which every machine with the unit has.
/// It takes what is below 2^-126 for 0, as the unit does.
inline bool rounds_in_hardware() { return best_matrix_unit() == matrix_unit::amx; }

/// Takes the unit away, or gives it back, for tests and comparisons.
inline void limit_matrix_unit(matrix_unit limit) {
  detail::matrix_unit_limit().store(limit, std::memory_order_relaxed);
}

}  // namespace hocket
