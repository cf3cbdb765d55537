// Which precision for inference: README.md in this folder states the question.
#include "experiments/encoder_inference/embed.hpp"
#include "experiments/encoder_inference/quality.hpp"
#include "experiments/encoder_inference/speed.hpp"
#include "experiments/support/driver.hpp"

int main(int argc, char** argv) {
  using namespace hocket;
  using namespace hocket::experiments;
  experiment e;
  e.name = "encoder_inference";
  e.question = "Which precision should an encoder run in, and what does it cost in quality?";
  e.axes = {{"method", "f32, bf16, int8"}, {"batch", "1, 8, 32"}, {"length", "16, 64, 256 tokens"}};
  e.cases = [](const run_options& options) {
    std::vector<case_spec> cases;
    encoder_inference::add_quality_cases(options, cases);
    encoder_inference::add_speed_cases(options, cases);
    return cases;
  };
  e.run = [](case_run& run) {
    expects(run.options().backend == backend::cpu, errc::not_built,
            "the tape of encoders runs on the processor so far");
    if (run.spec().kind == measure::record_kind::throughput) return encoder_inference::run_speed(run);
    encoder_inference::run_quality(run);
  };
  e.resolution_of = encoder_inference::resolution_of;
  e.verbs = {encoder_inference::embed_verb()};
  return main_of(argc, argv, e);
}
