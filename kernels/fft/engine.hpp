// Complex transforms that other libraries provide, one row at a time. A vendor header registers its engine under a name
// when it is included; who plans by name ("own", "fftw") gets it without knowing the library. A real transform is made
// of one of half its length, as in plan.hpp: FFTW's complex transforms are so much faster than its real ones (three
// times at 2048) that this beats asking it for real ones.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>

#include <hocket/core/dtype.hpp>
#include <hocket/core/engines.hpp>

namespace hocket::kernels::fft {

/// One planned length. forward: `in` (n) -> `out` (n), pairs (re, im), distinct and aligned to 64 bytes; `in` is kept.
/// May be called from several threads on distinct rows.
template <Real T>
class row_engine {
 public:
  virtual ~row_engine() = default;
  virtual void forward(const T* in, T* out) const noexcept = 0;
};

template <Real T>
using engine_maker = std::unique_ptr<row_engine<T>> (*)(std::size_t n);

template <Real T>
struct engine {
  std::string_view name;
  engine_maker<T> make = nullptr;  ///< null for "own", which plan.hpp has in itself
};

/// Engines of this program. Vendor headers add theirs before main; afterwards the list is only read.
template <Real T>
engine_list<engine<T>>& engines() {
  static engine_list<engine<T>> known({"FFT engine", "fft", "fftw"}, {{"own"}});
  return known;
}

/// For a vendor header's inline variable.
template <Real T>
bool register_engine(std::string_view name, engine_maker<T> make) {
  return engines<T>().add({name, make});
}

/// Null for "own". Throws not_built for a name that nobody registered.
template <Real T>
std::unique_ptr<row_engine<T>> make_engine(std::string_view name, std::size_t n) {
  const engine<T>& chosen = engines<T>().find(name);
  return chosen.make ? chosen.make(n) : nullptr;
}

}  // namespace hocket::kernels::fft
