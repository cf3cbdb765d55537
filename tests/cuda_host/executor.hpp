// Runs a CUDA kernel on the host: one fiber per CUDA thread, block after block. A thread runs until it meets a barrier
// or a collective whose other lanes have not come; warps are run greedily, one as far as it gets before the next,
// because that brings out missing barriers. Orders of threads, warps and blocks: ascending, descending, random by seed.
// Shared memory is filled with NaN for every block. See include/hocket/core/cuda/host.hpp for what is checked.
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include <hocket/core/cuda/seam.cuh>
#include <hocket/core/rng.hpp>

#include "cuda_host/fiber.hpp"
#include "cuda_host/guarded.hpp"

namespace hocket::cuda_host {

enum class order { ascending, descending, random };

struct execution {
  order threads = order::ascending;
  std::uint64_t seed = 1;
};

/// How often each kernel ran on the executor in this host thread: proves that no other code answered.
inline thread_local std::map<std::string, std::size_t> launch_counts;

class executor final : public context {
 public:
  /// Runs `body` (a call of the kernel with its arguments) for every thread of the launch. Throws kernel_error.
  void launch(const std::string& kernel, const launch_shape& shape, const execution& how,
              const std::function<void()>& body) {
    const unsigned threads = shape.block.x * shape.block.y * shape.block.z;
    const std::size_t blocks = std::size_t{shape.grid.x} * shape.grid.y * shape.grid.z;
    if (threads == 0 || threads > 1024 || blocks == 0)
      throw kernel_error(text(kernel, ": a launch of ", blocks, " blocks of ", threads, " threads is not possible"));
    if (shape.dynamic_shared_bytes > std::size_t{227} << 10)
      throw kernel_error(
          text(kernel, ": ", shape.dynamic_shared_bytes, " bytes of shared memory; a block has 227 KiB"));
    ++launch_counts[kernel];
    kernel_ = kernel;
    body_ = &body;
    block_dim = shape.block;
    grid_dim = shape.grid;
    regions_.clear();
    shared_objects_.clear();
    dynamic_.name = "dynamic shared memory";
    dynamic_.resize((shape.dynamic_shared_bytes + 1) / 2, 2);  // cells of 16 bits, the smallest element
    lanes_.assign(threads, {});
    philox random(how.seed);
    std::vector<std::size_t> block_order(blocks);
    std::iota(block_order.begin(), block_order.end(), std::size_t{0});
    if (how.threads == order::descending) std::reverse(block_order.begin(), block_order.end());
    if (how.threads == order::random) random.shuffle(block_order);
    context* const outer = std::exchange(running, this);
    guarded_run(block_order, how, random);
    running = outer;
    if (!error_.empty()) {
      fibers_.clear();
      free_.clear();
      throw kernel_error(std::exchange(error_, {}));
    }
  }

  std::size_t switches = 0;

  // --- called from kernels ---

  void barrier(const location& site) override { wait(state::at_barrier, site, "sync", 0xffffffffu); }

  void warp_barrier(unsigned mask, const location& site) override {
    if (!(mask >> (thread_id % 32) & 1u))
      stop(text("sync_warp at ", to_text(site), ": the lane is not in its own mask"));
    collect(nullptr, 0, mask, "sync_warp", site);
  }

  const unsigned char* exchange(const void* payload, std::size_t bytes, const char* what,
                                const location& site) override {
    return collect(payload, bytes, 0xffffffffu, what, site);
  }

  [[noreturn]] void stop(const std::string& message) override {
    throw kernel_error(
        text(kernel_, " block (", block.x, ",", block.y, ",", block.z, ") thread ", thread_id, ": ", message));
  }

  shared_region& region(const void* key, const char* name, std::size_t elements, std::size_t unit) override {
    auto& made = regions_[key];
    if (!made) {
      made = std::make_unique<shared_region>();
      made->name = name;
      made->resize(elements, unit);
    }
    return *made;
  }
  shared_region* dynamic_shared(const char* name) override {
    dynamic_.name = name;
    return &dynamic_;
  }

