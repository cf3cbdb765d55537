// Layers below the lowest adapter, computed once a text: training with them has the bits of training without, whatever
// batches they were computed in; what does not stand still is refused.
#include <memory>
#include <vector>

#include <hocket/measure/allocations.hpp>
#include <hocket/nn/frozen_bottom.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "peft/small.hpp"

using namespace peft_test;
using nn::classifier_options;
using nn::classifier_pooling;

namespace {

nn::encoder_config four_layers() {
  nn::encoder_config c = small_config();
  c.num_hidden_layers = 4;
  return c;
}
constexpr std::size_t still = 2;
const classifier_options three{classifier_pooling::mean, 3};

/// Texts and which of them a batch takes.
struct corpus {
  explicit corpus(const nn::encoder_config& c) : all(make_texts(c, {5, 20, 1, 7, 13, 20, 2, 9, 16, 4}, 3)) {
    for (std::size_t i = 0, start = 0; i < all.lengths.size(); start += all.lengths[i++]) starts.push_back(start);
  }
  texts_of take(const std::vector<std::uint32_t>& numbers) const {
    texts_of b;
    for (const std::uint32_t n : numbers) {
      b.lengths.push_back(all.lengths[n]);
      b.labels.push_back(all.labels[n]);
      b.ids.insert(b.ids.end(), all.ids.begin() + static_cast<std::ptrdiff_t>(starts[n]),
                   all.ids.begin() + static_cast<std::ptrdiff_t>(starts[n] + all.lengths[n]));
    }
    return b;
  }
  texts_of all;
  std::vector<std::size_t> starts;
};

template <class T>
struct run {
  /// With the bottom elsewhere, or recorded.
  run(const peft::lora& method, nn::precision products, nn::frozen_bottom<T>* bottom, const cpu& device,
      nn::parameter_set<T>& weights)
      : below(bottom), t(device, 7, {}, products), into(t, config, weights) {
    method.join(into);
    batch = std::make_unique<nn::encoder_batch>(t, config, 8, 120, 20, into.first_position());
    labels = t.indices("labels", batch->items(), 3);
    nn::encoder_options how{.dropout = true, .still_layers = still};
    if (below) how.below = below->input(t, *batch);
    input = how.below;
    const auto made = nn::sequence_classifier<T>(config, three, weights).record(t, *batch, how, into.hooks());
    last = made.states.last();
    loss = nn::cross_entropy(t, made.logits, labels);
    t.compile(loss, {last});
    update.add(weights);
  }
  T step(const corpus& texts, const std::vector<std::uint32_t>& numbers) {
    const texts_of b = texts.take(numbers);
    batch->set(t, b.ids, b.lengths);
    t.set(labels, b.labels);
    if (below) below->set(t, input, numbers);
    t.forward();
    t.backward();
    update.step();
    return t.scalar(loss);
  }
  const nn::encoder_config config = four_layers();
  nn::frozen_bottom<T>* below;
  nn::tape<T> t;
  peft::additions<T> into;
  std::unique_ptr<nn::encoder_batch> batch;
  nn::index_input labels;
  nn::value input, last, loss;
  nn::optimizer<T> update;
};

template <class T>
void check_same_bits(nn::precision products) {
  const auto config = four_layers();
  const corpus texts(config);
  const peft::lora method{{.rank = 3, .dropout = 0.2, .targets = "all-linear", .layers = "2,3"}};
  const std::vector<std::vector<std::uint32_t>> epochs = {{0, 1, 2, 3}, {9, 8, 7, 5}, {4, 6, 1}, {5, 1, 0, 9, 3}, {2}};
  const auto weights_of = [&](nn::parameter_set<T>& weights) {
    make_small(weights, config, three);
    peft::attach(method, config, weights, 2);
    disturb(weights, "*lora_B*");
  };
  nn::parameter_set<T> plain, fast, narrow;
  weights_of(plain), weights_of(fast), weights_of(narrow);
  run<T> without(method, products, nullptr, cpu{2}, plain);
  // In batches of one thread and another size.
  nn::frozen_bottom<T> bottom({config, fast}, still, {3, 45, 20}, cpu{1}, products);
  bottom.add(texts.all.ids, texts.all.lengths);
  CHECK(bottom.size() == texts.all.lengths.size());
  CHECK(bottom.bytes() == texts.all.ids.size() * config.hidden_size * sizeof(T));
  run<T> with(method, products, &bottom, cpu{2}, fast);
  // Two calls, and one text at a time.
  nn::frozen_bottom<T> slow({config, narrow}, still, {1, 20, 20}, cpu{2}, products);
  slow.add(std::span(texts.all.ids).first(texts.starts[4]), std::span(texts.all.lengths).first(4));
  slow.add(std::span(texts.all.ids).subspan(texts.starts[4]), std::span(texts.all.lengths).subspan(4));
  for (std::uint32_t n = 0; n < bottom.size(); ++n) {
    const auto a = bottom.states(n), b = slow.states(n);
    CHECK((a.extents() == b.extents() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0));
  }
  for (const auto& numbers : epochs) {
    CHECK(without.step(texts, numbers) == with.step(texts, numbers));
    const auto one = without.t.read(without.last), other = with.t.read(with.last);
    CHECK(std::memcmp(one.data(), other.data(), one.size() * sizeof(T)) == 0);
  }
  CHECK(same_bits(all_values(plain), all_values(fast)));
  CHECK(with.t.operations() + nn::encoder<T>::still_operations(still) == without.t.operations());
  // A longer batch has been seen: setting allocates nothing, neither does the step.
  const std::vector<std::uint32_t> numbers{5, 1, 0};
  const texts_of b = texts.take(numbers);
  CHECK(measure::allocations_of([&] {
          with.batch->set(with.t, b.ids, b.lengths);
          with.t.set(with.labels, b.labels);
          bottom.set(with.t, with.input, numbers);
          with.t.forward();
          with.t.backward();
          with.update.step();
        }) == 0);
}

}  // namespace

