// Which front end for which sound, and what it costs: README.md in this folder states the question and the protocol.
#include <hocket/measure/sampler.hpp>

#include "experiments/audio_features/extract.hpp"
#include "experiments/audio_features/features.hpp"
#include "experiments/support/audio_parity.hpp"
#include "experiments/support/classification.hpp"
#include "experiments/support/driver.hpp"
#include "experiments/support/pca_transform.hpp"

namespace {

using namespace hocket;
using namespace hocket::experiments;
using namespace hocket::experiments::audio_features;

constexpr std::size_t folds = 5;
constexpr const char* embedded = "embedded_sounds";
constexpr std::array<std::size_t, 3> pca_ranks = {8, 16, 32};

std::vector<std::string> sets_of(const run_options& options) {
  if (options.quick) return {embedded};
  return {"music_style", "drum_kits", embedded};
}

nn::logistic_options classifier() {
  nn::logistic_options options;
  options.tolerance = 1e-6;
  return options;
}

measure::protocol protocol_of(const data_set& set) {
  std::vector<std::string> notes = {
      "Each seed is one assignment of units to 5 folds; every item is a test item once. The strength of the penalty is "
      "chosen on "
      "the other folds, each of them being validation data once.",
      "Recordings keep their sample rate; every arm sees the band up to 8 kHz, with windows and hops of the same "
      "length in time."};
  if (set.use.name == "music_style")
    notes.emplace_back(
        "Style is confounded with composer, mastering and codec: each style but metal comes from one source, so an arm "
        "may "
        "recognise the source and not the style.");
  if (set.use.name == embedded)
    notes.emplace_back("77 sounds: enough to show that all parts work, not to rank front ends.");
  return cross_validation_protocol(set, text(set.title, ", ", set.classes.size(), " classes"),
                                   text("audio_features/", set.use.name), folds, std::move(notes));
}

void add_quality_cases(const run_options& options, const data_set& set, std::vector<case_spec>& cases) {
  for (const arm_entry& arm : arm_table) {
    std::vector<std::size_t> ranks = {0};
    if (arm.name == "mel") ranks.insert(ranks.end(), pca_ranks.begin(), pca_ranks.end());
    for (const std::size_t rank : ranks)
      for (const std::int64_t seed : options.seeds(options.quick ? 3 : 5)) {
        case_spec c;
        c.name = text(set.use.name, "/", arm.name, rank > 0 ? text("/pca=", rank) : "", "/seed=", seed);
        c.method = arm.name;
        c.seed = seed;
        c.options.set("dataset", set.use.name).set("pca", rank).set("folds", folds).set("highest_hz", highest_hz);
        c.options.set_all(clips_of(set.use.name), "clip").set_all(classifier(), "classifier");
        c.protocol = protocol_of(set);
        c.data = {set.use};
        c.cost_s = set.use.name == "music_style" ? 4 : 1;
        c.timeout_s = 1800;
        cases.push_back(std::move(c));
      }
  }
}

std::vector<case_spec> cases_of(const run_options& options) {
  std::vector<case_spec> cases;
  for (const std::string& name : sets_of(options)) {
    const data_set set = open_data_set(options, name);
    add_quality_cases(options, set, cases);
  }
  case_spec timing;
  const data_set sounds = open_data_set(options, embedded);
  timing.name = "ten_seconds/all";
  timing.method = "all";
  timing.kind = measure::record_kind::throughput;
  timing.options.set("dataset", embedded).set("seconds", 10).set("threads", options.threads);
  timing.data = {sounds.use};
  timing.cost_s = 20;
  cases.push_back(timing);

  case_spec parity;
  parity.name = "presets/parity";
  parity.method = "all";
  parity.kind = measure::record_kind::parity;
  parity.options.set("oracles", "tests/oracles/audio");
  parity.cost_s = 20;
  cases.push_back(parity);
  return cases;
}

void run_quality(case_run& run) {
  const data_set set = open_data_set(run.options(), run.spec().options.string("dataset"));
  expects(set.present(), errc::bad_file, set.use.missing);
  const feature_table table = cached_features(run, set);
  const auto entry =
      std::find_if(arm_table.begin(), arm_table.end(), [&](const arm_entry& a) { return a.name == run.spec().method; });
  const auto at = static_cast<std::size_t>(entry - arm_table.begin());
  classification_data data;
  data.x = table.values.at(at);
  data.features = table.sizes.at(at);
  data.classes = set.classes.size();
  data.labels = table.labels;
  data.units = table.units;
  const std::size_t rank = run.spec().options.size("pca");
  transform_fit fit;
  if (rank > 0) {
    linalg::pca_options options;
    options.k = text(rank);
    options.solver = linalg::pca_solver::full;
    fit = pca_after_standardizing(options);
  }
  const auto seed = static_cast<std::uint64_t>(run.spec().seed.value_or(0));
  const nested_result result =
      nested_cross_validation(run.options().device(), data, folds, folds - 1, seed, classifier(), fit);
  record_classification(run.record(), data, table.ids, set.classes, result.predicted);
}

/// Ten seconds of the embedded sounds, one after the other.
std::vector<double> ten_seconds(const data_set& set, double rate) {
  std::vector<double> clip;
  const auto wanted = static_cast<std::size_t>(10 * rate);
  for (const data_file& file : set.files) {
    const auto recording = io::read_audio<double>(file.path);
    if (static_cast<double>(recording.info.sample_rate) != rate) continue;
    const auto mono = io::mix_to_mono(recording);
    clip.insert(clip.end(), mono.begin(), mono.end());
    if (clip.size() >= wanted) break;
  }
  expects(clip.size() >= wanted, errc::bad_file, "the embedded sounds hold less than 10 s at ", rate, " Hz");
  clip.resize(wanted);
  return clip;
}

/// Empty when the f32 vector is that of the f64 chain: each value within the square root of epsilon of its own scale,
/// the pooled sums being far longer than the chain's own parity tests.
std::string agrees(const std::vector<double>& ours, const std::vector<double>& reference) {
  const double bound = std::sqrt(static_cast<double>(std::numeric_limits<float>::epsilon()));
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const double allowed = bound * std::max(1.0, std::abs(reference[i]));
    if (!(std::abs(ours[i] - reference[i]) <= allowed))
      return text("value ", i, " is ", ours[i], ", in f64 ", reference[i], ", allowed ", allowed);
  }
  return {};
}

