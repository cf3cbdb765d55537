// The timed cases: a training step of every arm, and a forward pass with the adapter apart and merged.
#pragma once

#include "experiments/support/driver.hpp"

namespace hocket::experiments::peft_vs_full {

std::vector<case_spec> speed_cases(const run_options& options);
void run_speed(case_run& run);

}  // namespace hocket::experiments::peft_vs_full
