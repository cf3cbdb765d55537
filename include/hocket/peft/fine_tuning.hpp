// Fine-tuning a classifier of texts: the loop over epochs, steps and checkpoints, and the scoring of texts with what
// was trained. The caller reads files, chooses the method, evaluates where it wants to, and writes the adapter.
//
//   peft::fine_tuning<float> run(config, options, weights, method, texts, settings, cpu{2});
//   while (!run.done()) {
//     run.step();
//     if (run.epoch_ended()) run.end_epoch(accuracy_on_validation_texts());
//   }
//   run.restore_best();
//
// The same settings give the same bits for any number of threads, and a run that was saved and resumed, at any step,
// those of the uninterrupted one: batches, masks and first weights are pure functions of the seed and the step.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/options.hpp>
#include <hocket/core/tensor.hpp>
#include <hocket/nn/checkpoint.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/sequence_classifier.hpp>
#include <hocket/peft/method.hpp>
#include <hocket/text/batching.hpp>

namespace hocket::peft {

/// What products are computed in while training; weights, moments and all else stay f32.
enum class training_precision { f32, bf16 };

}  // namespace hocket::peft

template <>
struct hocket::enum_names<hocket::peft::training_precision> {
  using enum hocket::peft::training_precision;
  static constexpr std::array values = {std::pair{f32, std::string_view{"f32"}},
                                        std::pair{bf16, std::string_view{"bf16"}}};
};

namespace hocket::peft {

/// The same for a tape.
constexpr nn::precision products_of(training_precision p) {
  return p == training_precision::bf16 ? nn::precision::bf16 : nn::precision::native;
}

/// Token ids of every text, special tokens included.
using token_lists = std::vector<std::vector<std::uint32_t>>;

struct classified_texts {
  token_lists ids;
  std::vector<std::uint32_t> labels;  ///< of each text, below the number of classes
};

struct training_options {
  double learning_rate = 1e-3;
  std::size_t epochs = 3;
  std::size_t batch = 32;
  double weight_decay = 0.01;
  nn::decay_shape schedule = nn::decay_shape::linear;
  double warmup = 0.06;
  double clip = 1;
  double label_smoothing = 0;
  std::optional<double> model_dropout = {};
  training_precision precision = training_precision::f32;
  std::optional<std::size_t> patience = {};
  std::uint64_t seed = 0;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("learning_rate", self.learning_rate, "of AdamW, before the schedule's factor");
    visit("epochs", self.epochs, "passes over the texts");
    visit("batch", self.batch, "texts of a step");
    visit("weight_decay", self.weight_decay, "of AdamW; biases and gains of norms are not decayed");
    visit("schedule", self.schedule, "constant, linear or cosine: how the rate falls after the warm-up");
    visit("warmup", self.warmup, "the rate rises over this share of all steps; from 1 on: over so many steps");
    visit("clip", self.clip, "gradients longer than this are shortened to it; 0: never");
    visit("label_smoothing", self.label_smoothing, "share of the target that is spread over all classes");
    visit("model_dropout", self.model_dropout, "probability of all of the model's dropouts; none: its config's");
    visit("precision", self.precision, "f32 or bf16: of products; weights and their updates stay f32");
    visit("patience", self.patience, "epochs without a better validation metric that are waited for; none: all run");
    visit("seed", self.seed, "of new weights, batches and dropout");
  }
};

namespace detail {

/// Tokens of the `count` longest texts together, and of the longest.
inline std::pair<std::size_t, std::size_t> room_for(const token_lists& all, std::size_t count) {
  std::vector<std::size_t> lengths;
  for (const auto& ids : all) lengths.push_back(ids.size());
  std::sort(lengths.begin(), lengths.end(), std::greater<>());
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < std::min(count, lengths.size()); ++i) tokens += lengths[i];
  return {std::max<std::size_t>(1, tokens), lengths.empty() ? 1 : std::max<std::size_t>(1, lengths[0])};
}

/// The inputs of one batch, packed.
struct packed_texts {
  std::vector<std::uint32_t> ids, lengths, labels;
  void pack(const token_lists& all, std::span<const std::size_t> rows, const std::vector<std::uint32_t>* of_all) {
    ids.clear(), lengths.clear(), labels.clear();
    for (const std::size_t row : rows) {
      ids.insert(ids.end(), all[row].begin(), all[row].end());
      lengths.push_back(static_cast<std::uint32_t>(all[row].size()));
      if (of_all) labels.push_back((*of_all)[row]);
    }
  }
};

