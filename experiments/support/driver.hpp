// The driver of every experiment: an experiment says what its cases are and how one is run, and gets the verbs
// list, plan, run, status, validate, report, with resume, sharding, isolation and records.
//
//   #include "experiments/support/driver.hpp"
//   using namespace hocket;
//   using namespace hocket::experiments;
//
//   int main(int argc, char** argv) {
//     experiment e;
//     e.name = "pca_rank";
//     e.question = "How many components does a task need, and which solver finds them fastest?";
//     e.axes = {{"solver", "full, covariance, randomized"}, {"k", "1 .. 64"}};
//     e.cases = [](const run_options& options) {
//       std::vector<case_spec> cases;
//       for (std::int64_t seed : options.seeds(5)) {          // --seeds, else 0 .. 4
//         case_spec c;
//         c.name = text("digits/full/k=8/seed=", seed);
//         c.method = "full";                                  // what --method selects; becomes config key "method"
//         c.seed = seed;
//         c.options.set("dataset", "digits").set("k", 8).set_all(pca_options{});
//         c.protocol = measure::protocol{.task = "digits, 10 classes", .split_unit = "image", .family =
//         "pca_rank/digits"}; c.data = {digits_as_data_use()};                    // with .missing set when it is not
//         there c.cost_s = 0.5;                                     // a guess, for plan and the first ETA
//         cases.push_back(std::move(c));
//       }
//       return cases;
//     };
//     e.run = [](case_run& run) {                             // in a process of its own, one case each
//       auto features = run.stage("features", feature_config, {digest_of_the_input}, [&] { return bytes_of(...); });
//       const std::size_t k = run.spec().options.size("k");
//       run.record().metrics.push_back({...});
//     };
//     e.resolution_of = [](const run_options&) { return std::vector<resolution>{{"digits", 540, 540, 0.031,
//     "accuracy"}}; }; e.verbs = {{"fit", "fit a PCA on an .npy file", [](CLI::App& app) {
//       auto in = std::make_shared<std::string>();
//       app.add_option("IN", *in, "an .npy file")->required();
//       return [in] { return fit(*in); };
//     }}};
//     return main_of(argc, argv, e);
//   }
//
// Records go to <results>/<experiment>/<key>.json, stages to <results>/_cache, records of an earlier code or
// configuration of the same case to <results>/_superseded. The key is the digest of experiment, kind, configuration,
// seed, data digests and of the running program itself (its bytes: whatever changes the program runs the case anew;
// shared libraries are named by version in the record but are not part of the key), for timed kinds also of the
// machine.
//
// What a case throws decides its fate: no_device and not_built -> not_run, exit 5; anything else, a signal or a timeout
// -> failed, exit 3 after the other cases. A verb of its own returns its exit code; what it throws is mapped:
// bad_option, unsupported_shape -> 2, bad_file, bad_value -> 4, no_device, not_built -> 5, everything else -> 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <hocket/core/device.hpp>
#include <hocket/measure/record.hpp>

#include "experiments/support/stage_cache.hpp"

namespace CLI {
class App;
}

namespace hocket::experiments {

/// Exit codes of every program of the project.
enum exit_code : int {
  exit_ok = 0,
  exit_gate_failed = 1,    ///< a target missed, a parity row not ok, an invalid record
  exit_usage = 2,          ///< unknown verb, option, method; nothing matches a filter
  exit_failed_cases = 3,   ///< finished, but cases failed
  exit_data = 4,           ///< data missing or unreadable
  exit_no_backend = 5,     ///< backend not built or no device
  exit_interrupted = 130,  ///< SIGINT; the same command continues
};

/// The flags of the command line.
struct run_options {
  bool quick = false;                ///< minutes: embedded or small data, fewer axis values
  std::string seeds_flag;            ///< as given: "5" (0 .. 4) or "1,2,3"; empty: the experiment's default
  std::string filter;                ///< regular expression, searched in the case names
  std::vector<std::string> methods;  ///< empty: all
  int threads = 1;                   ///< threads a case may use; part of the key only if the case says so
  hocket::backend backend = backend::cpu;
  std::filesystem::path results = "results";
  std::filesystem::path data;  ///< --data, else $HOCKET_DATA, else empty: the experiment's default
  std::size_t shard = 0, shards = 1;
  bool force = false;
  std::optional<double> timeout_s;       ///< overrides every case's own
  std::optional<std::size_t> memory_mb;  ///< limit of the address space of a case

  /// The seeds to run: from --seeds, else 0 .. default_count - 1.
  std::vector<std::int64_t> seeds(std::size_t default_count) const;
  hocket::cpu device() const { return {threads}; }
};

/// One case: what it is, not how it runs. `options` must hold everything that the result depends on.
struct case_spec {
  std::string name;    ///< unique: "dataset/method/axis=value/seed=0"
  std::string method;  ///< for --method; also stored as config key "method"; "all" runs whatever --method says
  measure::record_kind kind = measure::record_kind::quality;
  measure::config options;
  std::optional<std::int64_t> seed;
  std::optional<measure::protocol> protocol;
  std::vector<measure::data_use> data;
  double cost_s = 1;       ///< expected wall time, for plan and the ETA until cases have been timed
  double timeout_s = 900;  ///< killed after that
};

/// What e.run is given, inside the case's own process.
class case_run {
 public:
  case_run(case_spec spec, run_options options, std::string code_digest)
      : spec_(std::move(spec)),
        options_(std::move(options)),
        code_digest_(std::move(code_digest)),
        cache_(options_.results / "_cache") {}

  const case_spec& spec() const { return spec_; }
  const run_options& options() const { return options_; }
  measure::record_body& record() { return record_; }

  /// A costly intermediate result by content: stored bytes if (name, what, inputs, program) were seen before, else
  /// make()'s bytes, which are then stored. `inputs` are sha256 digests of what the stage reads.
  std::vector<std::byte> stage(const std::string& name, const measure::config& what,
                               const std::vector<std::string>& inputs,
                               const std::function<std::vector<std::byte>()>& make);

 private:
  case_spec spec_;
  run_options options_;
  std::string code_digest_;
  stage_cache cache_;
  measure::record_body record_;
};

/// One line of `plan`: the smallest difference that the data can show.
struct resolution {
  std::string what;       ///< "style, 5 folds"
  std::size_t items = 0;  ///< test items
  std::size_t units = 0;  ///< independent units among them
  double difference = 0;  ///< eval/statistics.hpp, detectable_difference
  std::string metric = "accuracy";
};

struct axis {
  std::string name, values;
};

/// A verb of the experiment's own. `declare` adds its options to the parser and returns what to do after parsing.
struct verb {
  std::string name, summary;
  std::function<std::function<int()>(CLI::App&)> declare;
};

struct experiment {
  std::string name;      ///< the program's name
  std::string question;  ///< one sentence
  std::vector<axis> axes;
  std::function<std::vector<case_spec>(const run_options&)> cases;
  std::function<void(case_run&)> run;
  std::function<std::vector<resolution>(const run_options&)> resolution_of;
  std::vector<verb> verbs;
};

/// Parses the command line, does what the verb says, returns the exit code.
int main_of(int argc, char** argv, const experiment& what);

}  // namespace hocket::experiments
