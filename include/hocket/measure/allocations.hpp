// Counts calls of operator new, to prove that a steady state allocates nothing. The counters exist only in a program
// that defines HOCKET_COUNT_ALLOCATIONS in exactly one file before including this header. Memory that a C library takes
// with malloc is not counted.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hocket::measure {

/// Calls of operator new since the program began, all threads; 0 for ever without the hook.
inline std::atomic<std::uint64_t> allocation_count{0};

/// Allocations made by body().
template <class Body>
std::uint64_t allocations_of(Body&& body) {
  const std::uint64_t before = allocation_count.load();
  body();
  return allocation_count.load() - before;
}

}  // namespace hocket::measure

#if defined(HOCKET_COUNT_ALLOCATIONS)

#include <cstdlib>
#include <new>

namespace hocket::measure::detail {

inline void* counted(std::size_t size, std::size_t align) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  if (size == 0) size = 1;
  return align <= alignof(std::max_align_t) ? std::malloc(size)
                                            : std::aligned_alloc(align, (size + align - 1) / align * align);
}
inline void* counted_or_throw(std::size_t size, std::size_t align) {
  void* const p = counted(size, align);
  if (!p) throw std::bad_alloc();
  return p;
}

}  // namespace hocket::measure::detail

void* operator new(std::size_t n) { return hocket::measure::detail::counted_or_throw(n, 1); }
void* operator new[](std::size_t n) { return hocket::measure::detail::counted_or_throw(n, 1); }
void* operator new(std::size_t n, std::align_val_t a) {
  return hocket::measure::detail::counted_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a) {
  return hocket::measure::detail::counted_or_throw(n, static_cast<std::size_t>(a));
}
void* operator new(std::size_t n, const std::nothrow_t&) noexcept { return hocket::measure::detail::counted(n, 1); }
void* operator new[](std::size_t n, const std::nothrow_t&) noexcept { return hocket::measure::detail::counted(n, 1); }
void* operator new(std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return hocket::measure::detail::counted(n, static_cast<std::size_t>(a));
}
void* operator new[](std::size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return hocket::measure::detail::counted(n, static_cast<std::size_t>(a));
}
void operator delete(void* p) noexcept { std::free(p); }
void operator delete[](void* p) noexcept { std::free(p); }
void operator delete(void* p, std::size_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t) noexcept { std::free(p); }
void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::align_val_t) noexcept { std::free(p); }
void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }
void operator delete[](void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

#endif
