// Memory for buffers, from large pages. A model's weights, moments and activations lie on some ten thousand pages of
// 4 KiB, more than a processor remembers; in a virtual machine it then walks two page tables for every page it touches.
// The system gives pages of 2 MiB to regions that are aligned to them, but a weight of a small model is less than one:
// so buffers share regions. MiniLM in bf16, two threads, against one mapping a buffer: LoRA's step -9 %, the full one
// -5 %; and two models made one after the other no longer differ by 5 % by where they happened to lie.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <utility>

#include <hocket/core/config.hpp>

// Address sanitizers see the ends of what the system's allocator gives, not those of pieces of a region.
#if defined(__SANITIZE_ADDRESS__)
#define HOCKET_HAS_PAGE_POOL 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HOCKET_HAS_PAGE_POOL 0
#endif
#endif
#if !defined(HOCKET_HAS_PAGE_POOL)
#if defined(__linux__)
#define HOCKET_HAS_PAGE_POOL 1
#else
#define HOCKET_HAS_PAGE_POOL 0
#endif
#endif

#if HOCKET_HAS_PAGE_POOL

#include <sys/mman.h>
#include <unistd.h>

namespace hocket::detail {

/// Pieces of regions of large pages. Thread-safe. A piece begins a cache line behind its owner's address, so that it
/// can be given back from any library of a program.
class page_pool {
 public:
  static constexpr std::size_t smallest = std::size_t{32} << 10;  ///< below, the system's allocator is as good
  static constexpr std::size_t huge_page = std::size_t{2} << 20;
  static constexpr std::size_t region_bytes = std::size_t{32} << 20;

  page_pool() = default;
  page_pool(const page_pool&) = delete;
  page_pool& operator=(const page_pool&) = delete;

  /// The pool of this program or library. It is never destroyed: buffers may outlive all else.
  static page_pool& common() {
    static page_pool& pool = *new page_pool;
    return pool;
  }

  /// `bytes` bytes, aligned to cache lines, with anything in them; null where the system has no more.
  void* take(std::size_t bytes) noexcept {
    const std::size_t whole = rounded_up(bytes, alignment) + alignment;
    const std::lock_guard lock(mutex_);
    try {
      auto best = free_.end();
      for (auto each = free_.begin(); each != free_.end(); ++each)
        if (each->second.bytes >= whole && (best == free_.end() || each->second.bytes < best->second.bytes))
          best = each;
      if (best == free_.end()) {
        const std::size_t least = rounded_up(whole, huge_page);
        piece region = map_region(std::max(region_bytes, least));
        if (!region.region) region = map_region(least);  // a process may have a limit
        if (!region.region) return nullptr;
        best = free_.emplace(region.region, region).first;
      }
      piece& from = best->second;  // from its end, so that its place in the map stays
      std::byte* const at = best->first + (from.bytes - whole);
      used_.emplace(at, piece{from.region, from.region_bytes, whole});
      from.bytes -= whole;
      if (from.bytes == 0) free_.erase(best);
      *reinterpret_cast<page_pool**>(at) = this;
      return at + alignment;
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
  }

  /// What `take` of any pool gave.
  static void give_back(void* data) noexcept {
    std::byte* const at = static_cast<std::byte*>(data) - alignment;
    (*reinterpret_cast<page_pool**>(at))->free(at);
  }

  /// Gives back to the system what no piece uses.
  void trim() noexcept {
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::lock_guard lock(mutex_);
    for (auto each = free_.begin(); each != free_.end();) {
      const piece& idle = each->second;
      const auto first = reinterpret_cast<std::uintptr_t>(each->first), skipped = rounded_up(first, page) - first;
      const auto here = each++;
      if (idle.bytes == idle.region_bytes)
        unmap(here);
      else if (idle.bytes > skipped)
        ::madvise(here->first + skipped, (idle.bytes - skipped) / page * page, MADV_DONTNEED);
    }
  }

  /// Bytes of the regions that are mapped.
  std::size_t mapped() const {
    const std::lock_guard lock(mutex_);
    return mapped_;
  }

 private:
  struct piece {
    std::byte* region = nullptr;
    std::size_t region_bytes = 0, bytes = 0;
  };
  using pieces = std::map<std::byte*, piece>;

  static constexpr std::size_t rounded_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

  piece map_region(std::size_t bytes) noexcept {
    void* const all = ::mmap(nullptr, bytes + huge_page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) return {};
    auto* const first = static_cast<std::byte*>(all);
    const std::size_t skipped =
        rounded_up(reinterpret_cast<std::uintptr_t>(first), huge_page) - reinterpret_cast<std::uintptr_t>(first);
    if (skipped > 0) ::munmap(first, skipped);
    if (skipped < huge_page) ::munmap(first + skipped + bytes, huge_page - skipped);
    ::madvise(first + skipped, bytes, MADV_HUGEPAGE);  // a wish: no result depends on it
    mapped_ += bytes;
    return {first + skipped, bytes, bytes};
  }

  /// A node moves from one map to the other: nothing is allocated, so nothing can fail.
  void free(std::byte* at) noexcept {
    const std::lock_guard lock(mutex_);
    auto node = used_.extract(at);
    const std::byte* const region = node.mapped().region;
    auto next = free_.lower_bound(at);
    if (next != free_.end() && next->second.region == region && at + node.mapped().bytes == next->first) {
      node.mapped().bytes += next->second.bytes;
      next = free_.erase(next);
    }
    auto here = free_.end();
    if (next != free_.begin()) {
      const auto before = std::prev(next);
      if (before->second.region == region && before->first + before->second.bytes == at) {
        before->second.bytes += node.mapped().bytes;
        here = before;
      }
    }
    if (here == free_.end()) here = free_.insert(std::move(node)).position;
    if (here->second.bytes == here->second.region_bytes) drop_empty(here);
  }
  /// One empty region of the usual size stays, for who makes and drops buffers in turns.
  void drop_empty(pieces::iterator empty) noexcept {
    const auto whole = [](const piece& each) { return each.bytes == each.region_bytes; };
    const bool another = std::any_of(
        free_.begin(), free_.end(), [&](const auto& each) { return each.first != empty->first && whole(each.second); });
    if (!another && empty->second.bytes == region_bytes) return;
    unmap(empty);
  }
  void unmap(pieces::iterator empty) noexcept {
    ::munmap(empty->first, empty->second.bytes);
    mapped_ -= empty->second.bytes;
    free_.erase(empty);
  }

  mutable std::mutex mutex_;
  pieces free_, used_;
  std::size_t mapped_ = 0;
};

}  // namespace hocket::detail

#endif

namespace hocket {

/// Gives memory that no buffer uses back to the system. Buffers share regions, of which an empty one waits for the
/// next: call this where memory is measured, or scarce.
inline void trim_buffers() noexcept {
#if HOCKET_HAS_PAGE_POOL
  detail::page_pool::common().trim();
#endif
}

}  // namespace hocket