TEST_CASE("training over cached activations of the frozen layers has the bits of training without the cache",
          "[peft][frozen_bottom]") {
  check_same_bits<float>(nn::precision::native);
  check_same_bits<float>(nn::precision::bf16);
  check_same_bits<double>(nn::precision::native);
}

TEST_CASE("layers that do not stand still are not cached", "[peft][frozen_bottom]") {
  const auto config = four_layers();
  const nn::batch_limits most{3, 45, 20};
  const auto refused = [&](const auto& method, std::size_t layers, const std::string& part) {
    nn::parameter_set<float> weights;
    make_small(weights, config, three);
    peft::attach(method, config, weights, 2);
    const std::string message = tests::error_of([&] { nn::frozen_bottom<float>({config, weights}, layers, most); });
    INFO(message);
    CHECK(message.find(part) != std::string::npos);
  };
  refused(peft::lora{{.layers = "1,3"}}, still,
          "encoder.layer.1.attention.self.query.lora_A.default.weight is trained");
  refused(peft::full{{.embeddings = false}}, 1, "encoder.layer.0.");
  refused(peft::bitfit{}, still, "is trained; the lowest 2 layers do not stand still");
  refused(peft::prefix{{.rows = 2}}, still, "prompt_encoder.");
  refused(peft::linear_probe{}, 0, "0 of 4 layers");
  refused(peft::linear_probe{}, 5, "5 of 4 layers");

  nn::parameter_set<float> weights;
  make_small(weights, config, three);
  peft::attach(peft::linear_probe{}, config, weights, 2);
  nn::frozen_bottom<float> bottom({config, weights}, 4, most);
  const texts_of b = make_texts(config, {5, 20, 20}, 3);
  bottom.add(b.ids, b.lengths);
  CHECK(tests::kind_of([&] { bottom.states(3); }) == "bad_option");
  const texts_of wide = make_texts(config, {21}, 3);
  CHECK(tests::kind_of([&] { bottom.add(wide.ids, wide.lengths); }) == "unsupported_shape");
  nn::tape<float> t;
  nn::encoder_batch batch(t, config, 3, 45, 20);
  const nn::encoder<float> model(config, weights);
  nn::encoder_hooks<float> hooks;
  hooks.prefix = [](nn::tape<float>&, std::size_t) { return std::pair<nn::value, nn::value>{}; };
  const auto below = bottom.input(t, batch);
  CHECK(tests::kind_of([&] { model.record(t, batch, {.still_layers = 4, .below = below}, hooks); }) == "bad_option");
  CHECK(tests::kind_of([&] { model.record(t, batch, {.still_layers = 5}); }) == "bad_option");
  CHECK(tests::kind_of([&] {
          model.record(t, batch, {.still_layers = 4, .below = t.input("x", batch.tokens(), 3)});
        }) == "unsupported_shape");
  CHECK(model.record(t, batch, {.still_layers = 4, .below = below}).last().index == below.index);
}
