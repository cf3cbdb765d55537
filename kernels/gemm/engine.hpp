// The engines a program has: our own always, a vendor's when its header is included somewhere in the program. All of
// them run on the calling thread alone; whoever wants two threads cuts the work into tiles (linalg/gemm.hpp).
#pragma once

#include <string_view>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <hocket/core/engines.hpp>
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
engine_list<engine<T>>& engines() {
  static engine_list<engine<T>> known({"product engine", "gemm", "onednn"}, {{"own", 10, &own<T>}});
  return known;
}

/// For a vendor header's inline variable.
template <Real T>
bool register_engine(const engine<T>& added) {
  return engines<T>().add(added);
}

/// "best" or a name. Throws not_built for a name that nobody registered.
template <Real T>
engine<T> find_engine(std::string_view name) {
  return engines<T>().find(name);
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