  void copy_async(shared_place to, const void* from, const location& site) override {
    check_write(*to.region, to.byte, 16, site);
    for (std::size_t i = to.byte / to.region->unit; i < (to.byte + 16) / to.region->unit; ++i)
      to.region->cells[i].is = shared_region::state::pending;
    lanes_[thread_id].copies.push_back({to, from, false, site});
  }
  void copy_commit() override { lanes_[thread_id].copies.push_back({{}, nullptr, true, {}}); }
  void copy_wait(int pending, const location&) override {
    auto& copies = lanes_[thread_id].copies;
    auto commits = std::count_if(copies.begin(), copies.end(), [](const copy& c) { return c.commit; });
    while (commits > pending) {
      const copy next = copies.front();
      copies.pop_front();
      if (next.commit) {
        --commits;
        continue;
      }
      std::memcpy(next.to.region->bytes.data() + next.to.byte, next.from, 16);
      for (std::size_t i = next.to.byte / next.to.region->unit; i < (next.to.byte + 16) / next.to.region->unit; ++i) {
        auto& cell = next.to.region->cells[i];
        cell.is = shared_region::state::written;
        cell.write = now();
        cell.write.line = next.site.line();
      }
    }
  }

 private:
  enum class state : std::uint8_t { fresh, ready, at_barrier, at_collective, done };

  struct copy {
    shared_place to;
    const void* from;
    bool commit;
    location site;
  };
  struct cuda_thread {
    state is = state::fresh;
    fiber* stack = nullptr;
    location site;
    const char* what = "";
    unsigned mask = 0;
    std::deque<copy> copies;
  };
  /// Meeting of the lanes of one warp and mask; two buffers, so that a fast lane can start the next one.
  struct meeting {
    unsigned arrived[2] = {};
    unsigned turn[32] = {};
    const char* what[2] = {};
    unsigned line[2] = {}, column[2] = {};
    alignas(16) unsigned char slots[2][32][64] = {};
  };

  /// All blocks in the given order; a fault on a guard page ends them, and the fibers' stacks are dropped.
  void guarded_run(const std::vector<std::size_t>& block_order, const execution& how, philox& random) {
    guard_watch watch;
    if (sigsetjmp(watch.back, 0) != 0) return report(text("out of bounds: access to ", watch.what));
    run_blocks(block_order, how, random);
  }

  void run_blocks(const std::vector<std::size_t>& block_order, const execution& how, philox& random) {
    for (const std::size_t index : block_order) {
      const auto at = static_cast<unsigned>(index);
      block = {at % grid_dim.x, at / grid_dim.x % grid_dim.y, at / (grid_dim.x * grid_dim.y)};
      arrange(how, random);
      run_block();
      if (!error_.empty()) break;
    }
  }

  unsigned warps() const { return static_cast<unsigned>((lanes_.size() + 31) / 32); }

  /// Puts the threads of the block in order, warp by warp.
  void arrange(const execution& how, philox& random) {
    std::vector<unsigned> warp_order(warps());
    std::iota(warp_order.begin(), warp_order.end(), 0u);
    if (how.threads == order::descending) std::reverse(warp_order.begin(), warp_order.end());
    if (how.threads == order::random) random.shuffle(warp_order);
    order_.clear();
    for (const unsigned w : warp_order) {
      std::vector<unsigned> members;
      for (unsigned t = 32 * w; t < std::min<std::size_t>(lanes_.size(), 32 * w + 32); ++t) members.push_back(t);
      if (how.threads == order::descending) std::reverse(members.begin(), members.end());
      if (how.threads == order::random) random.shuffle(members);
      order_.push_back(members);
    }
  }

  void run_block() {
    for (auto& [key, region] : regions_) region->poison();
    dynamic_.poison();
    meetings_.clear();
    block_epoch_ = 0;
    warp_epochs_.assign(warps(), 0);
    for (auto& t : lanes_) t = {};
    std::size_t left = lanes_.size();
    while (left > 0 && error_.empty()) {
      bool progress = false;
      for (const auto& members : order_) {
        bool again = true;
        while (again && error_.empty()) {
          again = false;
          for (const unsigned t : members) {
            if (lanes_[t].is != state::fresh && lanes_[t].is != state::ready) continue;
            step(t);
            again = progress = true;
            if (lanes_[t].is == state::done) --left;
            if (!error_.empty()) return;
          }
        }
      }
      if (left > 0 && !progress) release_barrier(left);
    }
  }

  /// Runs thread t until it waits or ends.
  void step(unsigned t) {
    cuda_thread& now_running = lanes_[t];
    select(t);
    if (now_running.is == state::fresh) {
      if (free_.empty()) {
        fibers_.push_back(std::make_unique<fiber>());
        free_.push_back(fibers_.back().get());
      }
      now_running.stack = free_.back();
      free_.pop_back();
      now_running.stack->prepare([](void* self) { static_cast<executor*>(self)->thread_main(); }, this);
    }
    now_running.is = state::ready;
    ++switches;
    now_running.stack->resume();
    if (now_running.is == state::done) free_.push_back(now_running.stack);
  }

