// LoRA: what is targeted, how it starts, merging to and fro, several adapters in one batch.
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <hocket/measure/allocations.hpp>
#include <hocket/peft/merge.hpp>
#include <hocket/peft/mixed.hpp>

#include "catch.hpp"
#include "error_kind.hpp"
#include "io/temporary.hpp"
#include "peft/small.hpp"

using namespace peft_test;
using nn::classifier_options;
using nn::classifier_pooling;

namespace {

const classifier_options three{classifier_pooling::pooler, 3};
const auto nothing = [](auto&) {};

std::set<std::string> modules(const peft::lora_options& o, bool pooler = true) {
  std::set<std::string> names;
  for (const auto& target : peft::lora_targets(small_config(), pooler, o)) names.insert(target.module);
  return names;
}
const std::string at(std::size_t layer) { return text("encoder.layer.", layer, "."); }

/// A model with adapters "one" and "two" whose B is not zero, and heads of their own.
template <class T>
struct two_adapters {
  two_adapters() {
    make_small(weights, config, three);
    for (const auto& each : {one, two}) each.add_to(config, weights, 2);
    disturb(weights, "*lora_B*");
    disturb(weights, "*modules_to_save*");
    train(false);
  }
  void train(bool yes) {
    for (auto& p : weights)
      p.train(yes && (p.name().find(".one.") != std::string::npos || p.name().find(".two.") != std::string::npos));
  }
  const nn::encoder_config config = small_config();
  const peft::lora one{{.rank = 3, .alpha = 6, .targets = "query,value,dense"}, "one"},
      two{{.rank = 2, .rslora = true, .targets = "all-linear", .layers = "1"}, "two"};
  nn::parameter_set<T> weights;
};

template <class T>
std::vector<T> rows_of(const std::vector<T>& m, std::size_t columns, const std::vector<std::size_t>& rows) {
  std::vector<T> out;
  for (const std::size_t r : rows)
    out.insert(out.end(), m.begin() + static_cast<std::ptrdiff_t>(r * columns),
               m.begin() + static_cast<std::ptrdiff_t>((r + 1) * columns));
  return out;
}

}  // namespace

TEST_CASE("targets are ends of module names, as peft matches them", "[peft][lora]") {
  using names = std::set<std::string>;
  const names qv{at(0) + "attention.self.query", at(0) + "attention.self.value", at(1) + "attention.self.query",
                 at(1) + "attention.self.value"};
  CHECK(modules({}) == qv);
  CHECK(modules({.targets = "self.value,query"}) == qv);
  CHECK(modules({.targets = "output.dense", .layers = "1"}) ==
        names{at(1) + "attention.output.dense", at(1) + "output.dense"});
  CHECK(modules({.targets = "*.1.*.dense"}) ==
        names{at(1) + "attention.output.dense", at(1) + "intermediate.dense", at(1) + "output.dense"});
  CHECK(modules({.targets = "bert.encoder.layer.0.output.dense"}) == names{at(0) + "output.dense"});
  CHECK(modules({.targets = "all-linear"}).size() == 13);
  CHECK(modules({.targets = "all-linear"}, false).size() == 12);
  CHECK(modules({.targets = "all-linear", .exclude = "dense", .layers = "0"}) ==
        names{at(0) + "attention.self.query", at(0) + "attention.self.key", at(0) + "attention.self.value"});
  CHECK(modules({.targets = "dense", .layers = "0,1"}).count("pooler.dense") == 0);  // it is in no layer
  const auto refused = [](const peft::lora_options& o, const std::string& part) {
    const std::string message = tests::error_of([&] { modules(o); });
    INFO(message);
    CHECK(tests::starts(message, "bad_option"));
    CHECK(message.find(part) != std::string::npos);
  };
  refused({.targets = "query,velue"}, "'velue' is the end of no module's name");
  refused({.targets = "ery"}, "'ery'");
  refused({.targets = "query,"}, "empty");
  refused({.targets = ""}, "leave no module");
  refused({.targets = "query", .exclude = "self.query"}, "leave no module");
  refused({.layers = "2"}, "layers 0 to 1");
  refused({.layers = "x"}, "no number");
  refused({.rank = 0}, "rank");
  refused({.alpha = NAN}, "finite");
  refused({.rank_pattern = "query"}, "end-of-name:number");
  refused({.exclude = "layer.2.attention.self.query"}, "exclude=layer.2");
  refused({.rank_pattern = "query:2,qeury:3"}, "'qeury' is the end of no module's name");
  refused({.alpha_pattern = "velue:2"}, "'velue'");
  const auto targets = peft::lora_targets(
      small_config(), false,
      {.rank = 4, .alpha = 6, .rank_pattern = "layer.0.attention.self.query:2,query:9", .alpha_pattern = "value:1.5"});
  std::vector<double> scales;
  for (const auto& target : targets) scales.push_back(target.scale);
  CHECK(scales == std::vector<double>{6.0 / 2, 1.5 / 4, 6.0 / 9, 1.5 / 4});
  CHECK(peft::lora_targets(small_config(), false, {.rank = 4, .alpha = 6, .rslora = true})[0].scale == 3.0);
}

