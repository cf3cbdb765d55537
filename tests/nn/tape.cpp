// The tape itself: misuse has names, the memory plan is sound and small, replays allocate nothing, gradients add up,
// and ragged batches of one recording equal recordings made for them.
#include <cstring>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/measure/allocations.hpp>
#include <hocket/nn/encoder.hpp>
#include <hocket/nn/memory_plan.hpp>
#include <hocket/nn/ops/losses.hpp>
#include <hocket/nn/optimizer.hpp>

#include "catch.hpp"
#include "nn/encoder_oracle.hpp"

using namespace encoder_test;

namespace {

/// Whether body() throws a hocket::error of this kind whose message contains `part`.
template <class Body>
void check_throws(errc kind, const std::string& part, Body&& body) {
  try {
    body();
  } catch (const error& e) {
    INFO(e.what());
    CHECK(e.kind() == kind);
    CHECK(std::string(e.what()).find(part) != std::string::npos);
    return;
  }
  FAIL("no error; expected: " << part);
}

template <class T>
struct tiny {
  tiny()
      : config(nn::read_encoder_config(folder / "tiny_config.json")), expected(folder / "tiny_expected.safetensors") {
    const io::safetensors_file file(folder / "tiny.safetensors");
    nn::load_encoder<T>(config, file, parameters);
    load_head<T>(file, config.hidden_size, parameters);
    parameters.train_only({"*"});  // their own memory: the file may go
  }
  nn::encoder_config config;
  io::safetensors_file expected;
  nn::parameter_set<T> parameters;
};

template <class T>
std::vector<T> gradients_of(nn::parameter_set<T>& parameters) {
  std::vector<T> all;
  for (auto& p : parameters)
    if (p.trainable()) all.insert(all.end(), p.gradient().data(), p.gradient().data() + p.size());
  return all;
}
template <class T>
void clear(nn::parameter_set<T>& parameters) {
  for (auto& p : parameters)
    if (p.trainable()) std::fill_n(p.gradient().data(), p.size(), T{0});
}
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace

TEST_CASE("misuse of a tape has a name and says what to do", "[tape]") {
  nn::parameter_set<float> parameters;
  auto& w = parameters.add("w", 3, 4);
  nn::tape<float> t, other;
  const auto rows = t.dimension_of("rows", 8);
  const nn::value x = t.input("x", rows, 4), strange = other.input("x", 2, 4);
  const nn::value weight = t.parameter(w);
  CHECK(t.parameter(w).index == weight.index);
  check_throws(errc::unsupported_shape, "w of 3 x 4",
               [&] { nn::linear(t, nn::slice_columns(t, x, 0, 3), {{weight}}); });
  check_throws(errc::unsupported_shape, "x of rows x 4", [&] { nn::add(t, x, weight); });
  check_throws(errc::bad_option, "belongs to tape", [&] { nn::add(t, x, strange); });
  check_throws(errc::bad_option, "belongs to tape", [&] { nn::add(t, strange, x); });
  check_throws(errc::bad_option, "not compiled", [&] { t.forward(); });
  check_throws(errc::unsupported_shape, "a loss is one number", [&] { t.compile(x); });
  check_throws(errc::bad_option, "trainable", [&] { t.compile(nn::sum(t, x)); });
  check_throws(errc::bad_option, "dropout of 1", [&] { nn::dropout(t, x, 1.0); });
  check_throws(errc::not_built, "cpu", [] { nn::tape<float>{cuda{}}; });
  const nn::value y = nn::linear(t, x, {{weight}}), hidden = nn::scaled(t, y, 2.0F);
  const nn::value loss = nn::sum(t, nn::multiply(t, hidden, hidden));
  t.compile(loss, {y});
  check_throws(errc::bad_option, "is compiled", [&] { nn::add(t, x, x); });
  check_throws(errc::unsupported_shape, "never set", [&] { t.forward(); });
  const std::vector<float> data(32, 1.0F);
  check_throws(errc::unsupported_shape, "at most 8", [&] { t.set(rows, 9); });
  t.set(rows, 2);
  check_throws(errc::unsupported_shape, "2 x 4, the data is 3 x 4", [&] { t.set(x, {data.data(), {3, 4}}); });
  t.set(x, {data.data(), {2, 4}});
  check_throws(errc::bad_option, "no forward pass", [&] { t.backward(); });
  check_throws(errc::bad_option, "no forward pass", [&] { t.read(loss); });
  t.forward();
  CHECK(t.read(y).extents() == shape<2>{2, 3});
  check_throws(errc::bad_option, "shares its memory", [&] { t.read(hidden); });
  check_throws(errc::unsupported_shape, "not one number", [&] { t.scalar(y); });
  t.backward();
  check_throws(errc::bad_option, "backward twice", [&] { t.backward(); });
  t.training(false);
  t.forward();
  check_throws(errc::bad_option, "training(false)", [&] { t.backward(); });
  t.training(true);
  t.set(rows, 3);
  check_throws(errc::unsupported_shape, "another size", [&] { t.forward(); });
  t.set(x, {data.data(), {3, 4}});
  w.train(false);
  check_throws(errc::bad_option, "was trainable when", [&] { t.forward(); });
  check_throws(errc::bad_option, "frozen", [&] { w.gradient(); });

  nn::tape<float> indexed;
  const auto ids = indexed.indices("ids", 2, 5);
  check_throws(errc::bad_value, "ids[1] is 5", [&] { indexed.set(ids, std::vector<std::uint32_t>{4, 5}); });
  check_throws(errc::unsupported_shape, "not 1", [&] { indexed.set(ids, std::vector<std::uint32_t>{4}); });
  const auto table = indexed.parameter(parameters.add("table", 4, 3));
  check_throws(errc::unsupported_shape, "read past", [&] { nn::embedding(indexed, {{table, ids}}); });
  const auto batch = indexed.sequences_of(indexed.dimension_of("items", 2), indexed.dimension_of("tokens", 9), 4);
  check_throws(errc::unsupported_shape, "item 1 has 5 rows", [&] {
    indexed.set(batch, std::vector<std::uint32_t>{4, 5});
  });
  check_throws(errc::bad_option, "two parameters are called w", [&] { parameters.add("w", 1, 1); });
  check_throws(errc::bad_option, "no parameter matches", [&] { parameters.train_only({"v*"}); });
}

TEST_CASE("a memory plan never overlaps what is alive together, and comes near the bound", "[tape]") {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    philox random(seed);
    std::vector<nn::planned_buffer> buffers(1 + random.next_below(60));
    for (auto& each : buffers) {
      each.bytes = random.next_below(5000);
      for (std::size_t n = 1 + random.next_below(2); n > 0; --n) {
        const std::size_t first = random.next_below(50);
        each.alive.push_back({first, first + random.next_below(20)});
      }
    }
    const std::size_t total = nn::plan_memory(buffers);
    std::size_t least = 0;
    for (std::size_t step = 0; step < 80; ++step) least = std::max(least, nn::bytes_alive(buffers, step));
    CHECK(total >= least);
    for (std::size_t a = 0; a < buffers.size(); ++a) {
      CHECK(buffers[a].offset % alignment == 0);
      CHECK(buffers[a].offset + buffers[a].bytes <= total);
      for (std::size_t b = 0; b < a; ++b)
        if (nn::overlap(buffers[a], buffers[b]))
          CHECK((buffers[a].offset + buffers[a].bytes <= buffers[b].offset ||
                 buffers[b].offset + buffers[b].bytes <= buffers[a].offset));
    }
  }
}