  void select(unsigned t) {
    thread_id = t;
    thread = {t % block_dim.x, t / block_dim.x % block_dim.y, t / (block_dim.x * block_dim.y)};
  }

  void thread_main() {
    const unsigned me = thread_id;
    try {
      (*body_)();
    } catch (const std::exception& e) {
      error_ = e.what();
    }
    lanes_[me].is = state::done;
  }

  void wait(state why, const location& site, const char* what, unsigned mask) {
    const unsigned me = thread_id;
    cuda_thread& self = lanes_[me];
    self.is = why;
    self.site = site;
    self.what = what;
    self.mask = mask;
    self.stack->leave();
    select(me);
  }

  const unsigned char* collect(const void* payload, std::size_t bytes, unsigned mask, const char* what,
                               const location& site) {
    const unsigned me = thread_id, my_lane = me % 32, my_warp = me / 32;
    meeting& here = meetings_[{my_warp, mask}];
    const unsigned buffer = here.turn[my_lane]++ % 2;
    if (here.arrived[buffer] && (here.line[buffer] != site.line() || here.column[buffer] != site.column() ||
                                 std::string_view(here.what[buffer]) != what))
      stop(text("divergent collective: ", what, " at ", to_text(site), " meets ", here.what[buffer], " at line ",
                here.line[buffer]));
    here.what[buffer] = what;
    here.line[buffer] = site.line();
    here.column[buffer] = site.column();
    if (payload) std::memcpy(here.slots[buffer][my_lane], payload, bytes);
    here.arrived[buffer] |= 1u << my_lane;
    if (here.arrived[buffer] == mask) {
      here.arrived[buffer ^ 1u] = 0;
      if (std::string_view(what) == "sync_warp") ++warp_epochs_[my_warp];
      for (unsigned i = 0; i < 32 && 32 * my_warp + i < lanes_.size(); ++i) {
        cuda_thread& other = lanes_[32 * my_warp + i];
        if (i != my_lane && (mask >> i & 1u) && other.is == state::at_collective && other.mask == mask)
          other.is = state::ready;
      }
    } else {
      wait(state::at_collective, site, what, mask);
    }
    return &here.slots[buffer][0][0];
  }

  /// Nothing can run: either all that are left stand at one barrier, or it is an error.
  void release_barrier(std::size_t left) {
    const cuda_thread* first = nullptr;
    std::size_t waiting = 0;
    for (std::size_t t = 0; t < lanes_.size(); ++t) {
      const cuda_thread& thread_t = lanes_[t];
      thread_id = static_cast<unsigned>(t);
      if (thread_t.is == state::at_collective) {
        const meeting& here = meetings_[{thread_id / 32, thread_t.mask}];
        const unsigned buffer = (here.turn[t % 32] + 1) % 2;
        unsigned missing = 0;
        while (missing < 31 && (here.arrived[buffer] >> missing & 1u || !(thread_t.mask >> missing & 1u))) ++missing;
        return report(text("missing lane: ", thread_t.what, " at ", to_text(thread_t.site), " waits for lane ", missing,
                           ", which never comes"));
      }
      if (thread_t.is != state::at_barrier) continue;
      ++waiting;
      if (first && first->site.line() != thread_t.site.line())
        return report(text("divergent barrier: ", to_text(first->site), " and ", to_text(thread_t.site)));
      first = &thread_t;
    }
    if (waiting != lanes_.size())
      return report(text("divergent barrier: ", to_text(first->site), " waits for ", lanes_.size() - left,
                         " threads that have left the kernel"));
    ++block_epoch_;
    for (auto& t : lanes_) t.is = state::ready;
  }

  void report(const std::string& message) {
    error_ = text(kernel_, " block (", block.x, ",", block.y, ",", block.z, ") thread ", thread_id, ": ", message);
  }

  std::string kernel_;
  const std::function<void()>* body_ = nullptr;
  std::vector<cuda_thread> lanes_;
  std::vector<std::vector<unsigned>> order_;  ///< threads in order of running, warp by warp
  std::map<std::pair<unsigned, unsigned>, meeting> meetings_;
  std::map<const void*, std::unique_ptr<shared_region>> regions_;
  shared_region dynamic_;
  std::vector<std::unique_ptr<fiber>> fibers_;
  std::vector<fiber*> free_;
  std::string error_;
};

}  // namespace hocket::cuda_host