TEST_CASE("A starts as peft's, B at zero, another seed gives another A", "[peft][lora]") {
  nn::encoder_config config = small_config();
  config.hidden_size = 300;
  for (const auto init : {peft::lora_init::kaiming, peft::lora_init::gaussian}) {
    nn::parameter_set<double> weights, again, other;
    const peft::lora method{{.rank = 50, .init = init}};
    for (auto* set : {&weights, &again, &other}) {
      nn::make_encoder(config, false, 1, *set);
      method.add_to(config, *set, set == &other ? 8 : 7);
    }
    const std::string name = at(1) + "attention.self.query";
    const auto& a = weights.at(method.a_of(name));
    CHECK(a.rows() == 50);
    CHECK(a.columns() == 300);
    CHECK(max_abs(weights.at(method.b_of(name)).value().data(), 50 * 300) == 0);
    double square = 0;
    for (std::size_t i = 0; i < a.size(); ++i) square += a.value().data()[i] * a.value().data()[i];
    const double n = static_cast<double>(a.size()), bound = 1 / std::sqrt(300.0), deviation = 1 / 50.0;
    const double variance = init == peft::lora_init::kaiming ? bound * bound / 3 : deviation * deviation;
    const double fourth = init == peft::lora_init::kaiming ? 9.0 / 5 : 3;  // moment over variance squared
    CHECK(std::abs(square / n - variance) < 5 * variance * std::sqrt((fourth - 1) / n));  // five standard deviations
    if (init == peft::lora_init::kaiming) CHECK(max_abs(a.value().data(), a.size()) <= bound);
    const auto bits = [&](nn::parameter_set<double>& set, const std::string& module) {
      const auto v = set.at(method.a_of(module)).value();
      return std::vector<double>(v.data(), v.data() + v.size());
    };
    CHECK(same_bits(bits(weights, name), bits(again, name)));
    CHECK(!same_bits(bits(weights, name), bits(other, name)));
    CHECK(!same_bits(bits(weights, name), bits(weights, at(0) + "attention.self.query")));
  }
}

TEST_CASE("merged weights give the adapter's logits, and unmerging gives back the bits, a thousand times",
          "[peft][lora]") {
  const texts_of b = make_texts(small_config(), {5, 20, 1, 7}, 3);
  two_adapters<double> exact;
  two_adapters<float> single;
  const auto logits = [&](auto& world, bool merged) {
    using T = std::decay_t<decltype(world.weights.begin()->value()(0, 0))>;
    peft::merged_lora<T> terms(world.one, world.config, world.weights, cpu{2});
    if (!merged) terms.unmerge();
    recorded<T> model(world.config, three, world.weights, [&](auto& into) {
      if (merged)
        peft::join_head("one", into);
      else
        world.one.join(into);
    });
    model.forward(b);
    terms.unmerge();
    CHECK(!terms.merged());
    return model.read(model.logits);
  };
  const auto reference = logits(exact, false), merged = logits(exact, true);
  const auto active32 = logits(single, false), merged32 = logits(single, true);
  const double most = max_abs(reference.data(), reference.size());
  CHECK(max_abs_difference(reference.data(), merged.data(), merged.size()) < rounding<float>(most));
  // both orders of summing are off by about as much
  CHECK(compare(merged32.data(), reference.data(), reference.size(),
                peer_bound<float>(max_abs_difference(active32.data(), reference.data(), reference.size()), most)));

  const auto before = all_values(single.weights);
  const auto at_first = [&] {
    peft::merged_lora<float> terms(single.one, single.config, single.weights);
    const auto values = all_values(single.weights);
    terms.unmerge();
    return values;
  }();
  CHECK(!same_bits(before, at_first));
  for (int cycle = 0; cycle < 1000; ++cycle) {
    peft::merged_lora<float> terms(single.one, single.config, single.weights);
    if (cycle == 999) CHECK(same_bits(all_values(single.weights), at_first));
    terms.unmerge();
  }
  CHECK(same_bits(all_values(single.weights), before));
}

