// Quality: train at three rates, choose on validation texts, test the chosen one.
#include "experiments/peft_vs_full/quality.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>

#include <CLI/CLI.hpp>

#include <hocket/eval/statistics.hpp>
#include <hocket/nn/logistic_regression.hpp>
#include <hocket/peft/adapter_folder.hpp>

#include "experiments/peft_vs_full/arms.hpp"
#include "experiments/peft_vs_full/base_model.hpp"
#include "experiments/peft_vs_full/baselines.hpp"
#include "experiments/peft_vs_full/texts.hpp"
#include "experiments/support/classification.hpp"

namespace hocket::experiments::peft_vs_full {

namespace {

namespace fs = std::filesystem;

constexpr double margin = 0.01;  // one point of accuracy, declared before any run
constexpr peft::training_precision precision = peft::training_precision::bf16;
constexpr std::size_t probe_rows = 2000;

measure::protocol protocol_of(const sentiment_task& task) {
  measure::protocol p;
  p.task = task.without.empty() ? "sentiment of sentences, 3 classes, 4 domains"
                                : text("sentiment of sentences, 3 classes, tested on ", task.without,
                                       ", trained on the other 3 domains");
  p.split_unit = "review, article or single sentence";
  p.family = text("peft_vs_full/", task.name());
  p.tuning_trials = 3;
  p.margin = margin;
  p.notes = {
      "A fixed split by a hash of the unit: 20 % test, 10 % validation (of which 600 sentences choose), the rest for "
      "training. Below 100 % each seed draws its own training sentences, so the interval over seeds holds that too.",
      "Each method is trained at three learning rates with each seed; the best on validation sentences is tested.",
      "Trained in bf16 products with f32 weights; batches of 32 drawn at random, AdamW, linear decay; the embeddings "
      "are pooled by their mean.",
      "Forgetting: a logistic regression tells the four domains apart by the untrained model's embeddings; how many "
      "points of its accuracy on test sentences are lost when it reads the trained model's instead.",
      "Peak memory is that of the case's process, which holds the model and two runs.",
      "The lexicon baseline was made from ratings by the same authors; it knows the raters' scale."};
  return p;
}

/// The data with the sizes of a task's parts, which are the same for every seed.
measure::data_use use_of(const sentiment_set& data, const sentiment_task& task) {
  measure::data_use use = data.set.use;
  if (!use.missing.empty()) return use;
  const sentiment_split split = divide(data, task, 0);
  use.n_train = static_cast<std::int64_t>(split.train.size());
  use.n_valid = static_cast<std::int64_t>(split.valid.size());
  use.n_test = static_cast<std::int64_t>(split.test.size());
  return use;
}

case_spec case_of(const measure::data_use& data, const measure::data_use& model, const sentiment_task& task,
                  const std::string& name, const std::string& method, std::int64_t seed) {
  case_spec c;
  c.name = text(task.name(), "/", name, "/seed=", seed);
  c.method = method;
  c.seed = seed;
  c.options.set("arm", name).set("per_cent", task.per_cent).set("without", task.without);
  c.protocol = protocol_of(task);
  c.data = {data, model};
  c.timeout_s = 4 * 3600;
  return c;
}

measure::data_use model_use(const run_options& options) {
  measure::data_use use = open_data_set(options, "minilm_l6_v2").use;
  return use;
}

measure::metric number(const std::string& name, const std::string& variant, const std::string& unit,
                       const std::string& better, double value) {
  measure::metric row;
  row.name = name;
  row.variant = variant;
  row.unit = unit;
  row.better = better;
  row.value = value;
  return row;
}

double share_right(const std::vector<std::uint32_t>& said, const std::vector<std::uint32_t>& truth) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < truth.size(); ++i) right += said[i] == truth[i];
  return static_cast<double>(right) / static_cast<double>(std::max<std::size_t>(1, truth.size()));
}

/// Everything that the arms of one case share.
struct workplace {
  sentiment_set data;
  sentiment_split split;
  base_model base;
  std::size_t max_length;
  peft::token_lists ids;  ///< of all sentences that the case needs; others are empty
  std::vector<std::size_t> probed;

