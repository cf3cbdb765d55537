// The quality cases: an arm at one data size, one seed.
#pragma once

#include "experiments/peft_vs_full/sentiment.hpp"
#include "experiments/support/driver.hpp"

namespace hocket::experiments::peft_vs_full {

/// Tasks that `run` goes through.
std::vector<sentiment_task> tasks_of(const run_options& options);

std::vector<case_spec> quality_cases(const run_options& options);
void run_quality(case_run& run);
std::vector<resolution> resolution_of(const run_options& options);

/// Writes train.tsv, valid.tsv and test.tsv of a task and seed as finetune reads them.
verb split_verb();

}  // namespace hocket::experiments::peft_vs_full
