// What a precision costs in quality: how far embeddings turn from those of f32, and whether a classifier on them
// notices.
#pragma once

#include <vector>

#include "experiments/support/driver.hpp"

namespace hocket::experiments::encoder_inference {

void add_quality_cases(const run_options& options, std::vector<case_spec>& cases);
void run_quality(case_run& run);
std::vector<resolution> resolution_of(const run_options& options);

}  // namespace hocket::experiments::encoder_inference
