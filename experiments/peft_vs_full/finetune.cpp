// finetune: read, train with checkpoints, write the adapter.
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <numeric>
#include <utility>

#include <hocket/eval/metrics.hpp>
#include <hocket/io/tsv.hpp>
#include <hocket/peft/adapter_folder.hpp>

#include "experiments/peft_vs_full/base_model.hpp"
#include "experiments/peft_vs_full/texts.hpp"
#include "experiments/peft_vs_full/verbs.hpp"
#include "experiments/support/progress.hpp"

namespace hocket::experiments::peft_vs_full {

namespace {

namespace fs = std::filesystem;
using clock = std::chrono::steady_clock;

constexpr const char* unfinished = "unfinished";  ///< the folder of a run that goes on, inside --out
constexpr double checkpoint_every_s = 30;

volatile std::sig_atomic_t stop_asked = 0;

/// SIGINT and SIGTERM end the run behind the step that runs, while this lives.
class stop_signals {
 public:
  stop_signals() {
    stop_asked = 0;
    struct sigaction ours {};
    ours.sa_handler = [](int) { stop_asked = 1; };
    ours.sa_flags = static_cast<int>(SA_RESETHAND);  // a second one ends the program at once
    sigaction(SIGINT, &ours, &before_[0]);
    sigaction(SIGTERM, &ours, &before_[1]);
  }
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;
  ~stop_signals() {
    sigaction(SIGINT, &before_[0], nullptr);
    sigaction(SIGTERM, &before_[1], nullptr);
  }

 private:
  struct sigaction before_[2]{};
};

/// The texts of some rows, as tokens; `cut` counts those that were longer.
peft::classified_texts prepared(const text_file& file, const std::vector<std::uint32_t>& labels,
                                const std::vector<std::size_t>& rows, const texts::tokenizer& words,
                                std::size_t max_length, std::size_t& cut) {
  std::vector<std::string> chosen;
  peft::classified_texts out;
  for (const std::size_t row : rows) {
    chosen.push_back(file.texts[row]);
    out.labels.push_back(labels[row]);
  }
  tokenized tokens = tokenize(words, chosen, max_length);
  out.ids = std::move(tokens.ids);
  cut += tokens.cut;
  return out;
}

/// Rows for validation: of every class the share, at least one row of it staying for training. Equal texts of a class
/// fall on the same side where they can: rows are ordered by a digest of their text.
std::vector<bool> held_out(const text_file& file, const std::vector<std::uint32_t>& labels, std::size_t classes,
                           double share) {
  std::vector<bool> chosen(labels.size(), false);
  std::size_t count = 0;
  for (std::uint32_t k = 0; k < classes; ++k) {
    std::vector<std::pair<std::string, std::size_t>> rows;
    for (std::size_t i = 0; i < labels.size(); ++i)
      if (labels[i] == k) rows.emplace_back(measure::sha256_of(file.texts[i]), i);
    std::sort(rows.begin(), rows.end());
    const auto wanted = static_cast<std::size_t>(share * static_cast<double>(rows.size()) + 0.5);
    for (std::size_t i = 0; i < std::min(wanted, rows.size() - 1); ++i) chosen[rows[i].second] = true, ++count;
  }
  expects(count > 0, errc::bad_option, "validation=", share, ": of ", labels.size(), " rows in ", classes,
          " classes this share leaves none for validation");
  return chosen;
}

std::vector<std::size_t> rows_where(const std::vector<bool>& chosen, bool wanted) {
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < chosen.size(); ++i)
    if (chosen[i] == wanted) rows.push_back(i);
  return rows;
}

struct all_texts {
  std::vector<std::string> classes;
  peft::classified_texts train, validation;
  bool judged = false;
  std::string digests;  ///< of the files that were read
};

all_texts read_all(const finetune_job& job, const base_model& base, std::size_t max_length) {
  const text_file data = read_labelled_texts(job.data);
  all_texts all;
  all.classes = classes_of(data);
  all.digests = data.sha256;
  const auto labels = class_indices(data, all.classes, data.source);
  const std::string& validation = job.settings.texts.validation;
  std::vector<bool> chosen(labels.size(), false);
  double share = 0;
  const auto number = std::from_chars(validation.data(), validation.data() + validation.size(), share);
  const bool is_share = !validation.empty() && number.ec == std::errc{} &&
                        number.ptr == validation.data() + validation.size() && !fs::exists(validation);
  all.judged = !validation.empty();
  std::size_t cut = 0;
  const auto note = [&](const text_file& file) {
    const auto say = [&](std::size_t count, const std::string& what) {
      if (count > 0) std::cerr << file.source << ": note: " << count << what << "\n";
    };
    say(file.repaired, " texts are not UTF-8; such bytes count as U+FFFD");
    say(std::exchange(cut, 0), text(" texts were cut at ", max_length, " tokens"));
  };
  if (is_share) {
    expects(share > 0 && share < 1, errc::bad_option, "validation=", validation,
            ": expected a file, or a share between 0 and 1");
    chosen = held_out(data, labels, all.classes.size(), share);
    all.validation = prepared(data, labels, rows_where(chosen, true), base.words, max_length, cut);
  } else if (all.judged) {
    const text_file file = read_labelled_texts(validation);
    std::vector<std::size_t> every(file.texts.size());
    std::iota(every.begin(), every.end(), std::size_t{0});
    all.validation = prepared(file, class_indices(file, all.classes, data.source), every, base.words, max_length, cut);
    note(file);
    all.digests += " " + file.sha256;
  }
  all.train = prepared(data, labels, rows_where(chosen, false), base.words, max_length, cut);
  note(data);
  return all;
}

using description = std::vector<std::pair<std::string, std::string>>;

/// All that the trained bits depend on.
description described(const finetune_job& job, const base_model& base, const all_texts& all, std::size_t max_length,
                      nn::classifier_pooling pooling) {
  description out{{"method", job.settings.method}, {"model_sha256", base.sha256}, {"data_sha256", all.digests}};
  std::string classes;
  for (const auto& each : all.classes) classes += text(classes.empty() ? "" : ", ", each);
  out.emplace_back("classes", classes);
  out.emplace_back("texts", text(all.train.ids.size()));
  out.emplace_back("validation_texts", text(all.validation.ids.size()));
  for (auto& [key, value] : job.settings.pairs()) {
    if (key == "validation") continue;  // its digest is among those of the data
    if (key == "max_length") value = text(max_length);
    if (key == "pooling") value = name_of(pooling);
    out.emplace_back(key, value);
  }
  for (auto& [key, value] : out)
    for (char& c : value)
      if (c == '\t' || c == '\n' || c == '\r') c = ' ';
  return out;
}

std::string table_of(const description& rows) {
  std::string out = "key\tvalue\n";
  for (const auto& [key, value] : rows) out += text(key, "\t", value, "\n");
  return out;
}

/// Throws bad_option with what differs if an unfinished run in `folder` is another one.
void require_same_run(const fs::path& folder, const description& ours) {
  const io::tsv_table stored = io::read_tsv(folder / "settings.tsv");
  std::string differences;
  for (const auto& [name, value] : ours) {
    const std::string& key = name;  // OpenMP's lambdas take no structured binding
    const auto row = std::find_if(stored.rows.begin(), stored.rows.end(), [&](const auto& r) { return r[0] == key; });
    const std::string before = row == stored.rows.end() ? "not there" : (*row)[1];
    if (before != value) differences += text(differences.empty() ? "" : "; ", key, " was ", before, " and is ", value);
  }
  expects(differences.empty() && stored.rows.size() == ours.size(), errc::bad_option, folder.string(),
          ": an unfinished run of other settings: ", differences,
          "; finish it with its own, choose another --out, or drop it with --restart");
}

double accuracy_of(const std::vector<std::uint32_t>& said, const std::vector<std::uint32_t>& truth) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right += said[i] == truth[i];
  return static_cast<double>(right) / static_cast<double>(truth.size());
}