inline std::vector<std::size_t> lengths_of(const token_lists& all) {
  std::vector<std::size_t> lengths;
  for (const auto& ids : all) lengths.push_back(ids.size());
  return lengths;
}

}  // namespace detail

/// Scores of texts by a model with what is joined to it: dropout is off, texts of like length share a batch, results
/// come in the texts' order. It sees weights as they are when it is asked.
template <Real T>
class text_scorer {
 public:
  struct scores {
    tensor<T> logits;  ///< (texts, labels)
    tensor<T> pooled;  ///< (texts, D), what the head sees; empty unless asked for
  };

  /// `most_tokens`: of a batch; a longer text needs a longer `longest`.
  template <Method M>
  text_scorer(const nn::encoder_config& config, const nn::classifier_options& options, nn::parameter_set<T>& weights,
              const M& method, std::size_t longest, const cpu& device = {},
              nn::precision products = nn::precision::native, std::shared_ptr<nn::weight_packs<T>> packs = {},
              std::size_t most_tokens = 2048)
      : labels_(options.labels),
        width_(config.hidden_size),
        most_tokens_(std::max(most_tokens, longest)),
        config_(config),
        tape_(device, 0, {}, products, std::move(packs)),
        joined_(tape_, config_, weights) {
    method.join(joined_);
    batch_ =
        std::make_unique<nn::encoder_batch>(tape_, config_, most_rows, most_tokens_, longest, joined_.first_position());
    const auto values = nn::sequence_classifier<T>(config_, options, weights)
                            .record(tape_, *batch_, {.dropout = false}, joined_.hooks());
    logits_ = values.logits;
    pooled_ = values.pooled;
    tape_.compile_forward({logits_, pooled_});
    tape_.training(false);  // a dropout of the method's own is off too
  }

  scores operator()(const token_lists& all, bool want_pooled = false) {
    scores out{tensor<T>({all.size(), labels_}), {}};
    if (want_pooled) out.pooled = tensor<T>({all.size(), width_});
    const auto lengths = detail::lengths_of(all);
    texts::batch_options limits;
    limits.rows = most_rows;
    limits.tokens = most_tokens_;
    for (const auto& rows : texts::plan_batches(lengths, limits)) {
      packed_.pack(all, rows, nullptr);
      batch_->set(tape_, packed_.ids, packed_.lengths);
      tape_.forward();
      texts::restore_order<T>(rows, tape_.read(logits_), out.logits.as_view());
      if (want_pooled) texts::restore_order<T>(rows, tape_.read(pooled_), out.pooled.as_view());
    }
    return out;
  }

 private:
  static constexpr std::size_t most_rows = 128;
  std::size_t labels_, width_, most_tokens_;
  nn::encoder_config config_;
  nn::tape<T> tape_;
  additions<T> joined_;
  std::unique_ptr<nn::encoder_batch> batch_;
  nn::value logits_, pooled_;
  detail::packed_texts packed_;
};

/// The likeliest class of each row of logits; the lowest of equals.
template <Real T>
std::vector<std::uint32_t> likeliest(const tensor<T>& logits) {
  std::vector<std::uint32_t> labels(logits.extent(0));
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const T* const row = logits.data() + i * logits.extent(1);
    labels[i] = static_cast<std::uint32_t>(std::max_element(row, row + logits.extent(1)) - row);
  }
  return labels;
}

