// Tests run their arms under every instruction set of this machine.
#pragma once

#include <vector>

#include <hocket/core/simd.hpp>

namespace hocket::tests {

/// Runs a scope on one instruction set.
class on_isa {
 public:
  explicit on_isa(isa level) : before_(best_isa()) { limit_isa(level); }
  ~on_isa() { limit_isa(before_); }
  on_isa(const on_isa&) = delete;
  on_isa& operator=(const on_isa&) = delete;

 private:
  isa before_;
};

inline std::vector<isa> machine_sets() {
  std::vector<isa> sets;
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512})
    if (level <= machine_isa()) sets.push_back(level);
  return sets;
}

}  // namespace hocket::tests
