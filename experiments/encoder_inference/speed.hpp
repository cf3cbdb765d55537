// What a precision costs in time and memory: batch x length, all precisions interleaved in one process.
#pragma once

#include <vector>

#include "experiments/support/driver.hpp"

namespace hocket::experiments::encoder_inference {

void add_speed_cases(const run_options& options, std::vector<case_spec>& cases);
void run_speed(case_run& run);

}  // namespace hocket::experiments::encoder_inference
