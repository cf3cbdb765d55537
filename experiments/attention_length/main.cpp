// Which attention at which length: README.md in this folder states the question.
#include <hocket/measure/sampler.hpp>

#include "experiments/attention_length/arms.hpp"
#include "experiments/support/driver.hpp"
#include "experiments/support/peak_memory.hpp"

namespace {

using namespace hocket;
using namespace hocket::experiments;
using namespace hocket::experiments::attention_length;

constexpr std::size_t heads = 4, width = 64;

std::vector<std::size_t> lengths_of(const run_options& options) {
  if (options.quick) return {64, 256, 1024};
  return {64, 128, 256, 512, 1024, 2048, 4096, 8192};
}
constexpr const char* name_of_pass(bool backward) { return backward ? "training" : "forward"; }

std::vector<case_spec> cases_of(const run_options& options) {
  std::vector<case_spec> cases;
  for (const bool backward : {false, true}) {
    for (const std::size_t length : lengths_of(options)) {
      case_spec c;
      c.name = text("1x", heads, "x", width, "/all/pass=", name_of_pass(backward), "/length=", length);
      c.method = "all";
      c.kind = measure::record_kind::throughput;
      c.options.set("heads", heads).set("width", width).set("length", length).set("threads", options.threads);
      c.options.set("pass", name_of_pass(backward));
      c.cost_s = 2 + static_cast<double>(length * length) / 2e6;
      cases.push_back(std::move(c));
    }
    case_spec memory;
    memory.name = text("1x", heads, "x", width, "/all/pass=", name_of_pass(backward), "/memory");
    memory.method = "all";
    memory.kind = measure::record_kind::curve;
    memory.options.set("heads", heads).set("width", width).set("threads", options.threads);
    memory.options.set("pass", name_of_pass(backward)).set("longest", lengths_of(options).back());
    memory.cost_s = 20;
    cases.push_back(std::move(memory));
  }
  return cases;
}

void run_throughput(case_run& run) {
  const bool backward = run.spec().options.string("pass") == "training";
  const problem p(heads, run.spec().options.size("length"), width);
  const cpu device = run.options().device();
  std::vector<measure::timed_arm> arms;
  for (const arm_entry& entry : arm_table) {
    if (p.length > entry.longest) continue;
    const std::shared_ptr<way> ours = entry.make(p, backward, device);
    measure::timed_arm arm;
    arm.name = entry.name;
    arm.dtype = entry.dtype;
    arm.threads = device.threads;
    arm.run = [ours] { ours->run(); };
    arm.check = [ours, &p, &entry, backward] {
      ours->run();
      return check(p, *ours, entry.dtype, backward);
    };
    arm.work = static_cast<double>(p.length);
    arm.work_unit = "tokens";
    arm.flops = attention::flops_forward(p.shape()) + (backward ? attention::flops_backward(p.shape()) : 0);
    arms.push_back(std::move(arm));
  }
  measure::sampling_options sampling;
  sampling.budget_s = 10;
  sampling.warmup_rounds = 3;
  run.record().timings = measure::timed_arms(std::move(arms), sampling).timings();
}

/// What a call needs beside the f32 problem that it is given: its copy of the inputs, results, workspace.
void run_memory(case_run& run) {
  const bool backward = run.spec().options.string("pass") == "training";
  for (const arm_entry& entry : arm_table) {
    measure::curve line;
    line.name = text(entry.name, ", ", name_of_pass(backward));
    line.x = "tokens";
    line.y = "MiB at the peak";
    for (const std::size_t length : lengths_of(run.options())) {
      if (length > entry.longest) continue;
      const problem p(heads, length, width);
      entry.make(p, backward, run.options().device())->run();  // once, untold: threads get their stacks
      const double bytes = peak_bytes_of([&] { entry.make(p, backward, run.options().device())->run(); });
      line.points.push_back({static_cast<double>(length), bytes / 1048576});
    }
    run.record().curves.push_back(std::move(line));
  }
}

}  // namespace

int main(int argc, char** argv) {
  experiment e;
  e.name = "attention_length";
  e.question = "Which attention at which length, and what does it cost in memory?";
  std::string arms;
  for (const arm_entry& arm : arm_table) arms += text(arms.empty() ? "" : ", ", arm.name);
  e.axes = {{"arm", arms}, {"pass", "forward, training"}, {"length", "64 .. 8192"}};
  e.cases = cases_of;
  e.run = [](case_run& run) {
    expects(run.options().backend == backend::cpu, errc::not_built,
            "attention on CUDA is timed by ./hocket gpu-day; these cases run on the processor");
    if (run.spec().kind == measure::record_kind::throughput) return run_throughput(run);
    run_memory(run);
  };
  return main_of(argc, argv, e);
}
