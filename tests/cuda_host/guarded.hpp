// guarded_buffer<T>: "device" memory of the executor. It ends at an inaccessible page, so that the first element past
// the end faults; the executor turns the fault into a kernel_error that names the buffer. Under AddressSanitizer it is
// plain heap memory, and the sanitizer's report gives file and line.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include <hocket/core/error.hpp>

#include "cuda_host/fiber.hpp"

namespace hocket::cuda_host {

struct guard_page {
  const char* begin;
  const char* end;
  std::string name;
};
inline thread_local std::vector<guard_page> guard_pages;

/// While one lives, a fault jumps to `back` with `what` set: the buffer whose guard page was touched, or memory that is
/// nobody's, as behind an index that was read past an end.
class guard_watch {
 public:
  guard_watch() {
    outer_ = active_;
    active_ = this;
#if !defined(HOCKET_ASAN_FIBERS)
    if (outer_) return;
    stack_t alternate{};
    alternate.ss_sp = signal_stack_;
    alternate.ss_size = sizeof signal_stack_;
    sigaltstack(&alternate, nullptr);
    struct sigaction action {};
    action.sa_sigaction = &guard_watch::fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, &old_action_);
#endif
  }
  guard_watch(const guard_watch&) = delete;
  guard_watch& operator=(const guard_watch&) = delete;
  ~guard_watch() {
    active_ = outer_;
#if !defined(HOCKET_ASAN_FIBERS)
    if (!outer_) sigaction(SIGSEGV, &old_action_, nullptr);
#endif
  }

  sigjmp_buf back;
  std::string what;

 private:
  static void fault(int, siginfo_t* info, void*) {
    const char* address = static_cast<const char*>(info->si_addr);
    for (const guard_page& page : guard_pages) {
      if (!active_ || address < page.begin || address >= page.end) continue;
      active_->what = text(page.name, ", ", static_cast<std::size_t>(address - page.begin), " bytes past its end");
      siglongjmp(active_->back, 1);
    }
    if (active_) {
      active_->what = text("memory of no buffer, at ", info->si_addr);
      siglongjmp(active_->back, 1);
    }
    sigaction(SIGSEGV, &old_action_, nullptr);  // not ours: the faulting instruction runs again under the old handler
  }

  inline static thread_local guard_watch* active_ = nullptr;
  inline static struct sigaction old_action_ {};
  alignas(16) inline static thread_local char signal_stack_[16384];
  guard_watch* outer_;
};

template <class T>
class guarded_buffer {
 public:
  explicit guarded_buffer(std::size_t size, const std::string& name = "buffer") : size_(size) {
#if defined(HOCKET_ASAN_FIBERS)
    (void)name;
    data_ = static_cast<T*>(::operator new (size * sizeof(T), std::align_val_t{16}));
#else
    constexpr std::size_t page = 4096;
    const std::size_t rounded = (size * sizeof(T) + 15) / 16 * 16;  // a 16-byte copy may be aligned at the start
    bytes_ = (rounded + page - 1) / page * page + 16 * page;
    base_ = static_cast<char*>(mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    expects(base_ != MAP_FAILED, errc::out_of_memory, "cannot map ", bytes_, " bytes");
    char* const guard = base_ + bytes_ - 16 * page;
    mprotect(guard, 16 * page, PROT_NONE);
    data_ = reinterpret_cast<T*>(guard - rounded);
    std::memset(base_, 0xff, bytes_ - 16 * page);
    guard_pages.push_back({guard, guard + 16 * page, name});
#endif
    std::memset(static_cast<void*>(data_), 0xff, size * sizeof(T));  // NaN
  }
  guarded_buffer(const std::vector<T>& values, const std::string& name = "buffer")
      : guarded_buffer(values.size(), name) {
    if (size_) std::memcpy(static_cast<void*>(data_), values.data(), size_ * sizeof(T));
  }
  guarded_buffer(const guarded_buffer&) = delete;
  guarded_buffer& operator=(const guarded_buffer&) = delete;
  ~guarded_buffer() {
#if defined(HOCKET_ASAN_FIBERS)
    ::operator delete (static_cast<void*>(data_), std::align_val_t{16});
#else
    std::erase_if(guard_pages,
                  [&](const guard_page& page) { return page.begin >= base_ && page.begin < base_ + bytes_; });
    munmap(base_, bytes_);
#endif
  }

  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  T& operator[](std::size_t i) { return data_[i]; }
  const T& operator[](std::size_t i) const { return data_[i]; }
  std::vector<T> values() const { return {data_, data_ + size_}; }
  /// False when a byte between the last element and the guard page was changed.
  bool tail_intact() const {
#if !defined(HOCKET_ASAN_FIBERS)
    const auto* byte = reinterpret_cast<const unsigned char*>(data_ + size_);
    for (; byte < reinterpret_cast<const unsigned char*>(data_) + (size_ * sizeof(T) + 15) / 16 * 16; ++byte)
      if (*byte != 0xff) return false;
#endif
    return true;
  }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  char* base_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace hocket::cuda_host
