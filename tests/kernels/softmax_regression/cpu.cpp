// Every arm of softmax regression against the plain sums, on every instruction set.
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/softmax_regression/arms.hpp>
#include <hocket/kernels/softmax_regression/reference.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

using namespace hocket;
namespace softmax = kernels::softmax_regression;

namespace {

void check(const softmax::softmax_regression_arm& arm, const softmax::shape& s) {
  const auto [rows, features, classes] = s;
  philox random(rows * 100 + features * 10 + classes);
  std::vector<double> x(rows * features), w(classes * (features + 1));
  for (double& value : x) value = random.next_normal();
  for (double& value : w) value = 3 * random.next_normal();
  softmax::packed_rows packed(rows, features);
  std::vector<std::uint32_t> labels(packed.tiles() * softmax::tile_rows);
  std::vector<double> weights(labels.size(), 0.0);
  for (std::size_t i = 0; i < rows; ++i) {
    labels[i] = static_cast<std::uint32_t>(random.next_below(classes));
    weights[i] = random.next_uniform();
    for (std::size_t j = 0; j < features; ++j) packed(i, j) = x[i * features + j];
  }
  std::vector<double> expected(w.size()), ours(w.size(), std::numeric_limits<double>::quiet_NaN());
  const view<const double, 2> matrix(w.data(), {classes, features + 1});
  const double loss = softmax::reference({x.data(), {rows, features}}, labels.data(), weights.data(), matrix,
                                         {expected.data(), {classes, features + 1}});
  softmax::workspace work(packed.tiles(), features, classes, 1);
  const double value =
      arm.run(cpu{}, work, packed, labels.data(), weights.data(), matrix, {ours.data(), {classes, features + 1}});
  const double largest = max_abs(x.data(), x.size());
  const double magnitude =
      std::max(1.0, largest) * (1 + max_abs(w.data(), w.size()) * largest * static_cast<double>(features + 1));
  const double bound = arm.promise(s) * rounding<double>(magnitude);
  auto outcome = compare(ours.data(), expected.data(), ours.size(), bound);
  outcome.add(std::abs(value - loss), bound);
  INFO(arm.name << ", " << rows << " rows, " << features << " features, " << classes
                << " classes: " << outcome.message());
  CHECK(outcome);
}

}  // namespace

TEST_CASE("value and gradient are the reference's on every instruction set and size", "[kernels][softmax_regression]") {
  for (const isa level : tests::machine_sets()) {
    const tests::on_isa guard(level);
    INFO(name_of(best_isa()));
    for (const auto& arm : softmax::arms<double>())
      for (const std::size_t rows :
           {std::size_t{1}, std::size_t{255}, std::size_t{256}, std::size_t{257}, std::size_t{700}})
        for (const std::size_t features : {std::size_t{1}, std::size_t{2}, std::size_t{17}})
          for (std::size_t classes = 2; classes <= 11; ++classes)
            if (const softmax::shape s{rows, features, classes}; arm.accepts(s)) check(arm, s);
  }
}

TEST_CASE("logits of hundreds neither overflow nor lose the gradient", "[kernels][softmax_regression]") {
  softmax::packed_rows packed(2, 1);
  packed(0, 0) = 1;
  packed(1, 0) = -1;
  const std::vector<double> w = {800, 0, -800, 0};
  std::vector<std::uint32_t> labels(softmax::tile_rows, 0);
  std::vector<double> weights(softmax::tile_rows, 0.0), gradient(4);
  weights[0] = weights[1] = 1;
  softmax::workspace work(1, 1, 2, 1);
  const double loss = softmax::value_and_gradient(cpu{}, work, packed, labels.data(), weights.data(),
                                                  {w.data(), {2, 2}}, {gradient.data(), {2, 2}});
  CHECK(loss == 1600);  // row 0 is certain and right, row 1 certain and wrong
  CHECK(gradient == std::vector<double>{1, -1, -1, 1});
}