TEST_CASE("a step allocates nothing once it is recorded", "[tape]") {
  tiny<float> given;
  classifier<float> model(given.config, given.parameters, cpu{2}, {true, false, false});
  nn::optimizer<float> update({}, cpu{2});
  update.add(given.parameters);
  std::vector<batch> batches;
  for (std::size_t i = 0; i < 10; ++i) batches.emplace_back(given.expected, text("step.", i, "."));
  const auto step = [&](const batch& b) {
    model.set(b);
    model.forward();
    model.t.backward();
    update.step(1, nn::clip_factor(update.gradient_norm(), 1));
  };
  step(batches[0]);
  for (const batch& b : batches) CHECK(measure::allocations_of([&] { step(b); }) == 0);
  CHECK(measure::allocations_of([] { ::operator delete(::operator new(4)); }) == 1);  // the counter counts
}

TEMPLATE_TEST_CASE("one, two and three threads give the same bits, with dropout", "[tape]", float, double) {
  std::vector<std::vector<TestType>> weights;
  for (const int threads : {1, 2, 3}) {
    tiny<TestType> given;
    classifier<TestType> model(given.config, given.parameters, cpu{threads}, {true});
    nn::optimizer<TestType> update({}, cpu{threads});
    update.add(given.parameters);
    auto& bits = weights.emplace_back();
    for (std::size_t i = 0; i < 3; ++i) {
      model.set(batch(given.expected, text("step.", i, ".")));
      bits.push_back(model.forward());
      model.t.backward();
      update.step(1, nn::clip_factor(update.gradient_norm(), 1));
    }
    for (auto& p : given.parameters) bits.insert(bits.end(), p.value().data(), p.value().data() + p.size());
  }
  CHECK(same_bits(weights[0], weights[1]));
  CHECK(same_bits(weights[0], weights[2]));
}

