// A classifier of texts as transformers' BertForSequenceClassification: encoder, pooling, dropout, one linear layer.
//
//   logits = drop(pool(hidden)) Wc' + bc,   pool = tanh(W h_first + b) (pooler), mean of the rows, or the first row
//
// It stands in nn, not in peft: a model that is fine-tuned as a whole needs nothing else. Methods take part through the
// hooks of the encoder; the head asks them too, as the module "classifier".
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/core/options.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/nn/encoder.hpp>

namespace hocket::nn {

enum class classifier_pooling { pooler, mean, cls };

}  // namespace hocket::nn

template <>
struct hocket::enum_names<hocket::nn::classifier_pooling> {
  using enum hocket::nn::classifier_pooling;
  static constexpr std::array values = {std::pair{pooler, std::string_view{"pooler"}},
                                        std::pair{mean, std::string_view{"mean"}},
                                        std::pair{cls, std::string_view{"cls"}}};
};

namespace hocket::nn {

struct classifier_options {
  classifier_pooling pooling = classifier_pooling::pooler;
  std::size_t labels = 2;

  template <class Self, class Visit>
  static void fields(Self& self, Visit&& visit) {
    visit("pooling", self.pooling,
          "pooler (as BertForSequenceClassification), mean or cls: how a text becomes one row");
    visit("labels", self.labels, "classes");
  }
};

/// The module whose weight (labels, D) and bias are the head.
inline constexpr std::string_view classifier_head = "classifier";

namespace detail {

template <Real T>
void add_new_head(const encoder_config& config, std::size_t labels, std::uint64_t seed, parameter_set<T>& into) {
  auto& weight = into.add(text(classifier_head, ".weight"), labels, config.hidden_size);
  const philox random(seed, 0x68656164);  // a stream of its own: no other weight draws from it
  for (std::size_t i = 0; i < weight.size(); ++i)
    weight.writable().data()[i] = static_cast<T>(config.initializer_range * random.normal_at(i));
  into.add(text(classifier_head, ".bias"), 1, labels);
}

}  // namespace detail

/// Adds a model's encoder and its head to `into`, the pooler only where `options` pools with it. A file without a head
/// gets a new one: normal with the config's deviation, biases 0, from `seed`. Returns whether the file had a head.
/// Throws bad_file for a head of another size, and where the pooler is wanted and missing.
template <Real T>
bool load_classifier(const encoder_config& config, const classifier_options& options, const io::safetensors_file& file,
                     std::uint64_t seed, parameter_set<T>& into) {
  expects(options.labels >= 1, errc::bad_option, "classifier: ", options.labels, " labels; it needs one or more");
  const bool wants_pooler = options.pooling == classifier_pooling::pooler;
  const bool pooler = load_encoder(config, file, into, wants_pooler);
  expects(pooler || !wants_pooler, errc::bad_file, file.source(),
          ": it has no pooler.dense.weight; pooling=mean and pooling=cls need none");
  const std::string weight = text(classifier_head, ".weight"), bias = text(classifier_head, ".bias");
  if (!file.contains(weight)) {
    detail::add_new_head(config, options.labels, seed, into);
    return false;
  }
  file.require_extents(file.info(weight), shape<2>{options.labels, config.hidden_size});
  file.require_extents(file.info(bias), shape<1>{options.labels});
  const buffer<T> w = file.copy_as<T>(weight), b = file.copy_as<T>(bias);
  std::copy(w.begin(), w.end(), into.add(weight, options.labels, config.hidden_size).writable().data());
  std::copy(b.begin(), b.end(), into.add(bias, 1, options.labels).writable().data());
  return true;
}

/// A new model.
template <Real T>
void make_classifier(const encoder_config& config, const classifier_options& options, std::uint64_t seed,
                     parameter_set<T>& into) {
  make_encoder(config, options.pooling == classifier_pooling::pooler, seed, into);
  detail::add_new_head(config, options.labels, seed, into);
}

struct classifier_values {
  encoder_values states;
  value pooled;  ///< (items, D), before dropout
  value logits;  ///< (items, labels); cross_entropy makes a loss of them
};

/// The operations of a classifier on a tape. Its parameters must outlive the tape.
template <Real T>
class sequence_classifier {
 public:
  sequence_classifier(const encoder_config& config, const classifier_options& options, parameter_set<T>& parameters)
      : encoder_(config, parameters), options_(options) {}

  const encoder_config& config() const { return encoder_.config(); }
  const classifier_options& options() const { return options_; }
  parameter_set<T>& parameters() const { return encoder_.parameters(); }

  classifier_values record(tape<T>& t, const encoder_batch& batch, const encoder_options& how = {},
                           const encoder_hooks<T>& hooks = {}) const {
    classifier_values out;
    out.states = encoder_.record(t, batch, how, hooks);
    const value last = out.states.last();
    switch (options_.pooling) {
      case classifier_pooling::pooler: out.pooled = encoder_.pooler(t, batch, last, hooks); break;
      case classifier_pooling::mean: out.pooled = nn::pooled(t, batch.rows(), last, pool::mean); break;
      case classifier_pooling::cls: out.pooled = nn::pooled(t, batch.rows(), last, pool::first); break;
    }
    const double drop = how.dropout ? config().classifier_dropout.value_or(config().hidden_dropout_prob) : 0;
    const value x = drop > 0 ? dropout(t, out.pooled, drop) : out.pooled;
    out.logits = encoder_.dense(t, {std::string(classifier_head)}, x, {}, hooks);
    return out;
  }

 private:
  encoder<T> encoder_;
  classifier_options options_;
};

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE bool load_classifier<float>(const encoder_config&, const classifier_options&,
                                               const io::safetensors_file&, std::uint64_t, parameter_set<float>&);
HOCKET_NN_INSTANCE bool load_classifier<double>(const encoder_config&, const classifier_options&,
                                                const io::safetensors_file&, std::uint64_t, parameter_set<double>&);
HOCKET_NN_INSTANCE void make_classifier<float>(const encoder_config&, const classifier_options&, std::uint64_t,
                                               parameter_set<float>&);
HOCKET_NN_INSTANCE void make_classifier<double>(const encoder_config&, const classifier_options&, std::uint64_t,
                                                parameter_set<double>&);
HOCKET_NN_INSTANCE class sequence_classifier<float>;
HOCKET_NN_INSTANCE class sequence_classifier<double>;
}  // namespace hocket::nn
#endif
