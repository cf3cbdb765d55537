// Does LoRA equal full fine-tuning? README.md in this folder states the question.
#include "experiments/peft_vs_full/verbs.hpp"

int main(int argc, char** argv) {
  using namespace hocket::experiments;
  experiment e;
  e.name = "peft_vs_full";
  e.question = "Does LoRA equal full fine-tuning, and what does each method cost?";
  e.cases = [](const run_options&) { return std::vector<case_spec>{}; };
  e.run = [](case_run&) {};
  e.verbs = peft_vs_full::user_verbs();
  return main_of(argc, argv, e);
}