  explicit workplace(case_run& run)
      : data(read_sentiment(run.options())),
        split(divide(data, task_of(run), run.spec().seed.value_or(0))),
        base(data_root(run.options()) / "minilm_l6_v2"),
        max_length(base.max_length(96, 10)) {
    for (std::size_t i = 0; i < data.all.size() && probed.size() < probe_rows; ++i)
      if (data.all[i].bucket == 3) probed.push_back(i);
    ids.resize(data.all.size());
    for (const auto* rows : {&split.train, &split.valid, &split.test, &probed})
      for (const std::size_t row : *rows)
        if (ids[row].empty()) ids[row] = tokenize(base.words, {data.all[row].text}, max_length).ids[0];
  }
  static sentiment_task task_of(case_run& run) {
    return {run.spec().options.size("per_cent"), run.spec().options.string("without")};
  }
  peft::token_lists ids_of(const std::vector<std::size_t>& rows) const {
    peft::token_lists out;
    for (const std::size_t row : rows) out.push_back(ids[row]);
    return out;
  }
  std::vector<std::uint32_t> labels_of(const std::vector<std::size_t>& rows) const {
    std::vector<std::uint32_t> out;
    for (const std::size_t row : rows) out.push_back(data.all[row].label);
    return out;
  }
  labelled_texts texts_of(const std::vector<std::size_t>& rows) const {
    labelled_texts out;
    for (const std::size_t row : rows) out.texts.push_back(data.all[row].text);
    out.labels = labels_of(rows);
    return out;
  }
};

/// Embeddings of the model as it is, (rows, D), cached by content.
tensor<float> untrained(case_run& run, const workplace& here, const std::vector<std::size_t>& rows,
                        const std::string& what) {
  measure::config config;
  config.set("model", here.base.sha256).set("what", what).set("max_length", here.max_length);
  config.set("precision", name_of(precision));
  std::string chosen;
  for (const std::size_t row : rows) chosen += here.data.all[row].id + "\n";
  const std::size_t width = here.base.config().hidden_size;
  const auto bytes = run.stage("embeddings", config, {measure::sha256_of(std::string_view(chosen))}, [&] {
    const nn::classifier_options head{nn::classifier_pooling::mean, sentiments.size()};
    nn::parameter_set<float> weights;
    nn::load_classifier(here.base.config(), head, here.base.file, 0, weights);
    for (auto& each : weights) each.train(false);
    peft::text_scorer<float> scorer(here.base.config(), head, weights, peft::combined{}, here.max_length,
                                    run.options().device(), peft::products_of(precision));
    const auto pooled = scorer(here.ids_of(rows), true).pooled;
    const auto* const first = reinterpret_cast<const std::byte*>(pooled.data());
    return std::vector<std::byte>(first, first + pooled.size() * sizeof(float));
  });
  expects(bytes.size() == rows.size() * width * sizeof(float), errc::bad_file, "cached embeddings of ", what, ": ",
          bytes.size(), " bytes");
  tensor<float> out({rows.size(), width});
  std::copy_n(reinterpret_cast<const float*>(bytes.data()), out.size(), out.data());
  return out;
}

void record_answers(case_run& run, const workplace& here, const std::vector<std::uint32_t>& predicted) {
  classification_data judged;
  std::vector<std::string> ids;
  std::map<std::uint32_t, std::uint32_t> units;  // numbered within the test sentences
  for (const std::size_t row : here.split.test) {
    const sentence& one = here.data.all[row];
    judged.labels.push_back(one.label);
    judged.units.push_back(units.emplace(one.unit, static_cast<std::uint32_t>(units.size())).first->second);
    ids.push_back(one.id);
  }
  judged.classes = sentiments.size();
  record_classification(run.record(), judged, ids, sentiments, predicted);
}

