// Copies past the caches: for what is written now and read much later. Ordinary stores bring each line in before they
// change it; on one core of a Xeon these took 7 to 10 GB/s where stores past the cache took 23 to 25.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace hocket {

/// `bytes` bytes from `from` to `to`. What is written can be seen by other threads afterwards.
inline void stream_copy(std::byte* to, const std::byte* from, std::size_t bytes) noexcept {
#if defined(__x86_64__)
  typedef float quad __attribute__((vector_size(16)));
  typedef float loose_quad __attribute__((vector_size(16), aligned(1), may_alias));
  const std::size_t before = (16 - reinterpret_cast<std::uintptr_t>(to) % 16) % 16;
  const std::size_t head = before < bytes ? before : bytes;
  std::memcpy(to, from, head);
  std::size_t i = head;
  for (; i + 16 <= bytes; i += 16) {
    const quad value = *reinterpret_cast<const loose_quad*>(from + i);
#if defined(__clang__)
    __builtin_nontemporal_store(value, reinterpret_cast<quad*>(to + i));
#else
    __builtin_ia32_movntps(reinterpret_cast<float*>(to + i), value);
#endif
  }
  std::memcpy(to + i, from + i, bytes - i);
  __builtin_ia32_sfence();
#else
  std::memcpy(to, from, bytes);
#endif
}

}  // namespace hocket