void run_throughput(case_run& run) {
  constexpr double rate = 44100;
  const data_set set = open_data_set(run.options(), embedded);
  expects(set.present(), errc::bad_file, set.use.missing);
  const std::vector<double> wide = ten_seconds(set, rate);
  const std::vector<float> narrow(wide.begin(), wide.end());
  std::vector<measure::timed_arm> arms;
  for (const arm_entry& entry : arm_table) {
    const std::shared_ptr<arm<float>> ours = make_arm<float>(entry.name, rate);
    const auto out = std::make_shared<std::vector<double>>(ours->size());
    measure::timed_arm timed;
    timed.name = entry.name;
    timed.run = [ours, out, &narrow] { ours->run(make_view(narrow), *out); };
    timed.check = [ours, out, &narrow, &wide, name = entry.name] {
      const auto reference = make_arm<double>(name, rate);
      std::vector<double> expected(reference->size());
      reference->run(make_view(wide), expected);
      ours->run(make_view(narrow), *out);
      return agrees(*out, expected);
    };
    timed.work = 10;
    timed.work_unit = "seconds of audio";
    arms.push_back(std::move(timed));
  }
  run.record().timings = measure::timed_arms(std::move(arms)).timings();
}

void run_parity(case_run& run) {
  const std::string oracles = std::string(HOCKET_SOURCE_DIR) + "/" + run.spec().options.string("oracles");
  for (const parity::row& row : parity::audio_parity(oracles, run.options().device())) {
    measure::parity_row out;
    out.what = row.what;
    out.preset = row.preset;
    out.peer = row.peer;
    out.peer_version = row.peer_version;
    out.dtype = row.dtype;
    out.cases = static_cast<std::int64_t>(row.cases);
    out.max_error = row.max_error;
    out.bound = row.bound;
    out.unit = row.dtype == "f64" ? "of the row's scale" : "x the peer's own f32 error";
    out.ok = row.ok;
    out.note = row.worst;
    run.record().parity.push_back(std::move(out));
  }
}

std::vector<resolution> resolution_of(const run_options& options) {
  std::vector<resolution> lines;
  for (const std::string& name : sets_of(options)) {
    const data_set set = open_data_set(options, name);
    if (!set.present()) continue;
    std::size_t items = 0;
    const clip_options clips = clips_of(name);
    for (const data_file& file : set.files) {
      const io::audio_info info = io::read_audio_info(file.path);
      if (static_cast<double>(info.sample_rate) >= lowest_rate)
        items += cut(clips, info.samples, info.sample_rate).size();
    }
    lines.push_back(accuracy_resolution(set, folds, items, set.units.size()));
  }
  return lines;
}

}  // namespace

int main(int argc, char** argv) {
  experiment e;
  e.name = "audio_features";
  e.question = "Which audio front end tells sounds and styles apart best, and what does a second of audio cost?";
  std::string arms, sets = text("music_style, drum_kits, ", embedded);
  for (const arm_entry& arm : arm_table) arms += text(arms.empty() ? "" : ", ", arm.name);
  e.axes = {{"dataset", sets}, {"method", arms}, {"pca", "0 (none), 8, 16, 32 for mel"}};
  e.cases = cases_of;
  e.run = [](case_run& run) {
    expects(run.options().backend == backend::cpu, errc::not_built,
            "the cases of audio_features have no CUDA arms yet; extract --backend cuda has one");
    switch (run.spec().kind) {
      case measure::record_kind::throughput: return run_throughput(run);
      case measure::record_kind::parity: return run_parity(run);
      default: return run_quality(run);
    }
  };
  e.resolution_of = resolution_of;
  e.verbs = {extract_verb()};
  return main_of(argc, argv, e);
}
