// The seam as a host compiler sees it: every call reports to the executor that runs the block (tests/cuda_host), which
// checks what a GPU would leave undefined. Shared memory is tracked element by element:
//
//   - a read of an element that nobody wrote, or whose asynchronous copy was not waited for, is an error;
//   - two accesses to one element, one of them a write, by different threads with no barrier between them are a race.
//     sync() orders the threads of a block, sync_warp() those of a warp; shuffles order nothing, as in CUDA's memory
//     model.
//
// No CUDA header is needed.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <source_location>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include <hocket/core/cuda/mutation.hpp>
#include <hocket/core/cuda/shape.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/half.hpp>

#define HOCKET_DEVICE inline
#define HOCKET_KERNEL(name) inline void name
#define HOCKET_KERNEL_BOUNDS(name, threads, blocks) inline void name
#define HOCKET_SHARED(name, ...)                                                     \
  __VA_ARGS__& name = []() -> __VA_ARGS__& {                                         \
    static const char key = 0; /* one object per block and declaration */            \
    return ::hocket::cuda_host::current().template shared<__VA_ARGS__>(&key, #name); \
  }()
#define HOCKET_DYNAMIC_SHARED(name, T) \
  const ::hocket::cu::dynamic_array<T> name { ::hocket::cuda_host::current().dynamic_shared(#name), 0 }
#define HOCKET_UNROLL
#define HOCKET_SITE_PARAMETER , std::source_location site = std::source_location::current()
#define HOCKET_SITE_ARGUMENT , site
#define HOCKET_SITE site

namespace hocket::cuda_host {

using location = std::source_location;

/// What a check of the executor found; the message names kernel, block, thread, file and line.
struct kernel_error : std::runtime_error {
  using runtime_error::runtime_error;
};

inline std::string to_text(const location& site) {
  std::string_view file = site.file_name();
  file.remove_prefix(file.rfind('/') == file.npos ? 0 : file.rfind('/') + 1);
  return text(file, ":", static_cast<std::size_t>(site.line()));
}

/// When an access happened, for the race rule.
struct moment {
  int thread = -1;
  unsigned block_epoch = 0;  ///< barriers of the block passed
  unsigned warp_epoch = 0;   ///< barriers of the warp passed
  unsigned line = 0;
};

/// Tracked bytes of shared memory, in units of one element.
struct shared_region {
  enum class state : std::uint8_t { unwritten, written, pending };
  /// Who has read since the last write, as far as it is not ordered by a barrier of the block.
  enum class readers : std::uint8_t { one, one_warp, many };
  struct cell {
    state is = state::unwritten;
    readers by = readers::one;
    moment write, read;
  };
  std::string name;
  std::size_t unit = 1;  ///< bytes of an element
  std::vector<unsigned char> bytes;
  std::vector<cell> cells;

  void resize(std::size_t elements, std::size_t size_of_element) {
    unit = size_of_element;
    bytes.assign(elements * unit, 0xff);  // NaN for every floating-point type
    cells.assign(elements, {});
  }
  void poison() {
    std::fill(bytes.begin(), bytes.end(), static_cast<unsigned char>(0xff));
    std::fill(cells.begin(), cells.end(), cell{});
  }
};

/// An element of a region, for copies and matrix loads.
struct shared_place {
  shared_region* region = nullptr;
  std::size_t byte = 0;
};

/// What the running thread can ask of its executor. One executor runs per host thread.
class context {
 public:
  virtual ~context() = default;
  virtual void barrier(const location& site) = 0;
  virtual void warp_barrier(unsigned mask, const location& site) = 0;
  /// Every lane of the warp puts in `bytes` <= 64 bytes; returns the 32 slots of 64 bytes.
  virtual const unsigned char* exchange(const void* payload, std::size_t bytes, const char* what,
                                        const location& site) = 0;
  [[noreturn]] virtual void stop(const std::string& message) = 0;
  virtual shared_region& region(const void* key, const char* name, std::size_t elements, std::size_t unit) = 0;
  virtual shared_region* dynamic_shared(const char* name) = 0;
  virtual void copy_async(shared_place to, const void* from, const location& site) = 0;
  virtual void copy_commit() = 0;
  virtual void copy_wait(int pending, const location& site) = 0;

  void check_read(shared_region& region, std::size_t first_byte, std::size_t count, const location& site);
  void check_write(shared_region& region, std::size_t first_byte, std::size_t count, const location& site);

  template <class Array>
  Array& shared(const void* key, const char* name) {
    auto& objects = shared_objects_;
    for (auto& [known, object] : objects)
      if (known == key) return *static_cast<Array*>(object.get());
    auto made = std::make_shared<Array>();
    made->region = &region(key, name, Array::size, sizeof(typename Array::element));
    objects.emplace_back(key, made);
    return *made;
  }

  extent3 thread, block, block_dim, grid_dim;
  unsigned thread_id = 0;  ///< linear in the block
  moment now() const { return {static_cast<int>(thread_id), block_epoch_, warp_epochs_[thread_id / 32], 0}; }

 protected:
  bool ordered(const moment& before) const {
    return before.thread < 0 || before.thread == static_cast<int>(thread_id) || before.block_epoch != block_epoch_ ||
           (static_cast<unsigned>(before.thread) / 32 == thread_id / 32 &&
            before.warp_epoch != warp_epochs_[thread_id / 32]);
  }
  bool same_warp(const moment& m) const { return static_cast<unsigned>(m.thread) / 32 == thread_id / 32; }
  void note_read(shared_region::cell& cell, const location& site) {
    using readers = shared_region::readers;
    moment t = now();
    t.line = site.line();
    if (cell.read.thread < 0 || cell.read.block_epoch != block_epoch_ ||
        (cell.by != readers::many && same_warp(cell.read) && cell.read.warp_epoch != t.warp_epoch)) {
      cell.read = t;
      cell.by = readers::one;
    } else if (!same_warp(cell.read)) {
      cell.by = readers::many;
    } else if (cell.by == readers::one && cell.read.thread != t.thread) {
      cell.by = readers::one_warp;
    }
  }
  bool reads_ordered(const shared_region::cell& cell) const {
    using readers = shared_region::readers;
    if (cell.read.thread < 0 || cell.read.block_epoch != block_epoch_) return true;
    if (cell.by == readers::many) return false;
    if (cell.by == readers::one_warp)
      return same_warp(cell.read) && cell.read.warp_epoch != warp_epochs_[thread_id / 32];
    return ordered(cell.read);
  }
  unsigned block_epoch_ = 0;
  std::vector<unsigned> warp_epochs_;
  std::vector<std::pair<const void*, std::shared_ptr<void>>> shared_objects_;
};

inline thread_local context* running = nullptr;

inline context& current() {
  if (!running) throw kernel_error("a CUDA kernel was called outside cuda_host::launch");
  return *running;
}

inline void context::check_read(shared_region& region, std::size_t first_byte, std::size_t count,
                                const location& site) {
  if (first_byte % region.unit || first_byte + count > region.bytes.size())
    stop(text("out of bounds: ", to_text(site), " reads ", region.name, " at element ", first_byte / region.unit,
              " of ", region.cells.size()));
  for (std::size_t i = first_byte / region.unit; i < (first_byte + count) / region.unit; ++i) {
    auto& cell = region.cells[i];
    if (cell.is == shared_region::state::unwritten)
      stop(text("read of unwritten shared memory: ", to_text(site), " reads ", region.name, " element ", i));
    if (cell.is == shared_region::state::pending)
      stop(text("missing copy wait: ", to_text(site), " reads ", region.name, " element ", i,
                " whose asynchronous copy from line ", cell.write.line, " was not waited for"));
    if (!ordered(cell.write))
      stop(text("race: ", to_text(site), " reads ", region.name, " element ", i, " written by thread ",
                cell.write.thread, " at line ", cell.write.line, " with no barrier between"));
    note_read(cell, site);
  }
}

inline void context::check_write(shared_region& region, std::size_t first_byte, std::size_t count,
                                 const location& site) {
  if (first_byte % region.unit || first_byte + count > region.bytes.size())
    stop(text("out of bounds: ", to_text(site), " writes ", region.name, " at element ", first_byte / region.unit,
              " of ", region.cells.size()));
  for (std::size_t i = first_byte / region.unit; i < (first_byte + count) / region.unit; ++i) {
    auto& cell = region.cells[i];
    if (cell.is == shared_region::state::pending)
      stop(text("missing copy wait: ", to_text(site), " writes ", region.name, " element ", i,
                " while its asynchronous copy from line ", cell.write.line, " is under way"));
    if (cell.is == shared_region::state::written && !ordered(cell.write))
      stop(text("race: ", to_text(site), " writes ", region.name, " element ", i, " written by thread ",
                cell.write.thread, " at line ", cell.write.line, " with no barrier between"));
    if (!reads_ordered(cell))
      stop(text("race: ", to_text(site), " writes ", region.name, " element ", i, " read by thread ", cell.read.thread,
                " at line ", cell.read.line, " with no barrier between"));
    cell.is = shared_region::state::written;
    cell.write = now();
    cell.write.line = site.line();
    cell.read = {};
    cell.by = shared_region::readers::one;
  }
}

}  // namespace hocket::cuda_host

namespace hocket::cu {

using cuda_host::current;
using cuda_host::location;

/// The executor plays a device of compute capability 8.0; a test sets it to false to play an older one.
inline thread_local bool has_mma = true;

inline unsigned thread_x() { return current().thread.x; }
inline unsigned thread_y() { return current().thread.y; }
inline unsigned block_x() { return current().block.x; }
inline unsigned block_y() { return current().block.y; }
inline unsigned block_z() { return current().block.z; }
inline unsigned block_dim_x() { return current().block_dim.x; }
inline unsigned block_dim_y() { return current().block_dim.y; }
inline unsigned grid_dim_x() { return current().grid_dim.x; }
inline unsigned global_index() { return block_x() * block_dim_x() + thread_x(); }
inline unsigned lane() { return current().thread_id % 32; }
inline unsigned warp() { return current().thread_id / 32; }

using shared_address = cuda_host::shared_place;

/// Stands for T& into shared memory: reads and writes are checked.
template <class T>
class reference {
 public:
  reference(cuda_host::shared_region* region, std::size_t index, const location& site)
      : region_(region), byte_(index * sizeof(T)), site_(site) {}
  operator T() const {
    current().check_read(*region_, byte_, sizeof(T), site_);
    T x;
    std::memcpy(&x, region_->bytes.data() + byte_, sizeof x);
    return x;
  }
  const reference& operator=(T x) const {
    current().check_write(*region_, byte_, sizeof(T), site_);
    std::memcpy(region_->bytes.data() + byte_, &x, sizeof x);
    return *this;
  }
  const reference& operator=(const reference& other) const { return *this = static_cast<T>(other); }
  const reference& operator+=(T x) const { return *this = static_cast<T>(*this) + x; }
  const reference& operator-=(T x) const { return *this = static_cast<T>(*this) - x; }
  const reference& operator*=(T x) const { return *this = static_cast<T>(*this) * x; }

 private:
  cuda_host::shared_region* region_;
  std::size_t byte_;
  location site_;
};

template <class T, unsigned Rows, unsigned Columns = 1>
struct array {
  using element = T;
  static constexpr std::size_t size = std::size_t{Rows} * Columns;
  cuda_host::shared_region* region = nullptr;
  reference<T> operator()(unsigned i, location site = location::current()) { return {region, i, site}; }
  reference<T> operator()(unsigned i, unsigned j, location site = location::current()) {
    if (j >= Columns)
      current().stop(
          text("out of bounds: ", cuda_host::to_text(site), " column ", j, " of ", Columns, " of ", region->name));
    return {region, std::size_t{i} * Columns + j, site};
  }
  shared_address at(unsigned i, unsigned j = 0) { return {region, (std::size_t{i} * Columns + j) * sizeof(T)}; }
};

template <class T>
struct dynamic_array {
  cuda_host::shared_region* region = nullptr;
  std::size_t first_byte = 0;
  reference<T> operator()(unsigned i, location site = location::current()) const {
    return {region, first_byte / sizeof(T) + i, site};
  }
  shared_address at(unsigned i) const { return {region, first_byte + i * sizeof(T)}; }
  template <class U>
  dynamic_array<U> part(unsigned byte) const {
    if (byte % 16) current().stop(text("part(", byte, ") of shared memory is not a multiple of 16 bytes"));
    return {region, first_byte + byte};
  }
};

inline void sync(location site = location::current()) {
  if (!cuda_host::mutated(cuda_host::mutant::barrier, site)) current().barrier(site);
}
inline void sync_warp(unsigned mask = 0xffffffffu, location site = location::current()) {
  if (!cuda_host::mutated(cuda_host::mutant::warp_barrier, site)) current().warp_barrier(mask, site);
}

namespace detail {

/// Every lane's x after all lanes have come.
template <class T>
struct lanes {
  const unsigned char* slots;
  T operator[](unsigned lane) const {
    T x;
    std::memcpy(&x, slots + 64 * lane, sizeof x);
    return x;
  }
};
template <class T>
lanes<T> gather(const T& x, const char* what, const location& site) {
  static_assert(sizeof(T) <= 64 && std::is_trivially_copyable_v<T>);
  return {current().exchange(&x, sizeof x, what, site)};
}

}  // namespace detail

template <class T>
T shfl(T x, unsigned source, location site = location::current()) {
  return detail::gather(x, "shfl", site)[source % 32];
}
template <class T>
T shfl_xor(T x, unsigned lanes, location site = location::current()) {
  return detail::gather(x, "shfl_xor", site)[(lane() ^ lanes) % 32];
}
template <class T>
T shfl_down(T x, unsigned lanes, location site = location::current()) {
  const unsigned from = lane() + lanes;
  return detail::gather(x, "shfl_down", site)[from < 32 ? from : lane()];
}
template <class T>
T shfl_up(T x, unsigned lanes, location site = location::current()) {
  return detail::gather(x, "shfl_up", site)[lanes <= lane() ? lane() - lanes : lane()];
}
inline unsigned ballot(bool vote, location site = location::current()) {
  const auto votes = detail::gather(vote, "ballot", site);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) bits |= static_cast<unsigned>(votes[i]) << i;
  return bits;
}
inline bool any(bool vote, location site = location::current()) { return ballot(vote, site) != 0; }
inline bool all(bool vote, location site = location::current()) { return ballot(vote, site) == 0xffffffffu; }
inline unsigned match_any(unsigned x, location site = location::current()) {
  const auto values = detail::gather(x, "match_any", site);
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) bits |= static_cast<unsigned>(values[i] == x) << i;
  return bits;
}
inline unsigned reduce_add(unsigned x, location site = location::current()) {
  const auto values = detail::gather(x, "reduce_add", site);
  unsigned sum = 0;
  for (unsigned i = 0; i < 32; ++i) sum += values[i];
  return sum;
}
inline unsigned reduce_max(unsigned x, location site = location::current()) {
  const auto values = detail::gather(x, "reduce_max", site);
  unsigned largest = 0;
  for (unsigned i = 0; i < 32; ++i) largest = largest < values[i] ? values[i] : largest;
  return largest;
}

inline int atomic_add(int* target, int x) { return std::exchange(*target, *target + x); }
inline int atomic_max(int* target, int x) { return std::exchange(*target, *target < x ? x : *target); }

inline bool inside(bool condition, location site = location::current()) {
  return cuda_host::mutated(cuda_host::mutant::bounds, site) || condition;
}
inline float larger(float m, float x, location site = location::current()) {
  return cuda_host::mutated(cuda_host::mutant::maximum, site) ? x : std::fmax(m, x);
}
inline double larger(double m, double x, location site = location::current()) {
  return cuda_host::mutated(cuda_host::mutant::maximum, site) ? x : std::fmax(m, x);
}
inline unsigned fragment(unsigned i, location site = location::current()) {
  return cuda_host::mutated(cuda_host::mutant::fragment, site) ? i ^ 1u : i;
}

inline float exp_of(float x) { return std::exp(x); }
inline float inverse_sqrt(float x) { return 1.0f / std::sqrt(x); }
inline unsigned first_set(unsigned bits) { return static_cast<unsigned>(std::countr_zero(bits)); }

inline void copy_async16(shared_address to, const void* from, location site = location::current()) {
  if (to.byte % 16 || reinterpret_cast<std::uintptr_t>(from) % 16)
    current().stop(text("misaligned: copy_async16 at ", cuda_host::to_text(site), " needs multiples of 16 bytes"));
  current().copy_async(to, from, site);
}
inline void copy_commit() { current().copy_commit(); }
template <int Pending>
void copy_wait(location site = location::current()) {
  if (!cuda_host::mutated(cuda_host::mutant::copy_wait, site)) current().copy_wait(Pending, site);
}

namespace detail {

/// Row `row` of the 8x8 matrix whose row addresses the lanes first .. first + 7 gave, elements 2 i and 2 i + 1.
inline unsigned matrix_pair(const lanes<shared_address>& rows, unsigned first, unsigned row, unsigned pair) {
  const shared_address place = rows[first + row];
  unsigned bits;
  std::memcpy(&bits, place.region->bytes.data() + place.byte + 4 * pair, 4);
  return bits;
}
inline lanes<shared_address> gather_rows(shared_address row, unsigned providers, const char* what,
                                         const location& site) {
  if (lane() < providers) {
    if (row.byte % 16)
      current().stop(
          text("misaligned: ", what, " at ", cuda_host::to_text(site), " needs rows on multiples of 16 bytes"));
    current().check_read(*row.region, row.byte, 16, site);
  }
  return gather(row, what, site);
}

}  // namespace detail

inline void load_matrix_x4(unsigned (&r)[4], shared_address row, location site = location::current()) {
  const auto rows = detail::gather_rows(row, 32, "load_matrix_x4", site);
  for (unsigned m = 0; m < 4; ++m) r[m] = detail::matrix_pair(rows, 8 * m, lane() / 4, lane() % 4);
}
inline void load_matrix_x2(unsigned (&r)[2], shared_address row, location site = location::current()) {
  const auto rows = detail::gather_rows(row, 16, "load_matrix_x2", site);
  for (unsigned m = 0; m < 2; ++m) r[m] = detail::matrix_pair(rows, 8 * m, lane() / 4, lane() % 4);
}
namespace detail {

/// Elements (2 p, column) and (2 p + 1, column) of an 8x8 matrix, for the lane that holds that column's pair p.
inline unsigned transposed_pair(const lanes<shared_address>& rows, unsigned first) {
  const unsigned column = lane() / 4;
  unsigned halves[2];
  for (unsigned h = 0; h < 2; ++h) {
    const unsigned pair = matrix_pair(rows, first, 2 * (lane() % 4) + h, column / 2);
    halves[h] = column % 2 ? pair >> 16 : pair & 0xffffu;
  }
  return halves[0] | halves[1] << 16;
}

}  // namespace detail

inline void load_matrix_x2_trans(unsigned (&r)[2], shared_address row, location site = location::current()) {
  const auto rows = detail::gather_rows(row, 16, "load_matrix_x2_trans", site);
  for (unsigned m = 0; m < 2; ++m) r[m] = detail::transposed_pair(rows, 8 * m);
}
inline void load_matrix_x4_trans(unsigned (&r)[4], shared_address row, location site = location::current()) {
  const auto rows = detail::gather_rows(row, 32, "load_matrix_x4_trans", site);
  for (unsigned m = 0; m < 4; ++m) r[m] = detail::transposed_pair(rows, 8 * m);
}

namespace detail {

struct fragments16 {
  unsigned a[4], b[2];
};
/// PTX manual, "Matrix fragments for mma.m16n8k16": lane l holds A at row l/4 + 8 (q%2), k = 2 (l%4) + {0,1} + 8 (q/2);
/// B at column l/4, k = 2 (l%4) + {0,1} + 8 q; D at row l/4 + 8 (q/2), column 2 (l%4) + q%2. Products are exact, sums
/// f32 in an order the manual leaves open: here one f64 sum, rounded once.
template <class Half>
void mma_16816(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const char* what, const location& site) {
  const auto all = gather(fragments16{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, what, site);
  const auto value = [](unsigned pair, unsigned half) {
    return static_cast<double>(to_f32(Half{static_cast<std::uint16_t>(half ? pair >> 16 : pair & 0xffffu)}));
  };
  for (unsigned q = 0; q < 4; ++q) {
    const unsigned row = lane() / 4 + 8 * (q / 2), column = 2 * (lane() % 4) + q % 2;
    double sum = static_cast<double>(d[q]);
    for (unsigned k = 0; k < 16; ++k) {
      const unsigned fa = all[row % 8 * 4 + k % 8 / 2].a[row / 8 + 2 * (k / 8)];
      const unsigned fb = all[column * 4 + k % 8 / 2].b[k / 8];
      sum += value(fa, k % 2) * value(fb, k % 2);
    }
    d[q] = static_cast<float>(sum);
  }
}
inline float round_to_tf32(float x) {
  const std::uint32_t bits = hocket::detail::bits_of(x);
  if ((bits & 0x7f800000u) == 0x7f800000u) return x;
  return hocket::detail::float_of((bits + 0x1000u) & ~0x1fffu);  // to nearest, ties away from zero: cvt.rna
}
struct fragments8 {
  float a[4], b[2];
};

}  // namespace detail

inline void mma_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                    location site = location::current()) {
  detail::mma_16816<f16>(d, a, b, "mma_f16", site);
}
inline void mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                     location site = location::current()) {
  detail::mma_16816<bf16>(d, a, b, "mma_bf16", site);
}
/// m16n8k8: A at row l/4 + 8 (q%2), k = l%4 + 4 (q/2); B at column l/4, k = l%4 + 4 q; D as for m16n8k16.
inline void mma_tf32(float (&d)[4], const float (&a)[4], const float (&b)[2], location site = location::current()) {
  const auto all = detail::gather(detail::fragments8{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}}, "mma_tf32", site);
  for (unsigned q = 0; q < 4; ++q) {
    const unsigned row = lane() / 4 + 8 * (q / 2), column = 2 * (lane() % 4) + q % 2;
    double sum = static_cast<double>(d[q]);
    for (unsigned k = 0; k < 8; ++k)
      sum += static_cast<double>(detail::round_to_tf32(all[row % 8 * 4 + k % 4].a[row / 8 + 2 * (k / 4)])) *
             static_cast<double>(detail::round_to_tf32(all[column * 4 + k % 4].b[k / 4]));
    d[q] = static_cast<float>(sum);
  }
}

}  // namespace hocket::cu