/// One run of training. The weights, the texts and the packs must outlive it.
template <Real T>
class fine_tuning {
 public:
  /// Attaches `method` to `weights`: adds what it trains, drawn from the seed, and freezes all else.
  template <Method M>
  fine_tuning(const nn::encoder_config& config, const nn::classifier_options& options, nn::parameter_set<T>& weights,
              const M& method, const classified_texts& train, const training_options& settings, const cpu& device = {},
              std::shared_ptr<nn::weight_packs<T>> packs = {})
      : config_(with_dropout(config, settings)),
        settings_(checked(settings, train)),
        train_(train),
        lengths_(detail::lengths_of(train.ids)),
        batches_((train.ids.size() - 1) / settings.batch + 1),  // a sum with the batch could overflow
        weights_(attached(method, config_, weights, settings.seed)),
        sampler_(batches_, settings.seed),
        update_(rules_of(settings), device),
        tape_(device, settings.seed, {}, products_of(settings.precision), std::move(packs)),
        joined_(tape_, config_, weights) {
    method.join(joined_);
    const auto [tokens, longest] = detail::room_for(train.ids, settings.batch);
    batch_ = std::make_unique<nn::encoder_batch>(tape_, config_, std::min(settings.batch, train.ids.size()), tokens,
                                                 longest, joined_.first_position());
    labels_ = tape_.indices("labels", batch_->items(), options.labels);
    const auto values =
        nn::sequence_classifier<T>(config_, options, weights).record(tape_, *batch_, {}, joined_.hooks());
    loss_ = nn::cross_entropy(tape_, values.logits, labels_, settings.label_smoothing);
    tape_.compile(loss_);
    update_.add(weights_);
    schedule_.shape = settings.schedule;
    schedule_.total = total_steps();
    const double warm = settings.warmup < 1 ? settings.warmup * static_cast<double>(total_steps()) : settings.warmup;
    schedule_.warm_up = static_cast<std::size_t>(std::llround(warm));
    stopping_.patience = settings.patience.value_or(settings.epochs);
    plan();
  }
  fine_tuning(const fine_tuning&) = delete;
  fine_tuning& operator=(const fine_tuning&) = delete;

  std::size_t steps_of_epoch() const { return batches_; }
  std::size_t total_steps() const { return batches_ * settings_.epochs; }
  std::size_t steps() const { return update_.steps(); }
  /// Steps over which the rate rises; it never reaches learning_rate where they are no fewer than all.
  std::size_t warm_up_steps() const { return schedule_.warm_up; }
  /// Whole epochs so far.
  std::size_t epochs() const { return steps() / batches_; }
  bool epoch_ended() const { return steps() > 0 && steps() % batches_ == 0; }
  bool done() const { return steps() >= total_steps() || stopping_.should_stop(); }

  /// One batch forward and backward, one step of the optimiser. Returns the batch's loss, without weight decay. Throws
  /// bad_value when it is not finite, and behind an epoch's last step when a weight is not.
  double step() {
    const std::size_t number = sampler_.next(1)[0];
    if (sampler_.epoch() != planned_) plan();
    packed_.pack(train_.ids, plan_[number], &train_.labels);
    batch_->set(tape_, packed_.ids, packed_.lengths);
    tape_.set(labels_, packed_.labels);
    tape_.forward();
    const double loss = static_cast<double>(tape_.scalar(loss_));
    expects(std::isfinite(loss) || steps() > 0, errc::bad_value, "the loss of step 1 is ", loss,
            ", before anything was learnt: a number among the settings is too large");
    expects(std::isfinite(loss), errc::bad_value, "the loss of step ", steps() + 1, " is ", loss, diverged());
    tape_.backward();
    double scale = 1;
    if (settings_.clip > 0) scale = nn::clip_factor(update_.gradient_norm(), settings_.clip);
    update_.step(nn::schedule_factor(schedule_, steps()), scale);
    if (steps() % batches_ == 1 || batches_ == 1) loss_sum_ = 0;
    loss_sum_ += loss;
    if (epoch_ended()) require_finite_weights();  // what an epoch leaves may be kept, and no loss has seen it yet
    return loss;
  }

  /// Mean loss of the steps of the epoch that runs or has just ended.
  double mean_loss() const {
    const std::size_t count = steps() == 0 ? 1 : (steps() - 1) % batches_ + 1;
    return loss_sum_ / static_cast<double>(count);
  }

  /// Takes in a validation metric, higher is better; the weights of the best epoch are kept. Returns whether this one
  /// is the best so far.
  bool end_epoch(double metric) {
    const bool better = stopping_.add(metric);
    if (better) {
      make_room();
      std::size_t i = 0;
      for (const auto* each : weights_.trainable()) std::copy_n(each->value().data(), each->size(), best_[i++].data());
    }
    return better;
  }
  /// The epoch whose weights are kept, from 1; 0: none.
  std::size_t best_epoch() const { return stopping_.best_evaluation; }
  double best_metric() const { return stopping_.best; }

  /// Puts the weights of the best epoch back, where epochs were judged.
  void restore_best() {
    if (best_epoch() == 0) return;
    std::size_t i = 0;
    for (auto* each : weights_.trainable()) std::copy_n(best_[i++].data(), each->size(), each->writable().data());
  }

