// Which precision for inference: README.md in this folder states the question.
#include "experiments/encoder_inference/embed.hpp"
#include "experiments/support/driver.hpp"

int main(int argc, char** argv) {
  using namespace hocket::experiments;
  experiment e;
  e.name = "encoder_inference";
  e.question = "Which precision should an encoder run in, and what does it cost in quality?";
  e.cases = [](const run_options&) { return std::vector<case_spec>{}; };
  e.verbs = {encoder_inference::embed_verb()};
  return main_of(argc, argv, e);
}
