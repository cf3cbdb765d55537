// hocket_bench: Google Benchmark over every arm at every size. Besides that library's own flags:
//
//   --results DIR   write one record (kind "bench") per operation, size and element type into DIR/bench
//   --cuda-arms     list the CUDA arms as lines of tab-separated values, for docs/cuda-model.md; time nothing
//
// An arm that cannot run here is a row "not run" with the reason, in the table and in the record.
//
// Twelve repetitions in random interleaving unless the flags say otherwise. Exit code 1 when a result was wrong: its
// time is then not taken.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

#include <benchmark/benchmark.h>

#include <hocket/measure/build.hpp>
#include <hocket/measure/machine.hpp>
#include <hocket/measure/order_statistics.hpp>
#include <hocket/measure/record_json.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"
#include "bench/support/side_by_side.hpp"

namespace hocket::bench {

std::vector<subject>& subjects() {
  static std::vector<subject> all;
  return all;
}

std::vector<void (*)()>& operations() {
  static std::vector<void (*)()> all;
  return all;
}

namespace {

std::string name_of(const subject& s) { return text(s.op, "/", s.shape, "/", s.dtype, "/", s.arm); }

/// What became of one subject.
struct outcome {
  std::string problem;             ///< why it was not timed
  std::string not_run;             ///< what is missing here
  std::vector<double> samples_ns;  ///< per run, one for each repetition
};
using outcomes = std::map<std::string, outcome>;

template <class Run>
bool was_timed(const Run& run) {
  if constexpr (requires { run.error_occurred; })
    return !run.error_occurred;
  else
    return !run.skipped;
}

/// Keeps every repetition; the console shows the medians, and what went wrong.
class keeping_reporter final : public benchmark::ConsoleReporter {
 public:
  explicit keeping_reporter(outcomes& kept) : benchmark::ConsoleReporter(OO_None), kept_(kept) {}
  void ReportRuns(const std::vector<Run>& runs) override {
    if (!runs.empty()) {
      const std::string& name = runs.front().run_name.function_name;
      if (const std::string& missing = kept_[name].not_run; !missing.empty()) {
        std::string shown = missing;  // "no_device: why" as "no device (why)"
        std::replace(shown.begin(), shown.begin() + static_cast<std::ptrdiff_t>(shown.find(':')), '_', ' ');
        shown.replace(shown.find(": "), 2, " (");
        GetOutputStream() << name << "  not run: " << shown << ")\n";
        return;
      }
    }
    std::vector<Run> shown;
    for (const Run& run : runs)
      if (run.aggregate_name == "median" || !was_timed(run)) shown.push_back(run);
    benchmark::ConsoleReporter::ReportRuns(shown);
    for (const Run& run : runs)
      if (run.run_type == Run::RT_Iteration && was_timed(run) && run.iterations > 0)
        kept_[run.run_name.function_name].samples_ns.push_back(run.real_accumulated_time * 1e9 /
                                                               static_cast<double>(run.iterations));
  }