TEST_CASE("recomputed layers give the bits of saved ones, in less memory", "[tape]") {
  tiny<float> given;
  classifier<float> saved(given.config, given.parameters, {}, {true, false, false}),
      again(given.config, given.parameters, {}, {true, true, false});
  // Operations have the same numbers, so their masks are the same.
  const batch b(given.expected, "");
  std::vector<std::vector<float>> gradients;
  for (auto* model : {&saved, &again}) {
    clear(given.parameters);
    model->set(b);
    model->forward();
    model->t.backward();
    gradients.push_back(gradients_of(given.parameters));
  }
  CHECK(same_bits(gradients[0], gradients[1]));
  CHECK(again.t.saved_bytes() < saved.t.saved_bytes() / 2);
  CHECK(again.t.arena_bytes() < saved.t.arena_bytes());
}

TEST_CASE("frozen weights keep no inputs", "[tape]") {
  tiny<float> given;
  const auto saved = [&](const std::vector<std::string>& trained) {
    given.parameters.train_only(trained);
    classifier<float> model(given.config, given.parameters, {}, {false, false, false});
    CHECK(model.t.arena_bytes() >= model.t.least_bytes());
    return model.t.saved_bytes();
  };
  const std::size_t all = saved({"*"}), biases = saved({"*.bias"}), top = saved({"*layer.1.output*", "head*"}),
                    head = saved({"head*"});
  // A trained bias needs no input of its product: of the products' inputs only attention's and GELU's own stay.
  CHECK(biases < all);
  CHECK(top < biases);
  CHECK(head < top);
  // Below the lowest trained weight nothing is saved: one layer's width of rows, not every layer's.
  const recording sizes;
  CHECK(head < sizes.tokens * given.config.hidden_size * sizeof(float));
}

TEST_CASE("gradients of several backward passes add up until a step", "[tape]") {
  tiny<double> given;
  classifier<double> model(given.config, given.parameters);
  const batch one(given.expected, "step.0."), two(given.expected, "step.1.");
  const auto run = [&](const batch& b, double scale) {
    model.set(b);
    model.forward();
    model.t.backward(scale);
  };
  clear(given.parameters);
  run(one, 0.25);
  const auto first = gradients_of(given.parameters);
  clear(given.parameters);
  run(two, 0.75);
  const auto second = gradients_of(given.parameters);
  clear(given.parameters);
  run(one, 0.25);
  run(two, 0.75);
  const auto both = gradients_of(given.parameters);
  std::vector<double> sum(both.size());
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = first[i] + second[i];
  // Scaling by 1/4 is exact, so only the order of additions differs.
  const double largest = max_abs(sum.data(), sum.size());
  const comparison result =
      compare(both.data(), sum.data(), sum.size(), rounding<double>(static_cast<double>(recording{}.tokens) * largest));
  INFO(result.message());
  CHECK(result);
  CHECK(largest > 0);
}

TEST_CASE("one recording serves every batch that fits: the bits of a recording made for it", "[tape]") {
  tiny<float> given;
  classifier<float> large(given.config, given.parameters, {}, {true});
  for (std::size_t i = 0; i < 3; ++i) {
    const batch b(given.expected, text("step.", i, "."));
    recording fit{true};
    fit.items = b.lengths.size();
    fit.tokens = b.ids.size();
    fit.longest = *std::max_element(b.lengths.begin(), b.lengths.end());
    classifier<float> exact(given.config, given.parameters, {}, fit);
    std::vector<std::vector<float>> gradients;
    for (auto* model : {&large, &exact}) {
      clear(given.parameters);
      model->t.seek(i);
      model->set(b);
      model->forward();
      model->t.backward();
      gradients.push_back(gradients_of(given.parameters));
    }
    CHECK(same_bits(gradients[0], gradients[1]));
    CHECK(max_abs(gradients[0].data(), gradients[0].size()) > 0);
  }
}

TEST_CASE("a batch without items runs, and dropout belongs to a step", "[tape]") {
  tiny<double> given;
  classifier<double> model(given.config, given.parameters, {}, {true});
  const batch b(given.expected, "");
  model.set(b);
  const double first = model.forward(), again = model.forward();
  CHECK(first == again);  // a repeated step has its masks
  model.t.backward();
  CHECK(model.forward() != first);  // the next one has others
  model.t.seek(0);
  CHECK(model.forward() == first);
  model.t.training(false);
  const double without = model.forward();
  CHECK(without != first);
  model.t.seek(9);
  CHECK(model.forward() == without);

  nn::tape<float> t;
  nn::parameter_set<float> parameters;
  auto& w = parameters.add("w", 2, 2);
  const auto rows = t.dimension_of("rows", 4);
  const nn::value x = t.input("x", rows, 2), y = nn::linear(t, x, {{t.parameter(w)}});
  t.compile(nn::sum(t, y));
  t.set(rows, 0);
  t.set(x, {nullptr, {0, 2}});
  t.forward();
  t.backward();
  CHECK(max_abs(w.gradient().data(), 4) == 0);
}