void record_choice(case_run& run, const std::string& x, const std::vector<double>& tried,
                   const std::vector<double>& accuracy) {
  measure::curve curve;
  curve.name = "validation accuracy";
  curve.x = x;
  curve.y = "accuracy on validation sentences";
  for (std::size_t i = 0; i < tried.size(); ++i)
    if (accuracy[i] >= 0) curve.points.push_back({tried[i], accuracy[i]});
  run.record().curves.push_back(std::move(curve));
}

void run_baseline(case_run& run, const workplace& here) {
  const labelled_texts train = here.texts_of(here.split.train), valid = here.texts_of(here.split.valid),
                       test = here.texts_of(here.split.test);
  baseline_answer answer;
  const std::string& method = run.spec().method;
  if (method == "tfidf") {
    answer = tfidf_baseline(train, valid, test.texts, sentiments.size());
  } else if (method == "lexicon") {
    answer = lexicon_baseline(data_root(run.options()) / "vader_sentiment" / "lexicon.txt", valid, test.texts);
  } else {
    const auto x = untrained(run, here, here.split.train, "train"), v = untrained(run, here, here.split.valid, "valid"),
               t = untrained(run, here, here.split.test, "test");
    answer = embedding_baseline(run.options().device(), x.as_view(), train.labels, v.as_view(), valid.labels,
                                t.as_view(), sentiments.size());
  }
  record_answers(run, here, answer.predicted);
  run.record().metrics.push_back(
      number("trainable_parameters", "fitted numbers", "", "lower", static_cast<double>(answer.parameters)));
  record_choice(run, method == "lexicon" ? "threshold" : "strength of the penalty", answer.tried, answer.accuracy);
}

/// Accuracy of a recogniser of domains that was fitted on the untrained model's embeddings.
class domain_probe {
 public:
  domain_probe(case_run& run, const workplace& here) {
    const auto x = untrained(run, here, here.probed, "probe");
    std::vector<std::uint32_t> labels;
    for (const std::size_t row : here.probed) labels.push_back(here.data.all[row].domain);
    nn::logistic_options how;
    how.tolerance = 1e-4;
    how.l2 = 30;
    model_.emplace(
        nn::fit_logistic_regression(run.options().device(), std::as_const(x).as_view(), labels, domains.size(), how));
    for (const std::size_t row : here.split.test) truth_.push_back(here.data.all[row].domain);
  }
  double operator()(const tensor<float>& embeddings) const {
    return share_right(model_->predict(embeddings.as_view()), truth_);
  }

 private:
  std::optional<nn::logistic_model> model_;
  std::vector<std::uint32_t> truth_;
};

struct trained {
  nn::parameter_set<float> weights;
  peft::combined method;
  double accuracy = -1, rate = 0;
  std::size_t memory = 0;
};

/// One run at one rate over the shared base. A run that diverges has no accuracy.
std::unique_ptr<trained> train(case_run& run, const workplace& here, const nn::classifier_options& head,
                               nn::parameter_set<float>& base, const run_settings& settings,
                               const peft::classified_texts& texts,
                               const std::shared_ptr<nn::weight_packs<float>>& packs) {
  auto out = std::make_unique<trained>();
  out->rate = settings.training.learning_rate;
  out->method = settings.make();
  out->weights.share(base);
  peft::fine_tuning<float> loop(here.base.config(), head, out->weights, out->method, texts, settings.training,
                                run.options().device(), packs);
  if (settings.has_prefix()) {
    const auto words = tokenize(here.base.words, {settings.prefix.initial_text}, here.max_length);
    peft::initialise_from_text(std::get<peft::prefix>(out->method.methods[0]), here.base.config(), out->weights,
                               prefix_ids(words.ids[0], settings.prefix.num_virtual_tokens));
  }
  try {
    while (!loop.done()) loop.step();
  } catch (const error& problem) {
    if (problem.kind() != errc::bad_value) throw;
    return out;
  }
  // Gradient and two moments of every trained number, and what the tape holds.
  out->memory = loop.tape().arena_bytes() + 3 * sizeof(float) * out->weights.trainable_count();
  peft::text_scorer<float> scorer(here.base.config(), head, out->weights, out->method, here.max_length,
                                  run.options().device(), peft::products_of(precision), packs);
  out->accuracy =
      share_right(peft::likeliest(scorer(here.ids_of(here.split.valid)).logits), here.labels_of(here.split.valid));
  return out;
}

