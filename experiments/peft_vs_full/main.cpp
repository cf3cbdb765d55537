// Does LoRA equal full fine-tuning? README.md in this folder states the question.
#include "experiments/peft_vs_full/arms.hpp"
#include "experiments/peft_vs_full/quality.hpp"
#include "experiments/peft_vs_full/speed.hpp"
#include "experiments/peft_vs_full/verbs.hpp"

int main(int argc, char** argv) {
  using namespace hocket;
  using namespace hocket::experiments;
  experiment e;
  e.name = "peft_vs_full";
  e.question = "Does LoRA equal full fine-tuning, and what does each method cost?";
  std::string names;
  for (const auto& a : peft_vs_full::arms()) names += text(a.name, ", ");
  e.axes = {{"dataset", "sentiment_{1,10,100}pct, without_{amazon,movies,nyt,tweets}_10pct"},
            {"arm", names + "frozen_embedding, tfidf, lexicon"},
            {"learning rate", "three for each method, chosen on validation sentences within each case"}};
  e.cases = [](const run_options& options) {
    auto cases = peft_vs_full::quality_cases(options);
    for (auto& each : peft_vs_full::speed_cases(options)) cases.push_back(std::move(each));
    return cases;
  };
  e.run = [](case_run& run) {
    expects(run.options().backend == backend::cpu, errc::not_built, "training runs on the processor so far");
    if (run.spec().kind == measure::record_kind::throughput)
      peft_vs_full::run_speed(run);
    else
      peft_vs_full::run_quality(run);
  };
  e.resolution_of = peft_vs_full::resolution_of;
  e.verbs = peft_vs_full::user_verbs();
  e.verbs.push_back(peft_vs_full::split_verb());
  return main_of(argc, argv, e);
}
