#include "experiments/encoder_inference/quality.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "experiments/encoder_inference/embedder.hpp"
#include "experiments/encoder_inference/sentences.hpp"
#include "experiments/support/classification.hpp"

namespace hocket::experiments::encoder_inference {

namespace {

constexpr std::size_t folds = 5;
constexpr const char* sentences_name = "vader_sentiment";
constexpr const char* model_name = "minilm_l6_v2";

nn::logistic_options classifier() {
  nn::logistic_options options;
  options.tolerance = 1e-4;
  return options;
}

/// (texts, D) of one precision, made once for all seeds.
std::vector<float> cached_embeddings(case_run& run, const chosen_sentences& sentences, embed_precision precision) {
  const data_set model = open_data_set(run.options(), model_name);
  expects(model.present(), errc::bad_file, model.use.missing);
  embed_options options;
  options.precision = precision;
  measure::config what;
  what.set("sentences", sentences.texts.size()).set_all(options);
  const auto bytes = run.stage("embeddings", what, {run.spec().data.at(0).sha256, run.spec().data.at(1).sha256}, [&] {
    embedder embed(data_root(run.options()) / model_name, options, run.options().device());
    const std::vector<std::string_view> texts(sentences.texts.begin(), sentences.texts.end());
    std::vector<float> rows(texts.size() * embed.width());
    embed(texts, view<float, 2>(rows.data(), {texts.size(), embed.width()}));
    std::vector<std::byte> made(rows.size() * sizeof(float));
    std::memcpy(made.data(), rows.data(), made.size());
    return made;
  });
  std::vector<float> rows(bytes.size() / sizeof(float));
  std::memcpy(rows.data(), bytes.data(), rows.size() * sizeof(float));
  return rows;
}

void add_cosines(measure::record_body& record, const std::vector<float>& rows, const std::vector<float>& f32,
                 std::size_t count) {
  const std::size_t width = rows.size() / count;
  std::vector<double> cosines;
  for (std::size_t i = 0; i < count; ++i)
    cosines.push_back(std::inner_product(rows.begin() + static_cast<std::ptrdiff_t>(i * width),
                                         rows.begin() + static_cast<std::ptrdiff_t>((i + 1) * width),
                                         f32.begin() + static_cast<std::ptrdiff_t>(i * width), 0.0));
  const auto add = [&](const char* name, const char* variant, double value) {
    measure::metric row;
    row.name = name;
    row.variant = variant;
    row.unit = "cosine";
    row.better = "higher";
    row.value = value;
    row.n = static_cast<std::int64_t>(count);
    record.metrics.push_back(std::move(row));
  };
  add("mean_cosine", "with the embedding in f32, mean over the sentences",
      std::accumulate(cosines.begin(), cosines.end(), 0.0) / static_cast<double>(count));
  add("smallest_cosine", "with the embedding in f32, of the worst sentence",
      *std::min_element(cosines.begin(), cosines.end()));
}

}  // namespace

void add_quality_cases(const run_options& options, std::vector<case_spec>& cases) {
  const data_set set = open_data_set(options, sentences_name), model = open_data_set(options, model_name);
  for (const auto& [precision, name] : enum_names<embed_precision>::values)
    for (const std::int64_t seed : options.seeds(options.quick ? 3 : 5)) {
      case_spec c;
      c.name = text(sentences_name, "/", name, "/seed=", seed);
      c.method = name;
      c.seed = seed;
      c.options.set("dataset", sentences_name).set("folds", folds).set("sentences", options.quick ? 1000 : 6000);
      c.options.set("classes", "mean rating below -0.5, between, above 0.5").set_all(classifier(), "classifier");
      c.protocol = cross_validation_protocol(
          set, "sentiment of rated sentences, 3 classes, on frozen embeddings of all-MiniLM-L6-v2",
          text("encoder_inference/", sentences_name), folds,
          {"Each seed is one assignment of documents to 5 folds; the strength of the penalty is chosen on one "
           "validation "
           "fold, the next one in turn.",
           "Equally many sentences of each of the four domains; all sentences of a review or an editorial share a "
           "fold."});
      c.protocol->split_unit = "document";
      c.data = {set.use, model.use};
      c.cost_s = options.quick ? 2 : 20;
      c.timeout_s = 1800;
      cases.push_back(std::move(c));
    }
}

void run_quality(case_run& run) {
  const data_set set = open_data_set(run.options(), sentences_name);
  const chosen_sentences sentences = choose_sentences(set, run.spec().options.size("sentences"));
  const auto precision = hocket::detail::option_from_text<embed_precision>("precision", run.spec().method);
  const std::vector<float> rows = cached_embeddings(run, sentences, precision);
  classification_data data;
  data.x.assign(rows.begin(), rows.end());
  data.features = rows.size() / sentences.texts.size();
  data.classes = 3;
  data.labels = sentences.labels;
  data.units = sentences.units;
  const nested_result result = nested_cross_validation(
      run.options().device(), data, folds, 1, static_cast<std::uint64_t>(run.spec().seed.value_or(0)), classifier());
  record_classification(run.record(), data, sentences.ids, {"negative", "neutral", "positive"}, result.predicted);
  add_cosines(run.record(), rows, cached_embeddings(run, sentences, embed_precision::f32), sentences.texts.size());
}

std::vector<resolution> resolution_of(const run_options& options) {
  const data_set set = open_data_set(options, sentences_name);
  if (!set.present()) return {};
  const chosen_sentences sentences = choose_sentences(set, options.quick ? 1000 : 6000);
  return {accuracy_resolution(set, folds, sentences.texts.size(), sentences.units.back() + 1)};
}

}  // namespace hocket::experiments::encoder_inference
