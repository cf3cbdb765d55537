// A fiber: a stack of its own that runs until it hands control back. x86-64 uses a switch of a dozen instructions
// (about 50 ns; swapcontext would make two system calls), other processors use <ucontext.h>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <new>

#include <sys/mman.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#define HOCKET_ASAN_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOCKET_ASAN_FIBERS 1
#endif
#endif
#if defined(HOCKET_ASAN_FIBERS)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// Saves the callee-saved registers on the old stack, stores its pointer in *save, continues on `to`.
extern "C" void hocket_fiber_switch(void** save, void* to);
asm(R"(
.text
.weak hocket_fiber_switch
.type hocket_fiber_switch, @function
hocket_fiber_switch:
  pushq %rbx
  pushq %rbp
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbp
  popq %rbx
  ret
.size hocket_fiber_switch, .-hocket_fiber_switch
)");
#endif

namespace hocket::cuda_host {

class fiber {
 public:
  static constexpr std::size_t stack_bytes = std::size_t{256} << 10;

  fiber() {
    stack_ = static_cast<char*>(
        mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    if (stack_ == MAP_FAILED) throw std::bad_alloc();
  }
  fiber(const fiber&) = delete;
  fiber& operator=(const fiber&) = delete;
  ~fiber() { munmap(stack_, stack_bytes); }

  /// Next resume() begins entry(argument) on an empty stack; entry must end in leave_for_good().
  void prepare(void (*entry)(void*), void* argument) {
#if defined(HOCKET_ASAN_FIBERS)
    __asan_unpoison_memory_region(stack_, stack_bytes);  // an abandoned thread may have left its frames marked
#endif
    entry_ = entry;
    argument_ = argument;
#if defined(__x86_64__)
    auto* top = reinterpret_cast<std::uintptr_t*>(stack_ + stack_bytes);
    *--top = 0;  // keeps the stack 16-byte aligned at the call
    *--top = reinterpret_cast<std::uintptr_t>(&fiber::start);
    for (int saved = 0; saved < 6; ++saved) *--top = 0;
    pointer_ = top;
#else
    getcontext(&own_);
    own_.uc_stack = {stack_, 0, stack_bytes};
    own_.uc_link = nullptr;
    makecontext(&own_, reinterpret_cast<void (*)()>(&fiber::start), 0);
#endif
  }

  /// Runs the fiber until it calls leave().
  void resume() {
    active_ = this;
#if defined(HOCKET_ASAN_FIBERS)
    __sanitizer_start_switch_fiber(&main_fake_, stack_, stack_bytes);
#endif
#if defined(__x86_64__)
    hocket_fiber_switch(&main_, pointer_);
#else
    swapcontext(&main_context_, &own_);
#endif
#if defined(HOCKET_ASAN_FIBERS)
    __sanitizer_finish_switch_fiber(main_fake_, nullptr, nullptr);
#endif
  }

  /// Back to whoever resumed; returns at the next resume().
  void leave(bool for_good = false) {
#if defined(HOCKET_ASAN_FIBERS)
    __sanitizer_start_switch_fiber(for_good ? nullptr : &fake_, main_stack_, main_bytes_);
#else
    (void)for_good;
#endif
#if defined(__x86_64__)
    hocket_fiber_switch(&pointer_, main_);
#else
    swapcontext(&own_, &main_context_);
#endif
#if defined(HOCKET_ASAN_FIBERS)
    __sanitizer_finish_switch_fiber(fake_, &main_stack_, &main_bytes_);
#endif
  }

 private:
  static void start() {
    fiber* self = active_;
#if defined(HOCKET_ASAN_FIBERS)
    __sanitizer_finish_switch_fiber(nullptr, &self->main_stack_, &self->main_bytes_);
#endif
    self->entry_(self->argument_);
    self->leave(true);
    __builtin_trap();  // a finished fiber is prepared again before it is resumed
  }

  inline static thread_local fiber* active_ = nullptr;
  char* stack_ = nullptr;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
#if defined(__x86_64__)
  void* pointer_ = nullptr;
  void* main_ = nullptr;
#else
  ucontext_t own_, main_context_;
#endif
#if defined(HOCKET_ASAN_FIBERS)
  void* fake_ = nullptr;
  void* main_fake_ = nullptr;
  const void* main_stack_ = nullptr;
  std::size_t main_bytes_ = 0;
#endif
};

}  // namespace hocket::cuda_host