/// Bytes of the folder that the run would leave.
double adapter_bytes(const workplace& here, trained& best) {
  std::string name = (fs::temp_directory_path() / "hocket-adapter-XXXXXX").string();
  expects(mkdtemp(name.data()) != nullptr, errc::bad_file, name, ": cannot be made");
  peft::write_adapter(name, best.method, here.base.config(), best.weights);
  double bytes = 0;
  for (const auto& file : fs::recursive_directory_iterator(name))
    if (file.is_regular_file()) bytes += static_cast<double>(file.file_size());
  fs::remove_all(name);
  return bytes;
}

void run_method(case_run& run, const workplace& here, const arm& a) {
  const nn::classifier_options head{nn::classifier_pooling::mean, sentiments.size()};
  const auto seed = run.spec().seed.value_or(0);
  nn::parameter_set<float> base;
  nn::load_classifier(here.base.config(), head, here.base.file, static_cast<std::uint64_t>(seed), base);
  const auto packs = std::make_shared<nn::weight_packs<float>>();
  const peft::classified_texts texts{here.ids_of(here.split.train), here.labels_of(here.split.train)};
  std::unique_ptr<trained> best;
  std::vector<double> accuracy;
  for (const double rate : a.rates) {
    const run_settings settings = settings_of(a, rate, workplace::task_of(run).per_cent, seed, precision);
    auto one = train(run, here, head, base, settings, texts, packs);
    accuracy.push_back(one->accuracy);
    if (!best || one->accuracy > best->accuracy) best = std::move(one);
  }
  expects(best->accuracy >= 0, errc::bad_value, a.name, ": diverged at every learning rate");
  peft::text_scorer<float> scorer(here.base.config(), head, best->weights, best->method, here.max_length,
                                  run.options().device(), peft::products_of(precision), packs);
  const auto scores = scorer(here.ids_of(here.split.test), true);
  record_answers(run, here, peft::likeliest(scores.logits));
  auto& metrics = run.record().metrics;
  metrics.push_back(number("trainable_parameters", "trained numbers, the head's among them", "", "lower",
                           static_cast<double>(best->weights.trainable_count())));
  metrics.push_back(number("adapter_size", "files of the adapter", "bytes", "lower", adapter_bytes(here, *best)));
  metrics.push_back(number("training_memory", "what the tape holds, gradients and moments; without the base model",
                           "bytes", "lower", static_cast<double>(best->memory)));
  if (workplace::task_of(run).without.empty()) {
    const domain_probe probe(run, here);
    const double before = probe(untrained(run, here, here.split.test, "test")), after = probe(scores.pooled);
    metrics.push_back(number("forgetting", "accuracy of a frozen recogniser of domains, lost by training", "fraction",
                             "lower", before - after));
  }
  record_choice(run, "learning rate", {a.rates.begin(), a.rates.end()}, accuracy);
}

}  // namespace

std::vector<sentiment_task> tasks_of(const run_options& options) {
  if (options.quick) return {{1, ""}};
  std::vector<sentiment_task> tasks;
  for (const std::size_t per_cent : {1u, 10u, 100u}) tasks.push_back({per_cent, ""});
  for (const auto domain : domains) tasks.push_back({10, std::string(domain)});
  return tasks;
}

