#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/softmax_regression/cpu.hpp>
#include <hocket/kernels/softmax_regression/reference.hpp>
#include <limits>
#include <vector>

#include "catch.hpp"

using namespace hocket;
namespace softmax = kernels::softmax_regression;

TEST_CASE("value and gradient are the reference's on every instruction set and size", "[kernels][softmax_regression]") {
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    INFO(name_of(best_isa()));
    for (const std::size_t rows :
         {std::size_t{1}, std::size_t{255}, std::size_t{256}, std::size_t{257}, std::size_t{700}}) {
      for (const std::size_t features : {std::size_t{1}, std::size_t{2}, std::size_t{17}}) {
        for (std::size_t classes = 2; classes <= 11; ++classes) {
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
          const double value = softmax::value_and_gradient(cpu{}, work, packed, labels.data(), weights.data(), matrix,
                                                           {ours.data(), {classes, features + 1}});
          // Each sum runs over `rows` terms of at most max|x| (times the loss's own size); rounding grows with their
          // number.
          const double terms = static_cast<double>(rows + features) * std::max(1.0, max_abs(x.data(), x.size()));
          const double logit =
              1 + max_abs(w.data(), w.size()) * max_abs(x.data(), x.size()) * static_cast<double>(features + 1);
          INFO(rows << " rows, " << features << " features, " << classes << " classes");
          const auto outcome = compare(ours.data(), expected.data(), ours.size(), rounding<double>(terms * logit));
          INFO(outcome.message());
          CHECK(outcome);
          CHECK(std::abs(value - loss) <= rounding<double>(terms * logit));
        }
      }
    }
  }
  limit_isa(machine_isa());
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
