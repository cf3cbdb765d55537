// A tiny experiment for the tests of the driver: cases that finish, throw, crash, hang, lack data or select on test
// data, as TOY_MODE says. Every case that runs to its end appends its name to TOY_LOG.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <unistd.h>

#include <hocket/core/rng.hpp>

#include "experiments/support/driver.hpp"

namespace {

using namespace hocket;
using namespace hocket::experiments;

std::string environment(const char* name, const char* otherwise = "") {
  const char* value = std::getenv(name);
  return value ? value : otherwise;
}

std::vector<case_spec> toy_cases(const run_options& options) {
  std::vector<case_spec> cases;
  const std::string mode = environment("TOY_MODE");
  for (const char* method : {"plain", "clever"})
    for (const std::int64_t seed : options.seeds(options.quick ? 2 : 6)) {
      case_spec c;
      c.name = text("toy/", method, "/seed=", seed);
      c.method = method;
      c.seed = seed;
      c.options.set("dataset", "toy").set("size", options.quick ? 10 : 100).set("scale", 0.5);
      c.protocol = measure::protocol{};
      c.protocol->task = "toy, 2 classes";
      c.protocol->split_unit = "item";
      c.protocol->family = "toy";
      c.protocol->tuning_trials = mode == "unequal" ? seed : 3;
      if (mode == "peeks") c.protocol->selection_split = "test";
      measure::data_use data;
      data.name = "toy-data";
      data.version = "1";
      data.sha256 = std::string(64, '0');
      data.embedded = mode == "embedded";
      if (mode == "no_data" || (mode == "some_data" && seed == 1)) data.missing = "run scripts/fetch toy-data";
      c.data = {data};
      c.cost_s = 0.05;
      if (mode == "same") c.options.set("dataset", "toy"), c.seed = 0;
      cases.push_back(c);
    }
  if (mode == "gate") {
    case_spec c;
    c.name = "toy/parity";
    c.method = "all";
    c.kind = measure::record_kind::parity;
    c.options.set("what", "parity");
    cases.push_back(c);
  }
  return cases;
}

void run_toy(case_run& run) {
  const std::string mode = environment("TOY_MODE"), victim = environment("TOY_VICTIM", "toy/plain/seed=1");
  if (run.spec().name == victim) {
    if (mode == "throws") fail(errc::bad_value, "NaN at sample 17");
    if (mode == "crashes") {
      std::fprintf(stderr, "about to fall\n");
      std::raise(SIGSEGV);
    }
    if (mode == "hangs") std::this_thread::sleep_for(std::chrono::hours(1));
    if (mode == "leaves") std::_Exit(7);
    if (mode == "eats") {
      std::vector<std::vector<char>> all;
      while (true) all.emplace_back(std::size_t{64} << 20, 'x');
    }
  }
  if (run.spec().kind == measure::record_kind::parity) {
    measure::parity_row row;
    row.what = row.peer = row.peer_version = "toy";
    row.dtype = "f64";
    row.ok = false;
    run.record().parity.push_back(row);
    return;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(environment("TOY_SLEEP_MS", "0").c_str())));
  measure::config what;
  what.set("dataset", run.spec().options.string("dataset"));
  const auto table = run.stage("table", what, {run.spec().data.front().sha256}, [&] {
    std::vector<std::byte> bytes(1000);
    const philox random(7);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(random.bits_at(i) & 0xFF);
    return bytes;
  });
  const philox random(static_cast<std::uint64_t>(*run.spec().seed), run.spec().method == "clever");
  measure::metric accuracy;
  accuracy.name = "accuracy";
  accuracy.variant = "share of items";
  accuracy.unit = "fraction";
  accuracy.better = "higher";
  accuracy.value = random.uniform_at(static_cast<std::uint64_t>(table.back()));
  if (mode == "nan" && run.spec().name == victim) accuracy.value = std::nan("");
  if (mode == "malformed" && run.spec().name == victim) accuracy.better = "sideways";
  run.record().metrics.push_back(accuracy);
  if (const std::string log = environment("TOY_LOG"); !log.empty()) {
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
    const std::string line = run.spec().name + "\n";
    if (write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) fail(errc::bad_file, log);
    close(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  experiment e;
  e.name = "toy_experiment";
  e.question = "Does the driver keep its promises?";
  e.axes = {{"seed", "0 .. 5"}};
  e.cases = toy_cases;
  e.run = run_toy;
  e.resolution_of = [](const run_options&) { return std::vector<resolution>{{"toy", 100, 50, 0.125, "accuracy"}}; };
  e.verbs = {{"double", "print twice a number", [](CLI::App& app) -> std::function<int()> {
                auto number = std::make_shared<double>();
                app.add_option("NUMBER", *number)->required();
                return [number] {
                  expects(*number >= 0, errc::bad_value, "NUMBER is ", *number, "; it must not be negative");
                  std::printf("%g\n", 2 * *number);
                  return 0;
                };
              }}};
  return main_of(argc, argv, e);
}
