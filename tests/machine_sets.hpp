// Tests run their arms under every instruction set of this machine, and with its matrix unit.
#pragma once

#include <string>
#include <vector>

#include <hocket/core/amx.hpp>
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

/// Gives the matrix unit to a scope, or takes it away.
class on_unit {
 public:
  explicit on_unit(matrix_unit unit) { limit_matrix_unit(unit); }
  ~on_unit() { limit_matrix_unit(matrix_unit::amx); }
  on_unit(const on_unit&) = delete;
  on_unit& operator=(const on_unit&) = delete;
};

/// An instruction set with or without the matrix unit.
struct mode {
  isa set;
  matrix_unit unit;
  std::string text() const { return hocket::text(name_of(set), unit == matrix_unit::amx ? " with AMX" : ""); }
};
class on_mode {
 public:
  explicit on_mode(const mode& m) : set_(m.set), unit_(m.unit) {}

 private:
  on_isa set_;
  on_unit unit_;
};
/// Those of this machine; with the matrix unit only where `with_unit`.
inline std::vector<mode> machine_modes(bool with_unit) {
  std::vector<mode> modes;
  for (const isa set : machine_sets()) modes.push_back({set, matrix_unit::none});
  if (with_unit && machine_matrix_unit() == matrix_unit::amx) modes.push_back({isa::avx512, matrix_unit::amx});
  return modes;
}

}  // namespace hocket::tests