TEST_CASE("a live tape sees weights that are merged and unmerged", "[peft][lora]") {
  const texts_of b = make_texts(small_config(), {5, 20, 1, 7}, 3);
  two_adapters<float> world;
  recorded<float> live(world.config, three, world.weights, nothing);
  const float base = live.forward(b);
  peft::merged_lora<float> terms(world.one, world.config, world.weights);
  const float merged = live.forward(b);
  CHECK(merged != base);
  recorded<float> anew(world.config, three, world.weights, nothing);
  CHECK(anew.forward(b) == merged);
  terms.unmerge();
  CHECK(live.forward(b) == base);
}

TEST_CASE("a merged model is written by transformers' names, and reads as the model with its adapters",
          "[peft][lora]") {
  two_adapters<double> world;
  const tests::temporary_folder out;
  const auto before = all_values(world.weights);
  const texts_of b = make_texts(world.config, {5, 20, 1, 7}, 3);
  const peft::combined both(world.one, world.two);  // the second one's head
  recorded<double> active(world.config, three, world.weights, [&](auto& into) { both.join(into); });
  active.forward(b);
  peft::write_merged(out / "model", both, world.config, world.weights);
  CHECK(same_bits(all_values(world.weights), before));
  const io::safetensors_file file(out / "model");
  CHECK(file.info("bert.embeddings.LayerNorm.weight").rank() == 1);
  CHECK(file.tensors().size() == nn::encoder_sizes(world.config, true).size() + 2);
  nn::parameter_set<double> read;
  REQUIRE(nn::load_classifier<double>(world.config, three, file, 1, read));
  recorded<double> merged(world.config, three, read, nothing);
  merged.forward(b);
  const auto a = active.read(active.logits), m = merged.read(merged.logits);
  CHECK(max_abs_difference(a.data(), m.data(), a.size()) < rounding<float>(max_abs(a.data(), a.size())));

  nn::parameter_set<double> plain;  // no head: BertModel's names
  nn::make_encoder(world.config, false, 1, plain);
  peft::lora{}.add_to(world.config, plain, 1);
  peft::write_merged(out / "encoder", peft::combined(peft::lora{}), world.config, plain);
  CHECK(io::safetensors_file(out / "encoder").contains("encoder.layer.1.output.dense.weight"));
  const auto values = all_values(world.weights);
  CHECK(tests::error_of([&] {
          peft::write_merged(out / "x", peft::combined(world.one, peft::prefix{}), world.config, world.weights);
        }).find("a prefix cannot be merged") != std::string::npos);
  CHECK(tests::kind_of([&] { peft::write_merged(out / "no/x", both, world.config, world.weights); }) == "bad_file");
  CHECK(same_bits(all_values(world.weights), values));
}

TEST_CASE("merging leaves a mapped file's views alone", "[peft][lora]") {
  nn::parameter_set<float> source, weights;
  make_small(source, small_config(), three);
  for (auto& p : source) weights.add(p.name(), p.value());  // as load_encoder does
  const peft::lora method;
  peft::attach(method, small_config(), weights, 2);
  disturb(weights, "*lora_B*");
  const auto before = all_values(source);
  peft::merged_lora<float> terms(method, small_config(), weights);
  CHECK(same_bits(all_values(source), before));
  terms.unmerge();
  auto after = all_values(weights);
  after.resize(before.size());
  CHECK(same_bits(after, before));
}

