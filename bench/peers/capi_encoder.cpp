// An encoder of a model folder: embeddings of token ids, or training steps of a classifier on it.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/models.hpp>

#include "capi.hpp"

namespace {

using namespace hocket;

nn::precision precision_of(std::string_view name) {
  if (name == "bf16") return nn::precision::bf16;
  if (name == "int8") return nn::precision::int8;
  expects(name == "f32", errc::not_built, "products in ", name, " are not built");
  return nn::precision::native;
}

std::vector<std::uint32_t> numbers(const float* from, std::size_t count) {
  std::vector<std::uint32_t> out(count);
  std::transform(from, from + count, out.begin(), [](float x) { return static_cast<std::uint32_t>(x); });
  return out;
}

/// Input: the lengths of all texts, then the ids of all, one text after the other (whole numbers as f32). Output: mean
/// of the tokens, length 1 (items, D). The first run takes the input over.
class embedding final : public capi::runnable {
 public:
  embedding(const char* folder, std::string_view precision, std::size_t items, std::size_t tokens, std::size_t longest,
            int threads)
      : folder_(nn::read_model_folder(folder)),
        file_(folder_.weights),
        tape_(cpu{threads}, 0, {}, precision_of(precision)),
        batch_(tape_, folder_.config, items, tokens, longest),
        tokens_(tokens) {
    nn::load_encoder<float>(folder_.config, file_, parameters_, false);
    parameters_.train_only({});
    const nn::encoder<float> model(folder_.config, parameters_);
    const nn::value last = model.record(tape_, batch_, {.dropout = false}).last();
    out_ = model.embed(tape_, batch_, last, nn::encoder_pooling::mean, true);
    tape_.compile_forward({out_});
    rows = items;
    columns = folder_.config.hidden_size;
  }
  void run(const float* input, float* output) override {
    if (ids_.empty()) {
      lengths_ = numbers(input, rows);
      ids_ = numbers(input + rows, tokens_);
    }
    batch_.set(tape_, ids_, lengths_);
    tape_.forward();
    const auto made = tape_.read(out_);
    std::copy_n(made.data(), made.size(), output);
  }

 private:
  nn::model_folder folder_;
  io::safetensors_file file_;
  nn::parameter_set<float> parameters_;
  nn::tape<float> tape_;
  nn::encoder_batch batch_;
  std::size_t tokens_;
  nn::value out_;
  std::vector<std::uint32_t> ids_, lengths_;
};

/// Three classes on the pooler. Methods: lora (rank 8, query and value), full, and frozen: the floor of every method
/// that leaves the model as it is, a gradient down to the norm of the embeddings and nothing else but the head.
/// Input: ids (items, length), a label for each item, the head's weight (3, D) and bias (3). The first run takes the
/// input over and gives the loss without dropout; every later one is a training step (forward, backward, AdamW) and
/// gives its loss.
class training final : public capi::runnable {
 public:
  training(const char* folder, std::string_view method, std::string_view precision, bool dropout, std::size_t items,
           std::size_t length, int threads)
      : folder_(nn::read_model_folder(folder)),
        file_(folder_.weights),
        tape_(cpu{threads}, 7, {}, precision_of(precision)),
        items_(items),
        length_(length),
        optimizer_(options_of(), cpu{threads}) {
    nn::encoder_config config = folder_.config;
    if (!dropout) config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0;
    nn::classifier_options head;
    head.labels = 3;
    nn::load_classifier<float>(config, head, file_, 1, weights_);
    batch_.emplace(tape_, config, items, items * length, length);
    peft::additions<float> added(tape_, config, weights_);
    if (method == "lora") {
      peft::lora_options options;
      options.rank = 8;
      options.alpha = 16;
      options.dropout = dropout ? 0.1 : 0;
      lora_.emplace(options);
      peft::attach(*lora_, config, weights_, 1);
      lora_->join(added);
    } else if (method == "frozen") {
      weights_.train_only({"embeddings.LayerNorm.*", text(nn::classifier_head, ".*")});
    } else {
      expects(method == "full", errc::not_built, "training by ", method, " is not built; lora, full and frozen are");
      peft::attach(peft::full{}, config, weights_, 1);
    }
    labels_ = tape_.indices("labels", batch_->items(), 3);
    const nn::sequence_classifier<float> model(config, head, weights_);
    loss_ = nn::cross_entropy(tape_, model.record(tape_, *batch_, {.dropout = dropout}, added.hooks()).logits, labels_);
    tape_.compile(loss_);
    optimizer_.add(weights_);
    rows = columns = 1;
  }
  void run(const float* input, float* output) override {
    const bool first = ids_.empty();
    if (first) {
      ids_ = numbers(input, items_ * length_);
      answers_ = numbers(input + ids_.size(), items_);
      lengths_.assign(items_, static_cast<std::uint32_t>(length_));
      const float* head = input + ids_.size() + items_;
      const std::string module =  // LoRA trains a copy of the model's head
          lora_ ? peft::head_module(lora_->adapter) : std::string(nn::classifier_head);
      auto& weight = weights_.at(module + ".weight");
      std::copy_n(head, weight.size(), weight.writable().data());
      std::copy_n(head + weight.size(), 3, weights_.at(module + ".bias").writable().data());
    }
    batch_->set(tape_, ids_, lengths_);
    tape_.set(labels_, answers_);
    tape_.training(!first);
    tape_.forward();
    if (!first) {
      tape_.backward();
      optimizer_.step();
    }
    *output = tape_.scalar(loss_);
  }

 private:
  static nn::optimizer_options options_of() {
    nn::optimizer_options options;
    options.rate = 1e-4;
    return options;
  }

  nn::model_folder folder_;
  io::safetensors_file file_;
  nn::parameter_set<float> weights_;
  nn::tape<float> tape_;
  std::optional<nn::encoder_batch> batch_;
  std::size_t items_, length_;
  std::optional<peft::lora> lora_;
  nn::optimizer<float> optimizer_;
  nn::index_input labels_;
  nn::value loss_;
  std::vector<std::uint32_t> ids_, lengths_, answers_;
};

}  // namespace

HOCKET_CAPI void* hocket_embedding(const char* folder, const char* precision, std::size_t items, std::size_t tokens,
                                   std::size_t longest, int threads) {
  return capi::guarded([&]() -> std::unique_ptr<capi::runnable> {
    return std::make_unique<embedding>(folder, precision, items, tokens, longest, threads);
  });
}

HOCKET_CAPI void* hocket_training(const char* folder, const char* method, const char* precision, int dropout,
                                  std::size_t items, std::size_t length, int threads) {
  return capi::guarded([&]() -> std::unique_ptr<capi::runnable> {
    return std::make_unique<training>(folder, method, precision, dropout != 0, items, length, threads);
  });
}
