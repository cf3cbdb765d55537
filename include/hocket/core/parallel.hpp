// Threads: one pool, OpenMP's. Work is cut into tiles whose borders do not depend on the number of threads, so results
// are the same bits for any of them. Without -fopenmp the same calls run on the calling thread.
//
// Concurrency: calls from several user threads at once are allowed on distinct outputs and workspaces; nested calls run
// on one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <exception>
#if defined(_OPENMP)
#include <omp.h>
#endif

#include <hocket/core/device.hpp>

namespace hocket {

/// Logical processors this process may use; 1 without OpenMP.
inline int available_threads() {
#if defined(_OPENMP)
  return omp_get_num_procs();
#else
  return 1;
#endif
}

// Each translation unit's own flavour: a program may mix units with and without -fopenmp.
#if defined(_OPENMP)
inline namespace with_openmp {
#else
inline namespace without_openmp {
#endif

/// Calls body(tile, worker) once for every tile in [0, tiles), worker in [0, device.threads). `dynamic` hands tiles out
/// one by one (uneven work), otherwise each worker gets one contiguous run. The first exception is rethrown.
template <class Body>
void for_each_tile(const cpu& device, std::size_t tiles, Body&& body, bool dynamic = false) {
  const int threads = static_cast<int>(std::min<std::size_t>(static_cast<std::size_t>(device.threads), tiles));
#if defined(_OPENMP)
  if (threads > 1 && !omp_in_parallel()) {
    std::exception_ptr first;
    const auto guarded = [&](std::size_t tile) {
      try {
        body(tile, static_cast<std::size_t>(omp_get_thread_num()));
      } catch (...) {
#pragma omp critical(hocket_first_exception)
        if (!first) first = std::current_exception();
      }
    };
    if (dynamic) {
#pragma omp parallel for schedule(dynamic, 1) num_threads(threads)
      for (std::size_t tile = 0; tile < tiles; ++tile) guarded(tile);
    } else {
#pragma omp parallel for schedule(static) num_threads(threads)
      for (std::size_t tile = 0; tile < tiles; ++tile) guarded(tile);
    }
    if (first) std::rethrow_exception(first);
    return;
  }
#endif
  (void)threads;
  (void)dynamic;
  for (std::size_t tile = 0; tile < tiles; ++tile) body(tile, std::size_t{0});
}

}  // namespace with_openmp / without_openmp

}  // namespace hocket