 private:
  outcomes& kept_;
};

/// Inputs, one run, the comparison; once.
void prepare(const subject& s, std::optional<ready>& prepared, outcome& kept) {
  if (prepared || !kept.problem.empty()) return;
  try {
    prepared = s.prepare();
    if (!prepared->check.ok || prepared->check.count == 0) kept.problem = prepared->check.message();
  } catch (const std::exception& failure) {
    kept.problem = failure.what();
  }
}

/// Whether --benchmark_filter leaves the subject in.
bool is_asked_for(const std::string& name) {
  std::string filter = benchmark::GetBenchmarkFilter();
  if (filter.empty() || filter == "all") return true;
  const bool negative = filter.front() == '-';
  if (negative) filter.erase(0, 1);
  return std::regex_search(name, std::regex(filter, std::regex::extended)) != negative;
}

void run_subject(benchmark::State& state, const subject& s, std::optional<ready>& prepared, outcome& kept) {
  if (!s.not_run.empty()) {
    kept.not_run = s.not_run;
    state.SkipWithError("not run");
    return;
  }
  prepare(s, prepared, kept);
  if (!kept.problem.empty()) {
    state.SkipWithError(kept.problem.c_str());
    return;
  }
  if (prepared->timed_run) {
    for (auto _ : state) state.SetIterationTime(prepared->timed_run());
  } else {
    for (auto _ : state) prepared->run();
  }
  using benchmark::Counter;
  if (s.flops > 0) state.counters["FLOP/s"] = Counter(s.flops, Counter::kIsIterationInvariantRate);
  if (s.bytes > 0) state.counters["bytes/s"] = Counter(s.bytes, Counter::kIsIterationInvariantRate);
  state.counters[s.work_unit + "/s"] = Counter(s.work, Counter::kIsIterationInvariantRate);
}

measure::timing timing_of(const subject& s, const outcome& kept) {
  measure::timing t;
  t.arm = s.arm;
  t.backend = s.backend;
  t.dtype = s.dtype;
  t.warmup = 1;
  t.samples_ns = kept.samples_ns;
  const auto middle = measure::median_interval(kept.samples_ns);
  t.median_ns = middle.median;
  t.ci95_ns = middle.ci95;
  t.work = s.work;
  t.work_unit = s.work_unit;
  if (s.flops > 0) t.flops = s.flops;
  if (s.bytes > 0) t.bytes = s.bytes;
  return t;
}

/// One record per operation, shape and element type: the arms that were timed, or the reason why one was not.
void write_records(const std::filesystem::path& folder, const outcomes& kept, const std::vector<std::string>& command) {
  measure::provenance from = measure::describe_build();
  from.command = command;
  from.created_utc = measure::utc_now();
  from.code_digest = measure::sha256_of_file("/proc/self/exe");
  const measure::machine machine = measure::describe_machine();
  std::map<std::string, measure::record> records;
  for (const subject& s : subjects()) {
    const auto found = kept.find(name_of(s));
    if (found == kept.end()) continue;  // left out by --benchmark_filter
    const std::string name = text(s.op, "/", s.shape, "/", s.dtype);
    measure::record& r = records[name];
    r.head.experiment = "bench";
    r.head.name = name;
    r.head.kind = measure::record_kind::bench;
    r.head.seed = 1;
    for (const auto& [key, value] : {std::pair{"op", s.op}, {"shape", s.shape}, {"dtype", s.dtype}})
      r.head.options.set(key, measure::scalar(std::in_place_type<std::string>, value));
    r.provenance = from;
    r.machine = machine;
    if (!found->second.not_run.empty()) {
      r.head.options.set(text("not run: ", s.arm),
                         measure::scalar(std::in_place_type<std::string>, found->second.not_run));
    } else if (!found->second.problem.empty()) {
      r.status = measure::record_status::failed;
      r.error = measure::record_error{"check_failed", text(s.arm, ": ", found->second.problem), {}};
    } else if (found->second.samples_ns.size() >= measure::min_samples) {
      if (s.backend == "cuda")
        r.head.options.set("gpu", measure::scalar(std::in_place_type<std::string>, cuda_device_name()));
      r.body.timings.push_back(timing_of(s, found->second));
    }
  }
  for (auto& [name, r] : records) {
    const auto& options = r.head.options.entries();
    if (r.body.timings.empty() && r.status == measure::record_status::ok &&
        options.back().first.starts_with("not run")) {
      const std::string reason = std::get<std::string>(options.back().second);  // no arm of this record could run
      const std::size_t colon = reason.find(": ");
      r.status = measure::record_status::not_run;
      r.error = measure::record_error{reason.substr(0, colon), reason.substr(colon + 2), {}};
    }
    if (!r.body.timings.empty() || r.status != measure::record_status::ok) measure::write_record(folder, r);
  }
}

/// One line per CUDA arm: operation, entry point, its sizes, FLOPs, bytes.
void list_cuda_arms() {
  for (const subject& s : subjects())
    if (!s.kernel.empty())
      std::cout << s.op << "\t" << s.kernel << "\t" << s.size_of_arguments << "\t" << text(s.flops, "\t", s.bytes)
                << "\n";
}

int run_all(int argc, char** argv) {
  const std::vector<std::string> command(argv, argv + argc);
  std::vector<std::string> flags = {argv[0], "--benchmark_repetitions=12",
                                    "--benchmark_enable_random_interleaving=true", "--benchmark_min_time=0.02"};
  std::string results;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--cuda-arms") {
      for (const auto add : operations()) add();
      list_cuda_arms();
      return 0;
    }
    if (std::string_view(argv[i]) == "--results" && i + 1 < argc)
      results = argv[++i];
    else
      flags.emplace_back(argv[i]);
  }
  std::vector<char*> pointers;
  for (std::string& flag : flags) pointers.push_back(flag.data());
  int count = static_cast<int>(pointers.size());
  benchmark::Initialize(&count, pointers.data());
  if (benchmark::ReportUnrecognizedArguments(count, pointers.data())) return 2;
  const measure::machine machine = measure::describe_machine();
  const measure::provenance build = measure::describe_build();
  benchmark::AddCustomContext("hocket", build.version + " " + build.git_commit);
  benchmark::AddCustomContext("compiler", build.compiler + " " + build.flags);
  benchmark::AddCustomContext("machine", machine.cpu + ", " + machine.isa);
  for (const auto& [name, version] : build.libraries) benchmark::AddCustomContext(name, version);

  for (const auto add : operations()) add();  // now that every vendor header has registered its engine
  outcomes kept;
  std::vector<std::function<void()>> ahead;  // references of arms on a device take minutes one after the other
  for (const subject& s : subjects()) {
    auto prepared = std::make_shared<std::optional<ready>>();
    auto* made = benchmark::RegisterBenchmark(name_of(s).c_str(), [&s, prepared, &kept](benchmark::State& state) {
      run_subject(state, s, *prepared, kept[name_of(s)]);
    });
    if (s.backend == "cuda") {
      made->UseManualTime();
      if (s.not_run.empty() && is_asked_for(name_of(s) + "/manual_time"))
        ahead.push_back([&s, prepared, one = &kept[name_of(s)]] { prepare(s, *prepared, *one); });
    } else {
      made->UseRealTime();
    }
  }
  const bool only_names = std::any_of(flags.begin(), flags.end(), [](const std::string& flag) {
    return flag == "--benchmark_list_tests" || flag == "--benchmark_list_tests=true";
  });
  if (!only_names) side_by_side(ahead.size(), [&](std::size_t i) { ahead[i](); });
  keeping_reporter reporter(kept);
  benchmark::RunSpecifiedBenchmarks(&reporter);
  if (!results.empty()) write_records(results, kept, command);
  int wrong = 0;
  for (const auto& [name, one] : kept)
    if (!one.problem.empty()) {
      std::cerr << name << ": not timed: " << one.problem << "\n";
      wrong = 1;
    }
  return wrong;
}

}  // namespace
}  // namespace hocket::bench

int main(int argc, char** argv) {
  try {
    return hocket::bench::run_all(argc, argv);
  } catch (const std::exception& failure) {
    std::cerr << "hocket_bench: " << failure.what() << "\n";
    return 3;
  }
}
