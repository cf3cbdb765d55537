// Arms of bench/cuda on the executor: each prepares itself, runs and compares; here every order of threads must give
// the promised result and the same bits.
#pragma once

#include <string>
#include <vector>

#include "bench/support/bench.hpp"
#include "catch.hpp"
#include "cuda_host/machine.hpp"

namespace hocket::cuda_host {

/// `prepare(device)` gives a bench::ready.
template <class Prepare>
void check_in_every_order(const std::string& what, Prepare&& prepare) {
  std::vector<unsigned char> first;
  for (const execution& how : all_orders()) {
    machine device(how);
    const bench::ready made = prepare(device.device());
    INFO(what << " " << made.check.message());
    CHECK(made.check);
    const std::vector<unsigned char> written = made.written();
    if (first.empty()) first = written;
    CHECK(written == first);
  }
}

/// For try_mutants: whether the arm is right.
template <class Prepare>
bool right(Prepare&& prepare) {
  machine device;
  return prepare(device.device()).check.ok;
}

}  // namespace hocket::cuda_host
