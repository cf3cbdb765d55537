// Mutation sites of kernels on the host executor: a test arms one site and one kind of damage, runs the kernel's checks
// and expects them to fail. Sites are found by running once while recording. On a GPU none of this exists.
#pragma once

#include <compare>
#include <set>
#include <source_location>
#include <string>

namespace hocket::cuda_host {

enum class mutant {
  barrier,       ///< sync() does nothing
  warp_barrier,  ///< sync_warp() does nothing
  copy_wait,     ///< copy_wait() does nothing
  bounds,        ///< inside(c) is always true
  maximum,       ///< larger(m, x) is x
  fragment,      ///< fragment(i) is i ^ 1
};

constexpr const char* name_of(mutant kind) {
  switch (kind) {
    case mutant::barrier: return "barrier removed";
    case mutant::warp_barrier: return "warp barrier removed";
    case mutant::copy_wait: return "copy wait removed";
    case mutant::bounds: return "bounds test dropped";
    case mutant::maximum: return "maximum not kept";
    case mutant::fragment: return "fragment index swapped";
  }
  return "unknown";
}

struct mutation_site {
  mutant kind;
  std::string file;
  unsigned line, column;
  auto operator<=>(const mutation_site&) const = default;
};

struct mutation_state {
  bool recording = false;
  std::set<mutation_site> seen;  ///< filled while recording
  const mutation_site* armed = nullptr;
  std::size_t hits = 0;  ///< how often the armed site was reached
};

inline thread_local mutation_state mutations;

/// Whether the call at `site` is to be damaged now.
inline bool mutated(mutant kind, const std::source_location& site) {
  mutation_state& state = mutations;
  if (!state.recording && !state.armed) [[likely]]
    return false;
  if (state.recording) state.seen.insert({kind, site.file_name(), site.line(), site.column()});
  if (!state.armed || state.armed->kind != kind || state.armed->line != site.line() ||
      state.armed->column != site.column() || state.armed->file != site.file_name())
    return false;
  ++state.hits;
  return true;
}

}  // namespace hocket::cuda_host