TEMPLATE_TEST_CASE("each item of a mixed batch has its adapter's logits, items of none the base's bits", "[peft][lora]",
                   float, double) {
  using T = TestType;
  two_adapters<T> world;
  two_adapters<double> exact;
  const std::vector<std::uint32_t> of_items{2, 0, 1, 1, 0, 2, 1};
  const texts_of b = make_texts(world.config, {5, 20, 1, 7, 13, 4, 9}, 3);
  const auto alone = [&](auto& from, const auto& join) {
    using U = std::decay_t<decltype(from.weights.begin()->value()(0, 0))>;
    recorded<U> model(from.config, three, from.weights, join);
    model.forward(b);
    return std::pair{model.read(model.logits), model.read(model.states.last())};
  };
  std::vector<T> first;
  for (const int threads : {1, 2, 3}) {
    nn::tape<T> t{cpu{threads}};
    peft::additions<T> into(t, world.config, world.weights);
    nn::encoder_batch batch(t, world.config, 8, 120, 20);
    const auto numbers = t.indices("adapters", batch.items(), 3);
    peft::join_mixed(into, numbers, batch.rows(), world.one, world.two);
    const auto values = nn::sequence_classifier<T>(world.config, three, world.weights)
                            .record(t, batch, {.dropout = false}, into.hooks());
    t.compile_forward({values.logits, values.states.last()});
    batch.set(t, b.ids, b.lengths);
    t.set(numbers, of_items);
    t.forward();
    CHECK(measure::allocations_of([&] {
            batch.set(t, b.ids, b.lengths);
            t.set(numbers, of_items);
            t.forward();
          }) == 0);
    const auto read = t.read(values.logits), hidden = t.read(values.states.last());
    const std::vector<T> logits(read.data(), read.data() + read.size()),
        states(hidden.data(), hidden.data() + hidden.size());
    if (threads == 1) first = logits;
    CHECK(same_bits(first, logits));

    const auto base = alone(world, nothing);
    std::size_t row = 0;
    for (std::size_t i = 0; i < of_items.size(); row += b.lengths[i++]) {
      if (of_items[i] != 0) continue;
      CHECK(std::memcmp(&states[row * 36], &base.second[row * 36], b.lengths[i] * 36 * sizeof(T)) == 0);
    }
    // All items together: of a handful of numbers the error of those alone is a matter of luck.
    double peer_error = 0, most = 0;
    std::vector<T> ours;
    std::vector<double> exactly;
    for (const std::uint32_t number : {0U, 1U, 2U}) {
      const auto join = [&](auto& from) {
        return [&, number](auto& each) {
          if (number == 1) from.one.join(each);
          if (number == 2) from.two.join(each);
        };
      };
      const auto own = alone(world, join(world)).first;
      const auto reference = alone(exact, join(exact)).first;
      std::vector<std::size_t> items;
      for (std::size_t i = 0; i < of_items.size(); ++i)
        if (of_items[i] == number) items.push_back(i);
      const auto mixed = rows_of(logits, 3, items), peer = rows_of(own, 3, items);
      const auto wanted = rows_of(reference, 3, items);
      ours.insert(ours.end(), mixed.begin(), mixed.end());
      exactly.insert(exactly.end(), wanted.begin(), wanted.end());
      peer_error = std::max(peer_error, max_abs_difference(peer.data(), wanted.data(), wanted.size()));
      most = std::max(most, max_abs(wanted.data(), wanted.size()));
    }
    const comparison result = compare(ours.data(), exactly.data(), exactly.size(), peer_bound<float>(peer_error, most));
    INFO(result.message());
    CHECK(result);
  }
}

