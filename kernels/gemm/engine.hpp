// The engines a program has: our own always, a vendor's when its header is included somewhere in the program. All of
// them run on the calling thread alone; whoever wants two threads cuts the work into tiles (linalg/gemm.hpp).
#pragma once

#include <string>
#include <string_view>
#include <vector>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <hocket/core/error.hpp>
#include <hocket/kernels/gemm/cpu.hpp>

namespace hocket::kernels::gemm {

template <Real T>
struct engine {
  std::string_view name;
  int rank = 0;  ///< "best" is the engine of the highest rank: the order of their measured speed
  call<T> run = nullptr;
};

/// Engines of this program. Vendor headers add theirs before main; afterwards the list is only read.
template <Real T>
std::vector<engine<T>>& engines() {
  static std::vector<engine<T>> known{{"own", 10, &own<T>}};
  return known;
}

/// For a vendor header's inline variable: registers once per program, however many units include the header.
template <Real T>
bool register_engine(const engine<T>& added) {
  for (const engine<T>& entry : engines<T>())
    if (entry.name == added.name) return true;
  engines<T>().push_back(added);
  return true;
}

/// "best" or a name. Throws not_built for a name that nobody registered.
template <Real T>
engine<T> find_engine(std::string_view name) {
  const engine<T>* best = nullptr;
  std::string known;
  for (const engine<T>& entry : engines<T>()) {
    if (entry.name == name) return entry;
    if (!best || entry.rank > best->rank) best = &entry;
    known += text(known.empty() ? "" : ", ", entry.name);
  }
  expects(name == "best", errc::not_built, "product engine \"", name, "\" is not in this program (known: best, ", known,
          "); include its header, e.g. <hocket/kernels/gemm/vendor_onednn.hpp> for \"onednn\"");
  return *best;
}

/// While it lives, libraries that thread through OpenMP run on the calling thread alone, inside and outside of parallel
/// regions: with two threads they cut sums elsewhere and change bits.
class one_thread {
 public:
#if defined(_OPENMP)
  one_thread() : before_(omp_get_max_threads()) {
    if (before_ != 1) omp_set_num_threads(1);
  }
  ~one_thread() {
    if (before_ != 1) omp_set_num_threads(before_);
  }

 private:
  int before_;

 public:
#else
  one_thread() {}  // not defaulted: compilers take a trivial guard for an unused variable
#endif
  one_thread(const one_thread&) = delete;
  one_thread& operator=(const one_thread&) = delete;
};

}  // namespace hocket::kernels::gemm
