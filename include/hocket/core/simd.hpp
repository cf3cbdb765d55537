// SIMD: kernels are written once with the compiler's vector extensions and compiled once per instruction set; the set
// is chosen at run time. A kernel's cpu.hpp does
//
//   #define HOCKET_SIMD_BODY <hocket/kernels/softmax/cpu_body.inl>
//   #include <hocket/core/simd_each.hpp>
//
// and the body opens `namespace hocket::kernels::softmax::HOCKET_SIMD_NS { ... }`, in which HOCKET_SIMD_BYTES is the
// width of a register. The caller then picks with dispatch(best_isa(), ...). Values never cross the border between two
// instruction sets in registers: pass pointers.
//
// Why this and not intrinsics or an own library: docs/architecture.md, "SIMD".
#pragma once

#include <array>
#include <atomic>
#include <cstdlib>
#include <string_view>

#include <hocket/core/config.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/options.hpp>

namespace hocket {

/// Instruction sets a body is compiled for, in rising order. `baseline` is what the compiler's own flags give.
enum class isa { baseline, avx2, avx512 };

template <>
struct enum_names<isa> {
  static constexpr std::array values = {std::pair{isa::baseline, std::string_view{"baseline"}},
                                        std::pair{isa::avx2, std::string_view{"avx2"}},
                                        std::pair{isa::avx512, std::string_view{"avx512"}}};
};

namespace detail {

inline isa detect_isa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("fma"))
    return isa::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return isa::avx2;
#endif
  return isa::baseline;
}

inline isa initial_isa() {
  const isa machine = detect_isa();
  const char* wanted = std::getenv("HOCKET_ISA");
  if (!wanted || !*wanted) return machine;
  const isa limit = option_from_text<isa>("HOCKET_ISA", wanted);
  return limit < machine ? limit : machine;
}

inline std::atomic<isa>& current_isa() {
  static std::atomic<isa> value{initial_isa()};
  return value;
}

}  // namespace detail

/// The best set that this machine and build can run.
inline isa machine_isa() {
  static const isa value = detail::detect_isa();
  return value;
}

/// The set that plans choose: the machine's best, or less when the environment says HOCKET_ISA=baseline|avx2|avx512 or
/// limit_isa was called. Results are the same bits on one set, not across sets (fused multiply-add rounds once).
inline isa best_isa() { return detail::current_isa().load(std::memory_order_relaxed); }

/// Lowers (or restores) best_isa(), for tests and comparisons. Never rises above machine_isa().
inline void limit_isa(isa limit) {
  detail::current_isa().store(limit < machine_isa() ? limit : machine_isa(), std::memory_order_relaxed);
}

}  // namespace hocket

/// Leaves the function with what `call` gives in the namespace of the best set.
#if defined(__x86_64__)
#define HOCKET_ON_BEST_ISA(call)           \
  switch (best_isa()) {                    \
    case isa::avx512: return avx512::call; \
    case isa::avx2: return avx2::call;     \
    default: return baseline::call;        \
  }
#else
#define HOCKET_ON_BEST_ISA(call) return baseline::call;
#endif
