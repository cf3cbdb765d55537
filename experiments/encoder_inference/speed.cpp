#include "experiments/encoder_inference/speed.hpp"

#include <algorithm>
#include <cmath>
#include <memory>

#include <hocket/measure/sampler.hpp>
#include <hocket/measure/timer.hpp>

#include "experiments/encoder_inference/embedder.hpp"
#include "experiments/encoder_inference/sentences.hpp"
#include "experiments/support/peak_memory.hpp"

namespace hocket::experiments::encoder_inference {

namespace {

constexpr const char* sentences_name = "vader_sentiment";
constexpr const char* model_name = "minilm_l6_v2";

/// The least cosine with f64 that a precision is timed at.
constexpr double least_cosine(embed_precision p) {
  return p == embed_precision::int8 ? 0.98 : p == embed_precision::bf16 ? 0.999 : 0.999999;
}

struct token_batch {
  std::vector<std::uint32_t> ids, lengths;
};

/// `items` texts of exactly `length` tokens: the sentences of the set one after the other, cut.
token_batch batch_of(const data_set& set, const texts::tokenizer& words, std::size_t items, std::size_t length) {
  const chosen_sentences sentences = choose_sentences(set, 2000);
  const texts::encoding frame = words.encode_text("");  // [CLS] [SEP]
  expects(frame.size() == 2 && length > 2, errc::unsupported_shape, "a text of ", length, " tokens with ", frame.size(),
          " special ones");
  token_batch out;
  std::size_t sentence = 0;
  std::vector<texts::token_id> stream;
  for (std::size_t item = 0; item < items; ++item) {
    while (stream.size() < length - 2)
      for (const auto id : words.encode_words(sentences.texts[sentence++ % sentences.texts.size()]))
        stream.push_back(id);
    out.ids.push_back(static_cast<std::uint32_t>(frame.ids[0]));
    out.ids.insert(out.ids.end(), stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(length - 2));
    stream.erase(stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(length - 2));
    out.ids.push_back(static_cast<std::uint32_t>(frame.ids[1]));
    out.lengths.push_back(static_cast<std::uint32_t>(length));
  }
  return out;
}

/// The same embeddings in f64, from the same kernels instantiated there.
std::vector<double> reference_of(const frozen_encoder& model, const token_batch& batch, const cpu& device) {
  nn::parameter_set<double> parameters;
  nn::load_encoder<double>(model.folder.config, model.file, parameters, false);
  parameters.train_only({});
  nn::tape<double> t(device);
  nn::encoder_batch inputs(t, model.folder.config, batch.lengths.size(), batch.ids.size(), batch.lengths[0]);
  const nn::encoder<double> encoder(model.folder.config, parameters);
  const nn::value out =
      encoder.embed(t, inputs, encoder.record(t, inputs, {.dropout = false}).last(), nn::encoder_pooling::mean, true);
  t.compile_forward({out});
  inputs.set(t, batch.ids, batch.lengths);
  t.forward();
  const auto rows = t.read(out);
  return {rows.data(), rows.data() + rows.size()};
}

/// Empty, or what is wrong.
std::string agrees(const view<const float, 2>& rows, const std::vector<double>& reference, double least) {
  for (std::size_t i = 0; i < rows.extent(0); ++i) {
    double cosine = 0;
    for (std::size_t d = 0; d < rows.extent(1); ++d)
      cosine += static_cast<double>(rows(i, d)) * reference[i * rows.extent(1) + d];
    if (!(cosine >= least)) return text("text ", i, " has a cosine of ", cosine, " with f64, at least ", least);
  }
  return {};
}

void add_metric(measure::record_body& record, std::string name, std::string variant, std::string unit, double value,
                std::size_t n) {
  measure::metric row;
  row.name = std::move(name);
  row.variant = std::move(variant);
  row.unit = std::move(unit);
  row.better = "lower";
  row.value = value;
  row.n = static_cast<std::int64_t>(n);
  record.metrics.push_back(std::move(row));
}

/// Single calls one after the other, as a service sees them: median, and the 99th percentile of at least 100.
void add_latency(measure::record_body& record, const std::string& arm, double median_ns,
                 const std::function<void()>& call) {
  const auto calls = static_cast<std::size_t>(std::clamp(3e9 / median_ns, 20.0, 400.0));
  std::vector<double> ms;
  for (std::size_t i = 0; i < calls; ++i) {
    const measure::timer clock;
    call();
    ms.push_back(clock.ns() * 1e-6);
  }
  std::sort(ms.begin(), ms.end());
  add_metric(record, "latency_p50", arm, "ms", ms[calls / 2], calls);
  if (calls >= 100) add_metric(record, "latency_p99", arm, "ms", ms[calls * 99 / 100], calls);
}

}  // namespace

void add_speed_cases(const run_options& options, std::vector<case_spec>& cases) {
  const data_set set = open_data_set(options, sentences_name), model = open_data_set(options, model_name);
  const std::vector<std::size_t> batches =
      options.quick ? std::vector<std::size_t>{1, 8} : std::vector<std::size_t>{1, 8, 32};
  const std::vector<std::size_t> lengths =
      options.quick ? std::vector<std::size_t>{16, 64} : std::vector<std::size_t>{16, 64, 256};
  for (const std::size_t batch : batches)
    for (const std::size_t length : lengths) {
      case_spec c;
      c.name = text(sentences_name, "/all/batch=", batch, "/length=", length);
      c.method = "all";
      c.kind = measure::record_kind::throughput;
      c.options.set("dataset", sentences_name)
          .set("batch", batch)
          .set("length", length)
          .set("threads", options.threads);
      c.data = {set.use, model.use};
      c.cost_s = 5 + static_cast<double>(batch * length) / 200;
      cases.push_back(std::move(c));
    }
}

void run_speed(case_run& run) {
  const data_set set = open_data_set(run.options(), sentences_name);
  const data_set model_set = open_data_set(run.options(), model_name);
  expects(model_set.present(), errc::bad_file, model_set.use.missing);
  const std::filesystem::path folder = data_root(run.options()) / model_name;
  const auto model = std::make_shared<frozen_encoder>(folder);
  const std::size_t items = run.spec().options.size("batch"), length = run.spec().options.size("length");
  const cpu device = run.options().device();
  const token_batch batch = batch_of(set, texts::tokenizer::load(folder), items, length);
  const std::vector<double> reference = reference_of(*model, batch, device);
  const auto make = [&](embed_precision p) {
    embed_options options;
    options.precision = p;
    return std::make_unique<embedding_tape>(*model, options, device, items, batch.ids.size(), length);
  };
  std::vector<measure::timed_arm> arms;
  std::vector<std::shared_ptr<embedding_tape>> tapes;
  std::vector<double> peaks;
  for (const auto& each : enum_names<embed_precision>::values) {
    const embed_precision precision = each.first;
    peaks.push_back(peak_bytes_of([&] { make(precision)->run(batch.ids, batch.lengths); }));
    const std::shared_ptr<embedding_tape> tape = make(precision);
    tapes.push_back(tape);
    measure::timed_arm arm;
    arm.name = arm.dtype = each.second;
    arm.threads = device.threads;
    arm.run = [tape, &batch] { tape->run(batch.ids, batch.lengths); };
    arm.check = [tape, &batch, &reference, least = least_cosine(precision)] {
      return agrees(tape->run(batch.ids, batch.lengths), reference, least);
    };
    arm.work = static_cast<double>(batch.ids.size());
    arm.work_unit = "tokens";
    arms.push_back(std::move(arm));
  }
  measure::sampling_options sampling;
  sampling.budget_s = 10;
  const measure::timed_arms timed(std::move(arms), sampling);
  for (std::size_t a = 0; a < tapes.size(); ++a) {
    const measure::timing timing = timed.timing_of(a);
    run.record().timings.push_back(timing);
    add_latency(run.record(), timing.arm, timing.median_ns, [&] { tapes[a]->run(batch.ids, batch.lengths); });
    add_metric(run.record(), "memory", timing.arm, "MiB", peaks[a] / 1048576, 1);
  }
}

}  // namespace hocket::experiments::encoder_inference