std::vector<case_spec> quality_cases(const run_options& options) {
  const sentiment_set all = read_sentiment(options);
  const measure::data_use model = model_use(options);
  std::vector<case_spec> cases;
  for (const auto& task : tasks_of(options)) {
    const measure::data_use data = use_of(all, task);
    const auto seeds = options.seeds(options.quick ? 3 : 5);
    for (const auto method : baselines)
      for (const std::int64_t seed : seeds) {
        cases.push_back(case_of(data, model, task, std::string(method), std::string(method), seed));
        cases.back().cost_s = 4;
      }
    for (const auto& a : arms()) {
      if (options.quick && !a.quick) continue;
      for (const std::int64_t seed : seeds) {
        case_spec c = case_of(data, model, task, a.name, a.method, seed);
        const run_settings settings = settings_of(a, a.rates[1], task.per_cent, seed, precision);
        c.options.set_all(settings.training, "training");
        for (const auto& assignment : a.settings)
          c.options.set("method." + assignment.substr(0, assignment.find('=')),
                        assignment.substr(assignment.find('=') + 1));
        std::string rates;
        for (const double rate : a.rates) rates += text(rates.empty() ? "" : ",", rate);
        c.options.set("training.learning_rate", "chosen").set("rates", rates);
        c.cost_s = task.per_cent == 1 ? 20 : task.per_cent == 10 ? 60 : 300;
        cases.push_back(std::move(c));
      }
    }
  }
  return cases;
}

void run_quality(case_run& run) {
  const workplace here(run);
  const std::string& name = run.spec().options.string("arm");
  for (const auto& a : arms())
    if (a.name == name) return run_method(run, here, a);
  run_baseline(run, here);
}

std::vector<resolution> resolution_of(const run_options& options) {
  const sentiment_set data = read_sentiment(options);
  std::vector<resolution> lines;
  if (!data.set.present()) return lines;
  for (const auto& task : tasks_of(options)) {
    const auto test = divide(data, task, 0).test;
    std::vector<std::uint32_t> units;
    for (const std::size_t row : test) units.push_back(data.all[row].unit);
    std::sort(units.begin(), units.end());
    units.erase(std::unique(units.begin(), units.end()), units.end());
    lines.push_back({task.name(), test.size(), units.size(),
                     eval::detectable_accuracy_difference(test.size(), units.size(), 0.1, 0.05), "accuracy"});
  }
  return lines;
}

verb split_verb() {
  return {
      "split", "write the texts of a task as finetune reads them: split --per-cent 10 --seed 0 --out DIR",
      [](CLI::App& app) -> std::function<int()> {
        struct arguments {
          std::size_t per_cent = 100;
          std::int64_t seed = 0;
          std::string without, out;
          fs::path data;
        };
        const auto given = std::make_shared<arguments>();
        app.add_option("--per-cent", given->per_cent, "of the training sentences")->capture_default_str();
        app.add_option("--seed", given->seed, "of their choice")->capture_default_str();
        app.add_option("--without", given->without, "a domain that is tested and not trained on");
        app.add_option("--data", given->data, "folder of the data sets");
        app.add_option("--out", given->out, "folder for train.tsv, valid.tsv, test.tsv");
        return [given]() -> int {
          expects(!given->out.empty(), errc::bad_option, "split needs --out: a folder");
          expects(given->per_cent >= 1 && given->per_cent <= 100, errc::bad_option, "--per-cent ", given->per_cent,
                  ": expected 1 to 100");
          expects(given->without.empty() || std::find(domains.begin(), domains.end(), given->without) != domains.end(),
                  errc::bad_option, "--without ", given->without, ": expected amazon, movies, nyt or tweets");
          run_options options;
          options.data = given->data;
          const sentiment_set data = read_sentiment(options);
          expects(data.set.present(), errc::bad_file, data.set.use.missing);
          const sentiment_split split = divide(data, {given->per_cent, given->without}, given->seed);
          std::error_code trouble;
          fs::create_directories(given->out, trouble);
          for (const auto& [name, rows] : {std::pair{"train.tsv", &split.train}, std::pair{"valid.tsv", &split.valid},
                                           std::pair{"test.tsv", &split.test}}) {
            std::string content;
            for (const std::size_t row : *rows)
              content += text(sentiments[data.all[row].label], "\t", data.all[row].text, "\n");
            io::write_file(fs::path(given->out) / name, content);
            std::cout << (fs::path(given->out) / name).string() << "\t" << rows->size() << "\n";
          }
          return exit_ok;
        };
      }};
}

}  // namespace hocket::experiments::peft_vs_full