/// The run in the terminal: a line now and then, with what is left.
class step_lines {
 public:
  explicit step_lines(std::size_t first) : first_(first) {}
  template <class Run>
  void after(const Run& run, double loss, bool last) {
    const auto now = clock::now();
    if (!last && now - shown_ < std::chrono::seconds(2)) return;
    shown_ = now;
    const double per_step =
        std::chrono::duration<double>(now - start_).count() / static_cast<double>(run.steps() - first_);
    std::fprintf(stderr, "step %zu of %zu, epoch %zu  loss %.4f  %.1f ms a step  ETA %s\n", run.steps(),
                 run.total_steps(), (run.steps() - 1) / run.steps_of_epoch() + 1, loss, per_step * 1e3,
                 clock_text(per_step * static_cast<double>(run.total_steps() - run.steps())).c_str());
  }

 private:
  std::size_t first_;
  clock::time_point start_ = clock::now(), shown_ = start_;
};

std::uintmax_t bytes_below(const fs::path& folder) {
  std::uintmax_t bytes = 0;
  for (const char* part : {"", "prefix", "lora"}) {
    std::error_code ignored;
    for (const char* name : {peft::config_file, peft::weights_file})
      if (fs::exists(folder / part / name, ignored)) bytes += fs::file_size(folder / part / name, ignored);
  }
  return bytes;
}

/// A folder of an earlier run with another method would be read as part of this one.
void remove_adapter(const fs::path& folder) {
  std::error_code ignored;
  for (const char* part : {"", "prefix", "lora"}) {
    for (const char* name : {peft::config_file, peft::weights_file}) fs::remove(folder / part / name, ignored);
    if (*part) fs::remove(folder / part, ignored);  // only if it is empty now
  }
}

}  // namespace