TEST_CASE("adapters train in one batch as they would alone", "[peft][lora]") {
  two_adapters<double> world;
  world.train(true);
  const std::vector<std::uint32_t> of_items{2, 0, 1, 1, 0, 2, 1}, lengths{5, 20, 1, 7, 13, 4, 9};
  const texts_of b = make_texts(world.config, lengths, 3);
  const double smoothing = 0.1;  // as recorded
  nn::tape<double> t(cpu{2});
  peft::additions<double> into(t, world.config, world.weights);
  nn::encoder_batch batch(t, world.config, 8, 120, 20);
  const auto numbers = t.indices("adapters", batch.items(), 3);
  peft::join_mixed(into, numbers, batch.rows(), world.one, world.two);
  const auto values = nn::sequence_classifier<double>(world.config, three, world.weights)
                          .record(t, batch, {.dropout = false}, into.hooks());
  const auto targets = t.input("targets", batch.items(), 3);
  const auto loss = nn::cross_entropy(t, values.logits, targets);
  t.compile(loss);
  tensor<double> rows({of_items.size(), 3});
  peft::balanced_targets<double>(b.labels, of_items, smoothing, rows.as_view());
  batch.set(t, b.ids, b.lengths);
  t.set(numbers, of_items);
  t.set(targets, rows.as_view());
  clear_gradients(world.weights);
  t.forward();
  t.backward();
  std::vector<std::vector<double>> together;
  for (auto& p : world.weights)
    together.emplace_back(p.trainable() ? std::vector<double>(p.gradient().data(), p.gradient().data() + p.size())
                                        : std::vector<double>{});
  double sum = 0;
  for (const std::uint32_t number : {1U, 2U}) {
    texts_of own;
    std::size_t at_id = 0;
    for (std::size_t i = 0; i < of_items.size(); at_id += lengths[i++]) {
      if (of_items[i] != number) continue;
      own.lengths.push_back(lengths[i]);
      own.labels.push_back(b.labels[i]);
      own.ids.insert(own.ids.end(), b.ids.begin() + static_cast<std::ptrdiff_t>(at_id),
                     b.ids.begin() + static_cast<std::ptrdiff_t>(at_id + lengths[i]));
    }
    recorded<double> alone(world.config, three, world.weights,
                           [&](auto& each) { number == 1 ? world.one.join(each) : world.two.join(each); });
    clear_gradients(world.weights);
    sum += alone.forward(own);
    alone.t.backward();
    std::size_t index = 0, compared = 0;
    for (auto& p : world.weights) {
      const auto& mixed = together[index++];
      if (!p.trainable() || p.name().find(number == 1 ? ".one." : ".two.") == std::string::npos) continue;
      const double largest = max_abs(p.gradient().data(), p.size());
      INFO(p.name());
      CHECK(largest > 0);
      CHECK(max_abs_difference(p.gradient().data(), mixed.data(), p.size()) < rounding<float>(largest));
      ++compared;
    }
    CHECK(compared > 6);
  }
  CHECK(std::abs(sum - t.scalar(loss)) < rounding<float>(sum));
}

TEST_CASE("what a mixed batch cannot do is named", "[peft][lora]") {
  two_adapters<float> world;
  nn::tape<float> t;
  nn::encoder_batch batch(t, world.config, 8, 120, 20);
  const auto numbers = t.indices("adapters", batch.items(), 2);
  const auto refused = [](const std::string& start, const std::string& part, auto&& body) {
    const std::string message = tests::error_of(body);
    INFO(message);
    CHECK(tests::starts(message, start));
    CHECK(message.find(part) != std::string::npos);
  };
  refused("bad_option", "number 2", [&] {
    peft::additions<float> into(t, world.config, world.weights);
    peft::join_mixed(into, numbers, batch.rows(), world.one, world.two);
  });
  refused("bad_option", "a mixed batch has low-rank adapters only", [&] {
    peft::additions<float> into(t, world.config, world.weights);
    const peft::prefix prefix;
    prefix.add_to(world.config, world.weights, 1);
    peft::join_mixed(into, numbers, batch.rows(), prefix);
  });
  refused("bad_option", "joined for all items", [&] {
    peft::additions<float> into(t, world.config, world.weights);
    world.one.join(into);
    into.mix(numbers, batch.rows());
  });
  refused("bad_option", "two parameters are called", [&] { world.one.add_to(world.config, world.weights, 1); });
  refused("bad_value", "label 3", [&] {
    tensor<float> rows({1, 3});
    peft::balanced_targets<float>(std::vector<std::uint32_t>{3}, std::vector<std::uint32_t>{1}, 0, rows.as_view());
  });
  refused("unsupported_shape", "2 labels", [&] {
    tensor<float> rows({1, 3});
    peft::balanced_targets<float>(std::vector<std::uint32_t>{1, 1}, std::vector<std::uint32_t>{1}, 0, rows.as_view());
  });
}