  /// Everything that the rest of the run depends on; `judged` says whether epochs are given to end_epoch.
  void save(const std::filesystem::path& path, bool judged) { nn::save_checkpoint(path, state(judged)); }
  void load(const std::filesystem::path& path, bool judged) {
    nn::load_checkpoint(path, state(judged));
    plan();
  }

  nn::parameter_set<T>& weights() { return weights_; }
  const nn::tape<T>& tape() const { return tape_; }

 private:
  static nn::encoder_config with_dropout(nn::encoder_config config, const training_options& settings) {
    if (!settings.model_dropout) return config;
    expects(*settings.model_dropout >= 0 && *settings.model_dropout < 1, errc::bad_option,
            "model_dropout=", *settings.model_dropout, ": expected a probability below 1");
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = *settings.model_dropout;
    config.classifier_dropout = *settings.model_dropout;
    return config;
  }
  static const training_options& checked(const training_options& s, const classified_texts& train) {
    const auto require = [](bool good, std::string_view key, double value, std::string_view expected) {
      expects(good, errc::bad_option, key, "=", value, ": expected ", expected);
    };
    require(s.epochs >= 1, "epochs", 0, "1 or more");
    require(s.batch >= 1, "batch", 0, "1 or more");
    require(s.learning_rate >= 0, "learning_rate", s.learning_rate, "a number >= 0");
    require(s.weight_decay >= 0, "weight_decay", s.weight_decay, "a number >= 0");
    require(s.warmup >= 0, "warmup", s.warmup, "a share of all steps below 1, or a number of steps");
    require(s.clip >= 0, "clip", s.clip, "a length > 0, or 0 for none");
    require(s.label_smoothing >= 0 && s.label_smoothing < 1, "label_smoothing", s.label_smoothing, "a share below 1");
    expects(!train.ids.empty() && train.ids.size() == train.labels.size(), errc::unsupported_shape, "fine-tuning on ",
            train.ids.size(), " texts with ", train.labels.size(), " labels");
    return s;
  }
  static nn::optimizer_options rules_of(const training_options& s) {
    nn::optimizer_options rules;
    rules.rate = s.learning_rate;
    rules.decay = s.weight_decay;
    return rules;
  }
  template <Method M>
  static nn::parameter_set<T>& attached(const M& method, const nn::encoder_config& config,
                                        nn::parameter_set<T>& weights, std::uint64_t seed) {
    attach(method, config, weights, seed);
    return weights;
  }

  std::string diverged() const {
    return text(": the run has diverged; try a lower learning_rate than ", settings_.learning_rate);
  }
  void require_finite_weights() {
    for (const auto* each : weights_.trainable()) {
      const T* const values = each->value().data();
      expects(std::all_of(values, values + each->size(), [](T v) { return std::isfinite(v); }), errc::bad_value,
              "behind step ", steps(), " ", each->name(), " holds a number that is not finite", diverged());
    }
  }

  void plan() {
    texts::batch_options how;
    how.rows = settings_.batch;
    how.by_length = false;  // packed texts gain nothing by it, and few batches would be the same ones every epoch
    how.shuffle = true;
    how.seed = settings_.seed;
    how.epoch = planned_ = sampler_.epoch();
    plan_ = texts::plan_batches(lengths_, how);
  }
  void make_room() {
    if (!best_.empty()) return;
    for (const auto* each : weights_.trainable()) best_.emplace_back(shape<2>{each->rows(), each->columns()});
  }
  nn::training_run<T> state(bool judged) {
    if (judged) make_room();
    return {weights_, update_, &tape_, &sampler_, judged ? &stopping_ : nullptr, {&loss_sum_, 1}, best_};
  }

  nn::encoder_config config_;
  training_options settings_;
  const classified_texts& train_;
  std::vector<std::size_t> lengths_;
  std::size_t batches_;
  nn::parameter_set<T>& weights_;
  nn::epoch_sampler sampler_;  ///< over the batches of an epoch's plan
  nn::optimizer<T> update_;
  nn::early_stopping stopping_;
  nn::schedule_options schedule_;
  nn::tape<T> tape_;
  additions<T> joined_;
  std::unique_ptr<nn::encoder_batch> batch_;
  nn::index_input labels_;
  nn::value loss_;
  texts::batch_plan plan_;
  std::size_t planned_ = 0;
  detail::packed_texts packed_;
  double loss_sum_ = 0;
  std::vector<tensor<T>> best_;
};

}  // namespace hocket::peft
