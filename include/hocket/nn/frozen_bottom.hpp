// The lower layers of an encoder whose weights stand still, run once a text: where adapters are in the layers above
// only, what the bottom gives for a text is the same in every epoch, and need not be computed again.
//
// That holds while the bottom is in evaluation mode. With dropout in it every step would see other activations, so a
// recording that uses the cache, and one that is to be compared with it, says how many layers are still
// (encoder_options::still_layers). Then training with the cache has the bits of training without it: masks above are
// those of the whole recording, and a row's bits do not depend on the batch that it is computed in.
//
// Memory: 4 bytes x D for every token of every text that was added (f64: 8); MiniLM 1.5 KiB a token.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <hocket/core/tensor.hpp>
#include <hocket/nn/encoder.hpp>

namespace hocket::nn {

/// Most texts, tokens and tokens of one text in a batch.
struct batch_limits {
  std::size_t items, tokens, longest;
};

template <Real T>
class frozen_bottom {
 public:
  /// The embedding and the first `layers` layers of a model. Throws bad_option with the name of a parameter among them,
  /// or in one of their layers, that is trained. Products and packs as those of the tape that trains the rest.
  frozen_bottom(const encoder<T>& model, std::size_t layers, const batch_limits& most, const cpu& device = {},
                precision products = precision::native, std::shared_ptr<weight_packs<T>> packs = {})
      : layers_(layers),
        columns_(model.config().hidden_size),
        most_(most),
        t_(device, 0, {}, products, std::move(packs)),
        batch_(t_, model.config(), most.items, most.tokens, most.longest) {
    expects(layers >= 1 && layers <= model.config().num_hidden_layers, errc::bad_option, "frozen_bottom: ", layers,
            " of ", model.config().num_hidden_layers, " layers");
    for (const auto& p : model.parameters()) {
      bool inside = matches("embeddings.*", p.name()) || matches("prompt_encoder.*", p.name());
      for (std::size_t i = 0; i < layers; ++i) inside = inside || matches(text("encoder.layer.", i, ".*"), p.name());
      expects(!inside || !p.trainable(), errc::bad_option, "frozen_bottom: ", p.name(), " is trained; the lowest ",
              layers, " layers do not stand still");
    }
    out_ = model.record_still(t_, batch_, layers);
    t_.compile_forward({out_});
    t_.training(false);
    starts_.push_back(0);
  }

  /// Runs texts, packed as for encoder_batch::set, in batches of their order; they get the next numbers from size() on.
  void add(std::span<const std::uint32_t> ids, std::span<const std::uint32_t> lengths,
           std::span<const std::uint32_t> types = {}) {
    std::size_t first = 0, token = 0;
    while (first < lengths.size()) {
      std::size_t count = 0, tokens = 0;
      while (first + count < lengths.size() && count < most_.items && tokens + lengths[first + count] <= most_.tokens)
        tokens += lengths[first + count++];
      expects(count > 0, errc::unsupported_shape, "frozen_bottom: text ", first, " has ", lengths[first],
              " tokens; batches of at most ", most_.tokens, " were asked for");
      batch_.set(t_, ids.subspan(token, tokens), lengths.subspan(first, count),
                 types.empty() ? types : types.subspan(token, tokens));
      t_.forward();
      const auto states = t_.read(out_);
      states_.insert(states_.end(), states.data(), states.data() + states.size());
      for (std::size_t i = 0; i < count; ++i) starts_.push_back(starts_.back() + lengths[first + i]);
      first += count;
      token += tokens;
    }
  }

  /// How many texts there are.
  std::size_t size() const { return starts_.size() - 1; }
  std::size_t layers() const { return layers_; }
  /// (tokens, D) of one text.
  view<const T, 2> states(std::size_t number) const {
    expects(number < size(), errc::bad_option, "frozen_bottom: text ", number, " of ", size());
    return {states_.data() + starts_[number] * columns_, {starts_[number + 1] - starts_[number], columns_}};
  }
  /// Of all texts.
  std::size_t bytes() const { return states_.size() * sizeof(T); }

  /// On the tape that trains: the input that takes the bottom's place, encoder_options::below.
  value input(tape<T>& t, const encoder_batch& batch) const { return t.input("below", batch.tokens(), columns_); }
  /// Sets it for texts by number, in the order of the batch. Allocates once for the largest batch.
  void set(tape<T>& t, value below, std::span<const std::uint32_t> numbers) {
    gathered_.clear();
    gathered_.reserve(most_.tokens * columns_);
    for (const std::uint32_t number : numbers) {
      const auto each = states(number);
      gathered_.insert(gathered_.end(), each.data(), each.data() + each.size());
    }
    t.set(below, {gathered_.data(), {gathered_.size() / columns_, columns_}});
  }

 private:
  std::size_t layers_, columns_;
  batch_limits most_;
  tape<T> t_;
  encoder_batch batch_;
  value out_;
  std::vector<T> states_, gathered_;
  std::vector<std::size_t> starts_;  ///< of every text, in tokens
};

}  // namespace hocket::nn
