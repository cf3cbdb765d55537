#include "experiments/peft_vs_full/speed.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>

#include <hocket/measure/sampler.hpp>
#include <hocket/peft/merge.hpp>

#include "experiments/peft_vs_full/arms.hpp"
#include "experiments/peft_vs_full/base_model.hpp"
#include "experiments/peft_vs_full/sentiment.hpp"
#include "experiments/peft_vs_full/texts.hpp"

namespace hocket::experiments::peft_vs_full {

namespace {

constexpr std::size_t batch = 32;

const nn::classifier_options& head() {
  static const nn::classifier_options options{nn::classifier_pooling::mean, sentiments.size()};
  return options;
}

/// Sentences of the training split, in the files' order.
peft::classified_texts sentences(const run_options& options, const base_model& base, std::size_t count) {
  const sentiment_set data = read_sentiment(options);
  expects(data.set.present(), errc::bad_file, data.set.use.missing);
  std::vector<std::string> texts;
  peft::classified_texts out;
  for (std::size_t i = 0; i < data.all.size() && texts.size() < count; i += 37) {  // from all domains
    texts.push_back(data.all[i].text);
    out.labels.push_back(data.all[i].label);
  }
  out.ids = tokenize(base.words, texts, 96).ids;
  return out;
}

/// Empty if logits agree: each within `bound` of the largest.
template <Real T, Real U>
std::string agree(const tensor<T>& ours, const tensor<U>& theirs, double bound) {
  double most = 0, worst = 0;
  for (std::size_t i = 0; i < ours.size(); ++i) {
    most = std::max(most, std::abs(static_cast<double>(theirs.data()[i])));
    worst = std::max(worst, std::abs(static_cast<double>(ours.data()[i]) - static_cast<double>(theirs.data()[i])));
  }
  if (worst <= bound * most) return {};
  return text("logits differ by ", worst, ", allowed ", bound * most);
}

/// An arm of the training steps: one batch again and again.
struct stepping {
  nn::parameter_set<float> weights;
  peft::combined method;
  std::unique_ptr<peft::fine_tuning<float>> run;
};

std::string check_forward(const base_model& base, const run_settings& settings, const peft::token_lists& ids,
                          const cpu& device) {
  const auto logits_of = [&]<Real T>(T, nn::precision products) {
    nn::parameter_set<T> weights;
    nn::load_classifier(base.config(), head(), base.file, 1, weights);
    const peft::combined method = settings.make();
    peft::attach(method, base.config(), weights, 1);
    peft::text_scorer<T> scorer(base.config(), head(), weights, method, 96, device, products);
    return scorer(ids).logits;
  };
  const auto products = peft::products_of(settings.training.precision);
  const double unit = products == nn::precision::bf16 ? 0x1p-8 : std::numeric_limits<float>::epsilon();
  // A bf16 product rounds once; twelve products and norms follow each other, and errors add up as their root.
  return agree(logits_of(float{}, products), logits_of(double{}, nn::precision::native), 16 * unit);
}

void time_steps(case_run& run, const base_model& base) {
  const cpu device = run.options().device();
  const peft::classified_texts texts = sentences(run.options(), base, batch);
  nn::parameter_set<float> shared;
  nn::load_classifier(base.config(), head(), base.file, 1, shared);
  std::vector<measure::timed_arm> timed;
  for (const auto precision : {peft::training_precision::bf16, peft::training_precision::f32}) {
    const auto packs = std::make_shared<nn::weight_packs<float>>();
    for (const auto& a : arms()) {
      if (precision == peft::training_precision::f32 && !a.quick) continue;
      run_settings settings = settings_of(a, a.rates[0], 100, 1, precision);
      settings.training.epochs = 1000000;  // a step is an epoch; its rate is 1e-5 of the arm's
      settings.training.learning_rate *= 1e-5;
      const auto one = std::make_shared<stepping>();
      one->weights.share(shared);
      one->method = settings.make();
      one->run = std::make_unique<peft::fine_tuning<float>>(base.config(), head(), one->weights, one->method, texts,
                                                            settings.training, device, packs);
      measure::timed_arm arm;
      arm.name = precision == peft::training_precision::bf16 ? a.name : text("f32: ", a.name);
      arm.dtype = precision == peft::training_precision::bf16 ? "bf16" : "f32";
      arm.threads = device.threads;
      arm.run = [one] { one->run->step(); };
      arm.check = [&base, settings, &texts, device] { return check_forward(base, settings, texts.ids, device); };
      arm.work = 1;
      arm.work_unit = "training steps";
      timed.push_back(std::move(arm));
    }
  }
  measure::sampling_options sampling;
  sampling.sample_ns = 5e7;
  run.record().timings = measure::timed_arms(std::move(timed), sampling).timings();
}

struct scoring {
  nn::parameter_set<float> weights;
  peft::combined method;
  peft::merged_lora<float> merged;
  std::unique_ptr<peft::text_scorer<float>> scorer;
};

std::shared_ptr<scoring> scorer_of(const base_model& base, const run_settings& settings, bool merged,
                                   const cpu& device) {
  auto out = std::make_shared<scoring>();
  nn::load_classifier(base.config(), head(), base.file, 1, out->weights);
  out->method = settings.make();
  peft::attach(out->method, base.config(), out->weights, 1);
  const philox random(1, 9);
  for (auto& each : out->weights) {
    if (each.name().find("lora_B") != std::string::npos)  // a fresh B is zero
      for (std::size_t i = 0; i < each.size(); ++i)
        each.writable().data()[i] = static_cast<float>(0.02 * random.normal_at(i));
    each.train(false);
  }
  peft::combined joined = out->method;
  if (merged) {
    for (const auto& each : out->method.methods)
      if (const auto* const lora = std::get_if<peft::lora>(&each))
        out->merged.merge(*lora, base.config(), out->weights);
    joined.methods.clear();
  }
  out->scorer = std::make_unique<peft::text_scorer<float>>(base.config(), head(), out->weights, joined, 96, device);
  return out;
}

void time_latency(case_run& run, const base_model& base) {
  const cpu device = run.options().device();
  std::vector<measure::timed_arm> timed;
  const auto texts = std::make_shared<peft::classified_texts>(sentences(run.options(), base, batch));
  for (const std::size_t items : {std::size_t{1}, batch})
    for (const auto& a : arms()) {
      if (a.method != "lora" && a.method != "lora_all_linear" && a.method != "prefix") continue;
      const run_settings settings = settings_of(a, a.rates[0], 100, 1, peft::training_precision::f32);
      const auto apart = scorer_of(base, settings, false, device);
      const auto ids = std::make_shared<peft::token_lists>(texts->ids.begin(),
                                                           texts->ids.begin() + static_cast<std::ptrdiff_t>(items));
      for (const bool merged : {false, true}) {
        if (merged && a.method == "prefix") continue;  // rows before a text are no part of a weight
        const auto used = merged ? scorer_of(base, settings, true, device) : apart;
        measure::timed_arm arm;
        arm.name = text("inference, batch ", items, ": ", a.name, merged ? ", merged" : ", apart");
        arm.threads = device.threads;
        arm.run = [used, ids] { (*used->scorer)(*ids); };
        arm.check = [apart, used, ids] {
          // Heads are not merged: an adapter's own copy begins as the model's.
          return agree((*used->scorer)(*ids).logits, (*apart->scorer)(*ids).logits,
                       256 * static_cast<double>(std::numeric_limits<float>::epsilon()));
        };
        arm.work = static_cast<double>(items);
        arm.work_unit = "texts";
        timed.push_back(std::move(arm));
      }
    }
  measure::sampling_options sampling;
  sampling.sample_ns = 2e7;
  run.record().timings = measure::timed_arms(std::move(timed), sampling).timings();
}

}  // namespace

std::vector<case_spec> speed_cases(const run_options& options) {
  std::vector<case_spec> cases;
  for (const char* what : {"training_step", "inference"}) {
    case_spec c;
    c.name = text(what, "/all");
    c.method = "all";
    c.kind = measure::record_kind::throughput;
    c.options.set("what", what).set("threads", options.threads).set("batch", batch);
    c.data = {read_sentiment(options).set.use, open_data_set(options, "minilm_l6_v2").use};
    c.cost_s = 60;
    c.timeout_s = 3600;
    cases.push_back(std::move(c));
  }
  return cases;
}

void run_speed(case_run& run) {
  const base_model base(data_root(run.options()) / "minilm_l6_v2");
  if (run.spec().options.string("what") == "inference") return time_latency(run, base);
  time_steps(run, base);
}

}  // namespace hocket::experiments::peft_vs_full
