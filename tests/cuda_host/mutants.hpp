// The mutation test: finds every site of a kernel that its checks pass through, breaks one at a time, and expects the
// checks to notice. A survivor must be named with its reason by the test that calls this; one that should have died
// fails it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "cuda_host/executor.hpp"
#include "cuda_host/fiber.hpp"

namespace hocket::cuda_host {

struct mutation_report {
  std::size_t killed = 0, untried = 0;
  std::vector<mutation_site> survivors;
  std::size_t total() const { return killed + untried + survivors.size(); }
  std::string message() const {
    std::string out = text(killed, " of ", total(), " mutants killed, ", untried, " not tried");
    for (const auto& site : survivors)
      out += text("\n  survived: ", name_of(site.kind), " at ", site.file.substr(site.file.rfind('/') + 1), ":",
                  site.line, ":", site.column);
    return out;
  }
};

/// `checks()` returns whether all results were right; a kernel_error counts as wrong. It must pass undamaged.
template <class Checks>
mutation_report try_mutants(Checks&& checks) {
  const auto passes = [&] {
    try {
      return static_cast<bool>(checks());
    } catch (const kernel_error&) {
      return false;
    }
  };
  mutations = {};
  mutations.recording = true;
  const bool undamaged = passes();
  const auto sites = std::exchange(mutations, {}).seen;
  if (!undamaged) throw std::runtime_error("the checks fail on the undamaged kernel");
  mutation_report report;
  for (const auto& site : sites) {
#if defined(HOCKET_ASAN_FIBERS)  // the sanitizer ends the program at a write outside, so this damage is left to others
    if (site.kind == mutant::bounds) {
      ++report.untried;
      continue;
    }
#endif
    mutations = {};
    mutations.armed = &site;
    const bool survived = passes();
    const bool reached = mutations.hits > 0;
    mutations = {};
    if (survived && reached)
      report.survivors.push_back(site);
    else
      ++report.killed;
  }
  return report;
}

}  // namespace hocket::cuda_host