int finetune(const finetune_job& job) {
  const base_model base(job.model);
  const nn::classifier_pooling pooling = job.settings.texts.pooling.value_or(base.default_pooling());
  const std::size_t rows = job.settings.has_prefix() ? job.settings.prefix.num_virtual_tokens : 0;
  const std::size_t max_length = base.max_length(job.settings.texts.max_length, rows);
  const all_texts all = read_all(job, base, max_length);
  const nn::classifier_options head{pooling, all.classes.size()};

  nn::parameter_set<float> weights;
  nn::load_classifier(base.config(), head, base.file, job.settings.training.seed, weights);
  const peft::combined method = job.settings.make();
  const auto packs = std::make_shared<nn::weight_packs<float>>();
  peft::fine_tuning<float> run(base.config(), head, weights, method, all.train, job.settings.training, job.device,
                               packs);
  if (rows > 0 && !job.settings.prefix.initial_text.empty()) {
    const auto of_text = tokenize(base.words, {job.settings.prefix.initial_text}, max_length);
    peft::initialise_from_text(std::get<peft::prefix>(method.methods[0]), base.config(), weights,
                               prefix_ids(of_text.ids[0], rows));
  }
  std::optional<peft::text_scorer<float>> scorer;
  if (all.judged)
    scorer.emplace(base.config(), head, weights, method, peft::detail::room_for(all.validation.ids, 1).second,
                   job.device, peft::products_of(job.settings.training.precision), packs);

  const description facts = described(job, base, all, max_length, pooling);
  const fs::path folder = job.out / unfinished, checkpoint = folder / "checkpoint.safetensors";
  std::error_code trouble;
  if (job.restart) fs::remove_all(folder, trouble);
  if (fs::exists(checkpoint)) {
    require_same_run(folder, facts);
    run.load(checkpoint, all.judged);
    std::fprintf(stderr, "continues at step %zu of %zu\n", run.steps(), run.total_steps());
  } else {
    fs::create_directories(folder, trouble);
    expects(!trouble, errc::bad_file, folder.string(), ": cannot be made: ", trouble.message());
    io::write_file(folder / "settings.tsv", table_of(facts));
    io::write_file(folder / "epochs.tsv", "epoch\tloss\taccuracy\tmacro_f1\n");
  }

  if (run.warm_up_steps() >= run.total_steps())
    std::cerr << "note: the rate rises over " << run.warm_up_steps() << " steps and the run has " << run.total_steps()
              << ": it ends before learning_rate is reached; set warmup\n";

  const stop_signals signals;
  step_lines lines(run.steps());
  auto saved = clock::now();
  while (!run.done()) {
    const double loss = run.step();
    lines.after(run, loss, run.epoch_ended());
    if (run.epoch_ended()) {
      std::string row = text(run.epochs(), "\t", run.mean_loss(), "\t\t\n");
      if (scorer) {
        const auto said = peft::likeliest((*scorer)(all.validation.ids).logits);
        const std::vector<std::int64_t> truth(all.validation.labels.begin(), all.validation.labels.end()),
            answers(said.begin(), said.end());
        const double accuracy = accuracy_of(said, all.validation.labels),
                     f1 = eval::macro_f1(truth, answers, all.classes.size());
        const bool better = run.end_epoch(accuracy);
        row = text(run.epochs(), "\t", run.mean_loss(), "\t", accuracy, "\t", f1, "\n");
        std::fprintf(stderr, "epoch %zu  validation accuracy %.4f  macro-F1 %.4f%s\n", run.epochs(), accuracy, f1,
                     better ? "  best so far" : "");
      }
      // Rows of epochs that a resumed run makes again are there already.
      const auto before = io::read_file(folder / "epochs.tsv");
      std::string log(before.begin(), before.end());
      if (log.find(text("\n", run.epochs(), "\t")) == std::string::npos)
        io::write_file(folder / "epochs.tsv", log + row);
    }
    const bool stop = stop_asked != 0 && !run.done();
    if (stop || std::chrono::duration<double>(clock::now() - saved).count() > checkpoint_every_s) {
      run.save(checkpoint, all.judged);
      saved = clock::now();
    }
    if (stop) {
      std::fprintf(stderr, "interrupted behind step %zu of %zu; the same command continues\n", run.steps(),
                   run.total_steps());
      return exit_interrupted;
    }
  }
  run.restore_best();

  const peft::adapter_notes notes{pooling, all.classes, max_length, base.sha256};
  remove_adapter(job.out);
  peft::write_adapter(job.out, method, base.config(), weights, notes,
                      fs::absolute(job.model).lexically_normal().string());
  io::write_file(job.out / "finetune.tsv", table_of(facts));
  fs::rename(folder / "epochs.tsv", job.out / "epochs.tsv", trouble);
  fs::remove_all(folder, trouble);

  std::cout << "adapter\t" << job.out.string() << "\nbytes\t" << bytes_below(job.out) << "\nclasses\t"
            << all.classes.size() << "\ntexts\t" << all.train.ids.size() << "\ntrainable\t" << weights.trainable_count()
            << "\nsteps\t" << run.steps() << "\n";
  if (scorer)
    std::cout << text("validation_texts\t", all.validation.ids.size(), "\nbest_epoch\t", run.best_epoch(),
                      "\nvalidation_accuracy\t", run.best_metric(), "\n");
  return exit_ok;
}

}  // namespace hocket::experiments::peft_vs_full
