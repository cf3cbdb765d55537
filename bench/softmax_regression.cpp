// Every arm of kernels/softmax_regression on one thread, and the CUDA kernels: value and gradient, at sizes the
// experiments meet.
#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/kernels/softmax_regression/arms.hpp>
#include <hocket/kernels/softmax_regression/reference.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace softmax = hocket::kernels::softmax_regression;
using hocket::view;
using hocket::bench::ready;

struct data {
  explicit data(const softmax::shape& s)
      : x(hocket::bench::normal_values<double>(s.rows * s.features, 1)),
        w(hocket::bench::normal_values<double>(s.classes * (s.features + 1), 2)),
        gradient(w.size()),
        packed(s.rows, s.features),
        labels(packed.tiles() * softmax::tile_rows),
        weights(labels.size(), 0.0),
        work(packed.tiles(), s.features, s.classes, 1) {
    for (std::size_t i = 0; i < s.rows; ++i) {
      labels[i] = static_cast<std::uint32_t>(i * 7 % s.classes);
      weights[i] = 1;
      for (std::size_t j = 0; j < s.features; ++j) packed(i, j) = x[i * s.features + j];
    }
  }
  std::vector<double> x, w, gradient;
  softmax::packed_rows packed;
  std::vector<std::uint32_t> labels;
  std::vector<double> weights;
  softmax::workspace work;
};

ready prepare(const softmax::softmax_regression_arm& arm, const softmax::shape& s) {
  auto kept = std::make_shared<data>(s);
  const view<const double, 2> w(kept->w.data(), {s.classes, s.features + 1});
  const view<double, 2> gradient(kept->gradient.data(), {s.classes, s.features + 1});
  const auto run = [=] {
    return arm.run(hocket::cpu{}, kept->work, kept->packed, kept->labels.data(), kept->weights.data(), w, gradient);
  };
  const double loss = run();
  std::vector<double> wanted(kept->w.size());
  const double exact = softmax::reference({kept->x.data(), {s.rows, s.features}}, kept->labels.data(),
                                          kept->weights.data(), w, {wanted.data(), {s.classes, s.features + 1}});
  const double largest = hocket::max_abs(kept->x.data(), kept->x.size());
  const double magnitude = std::max(1.0, largest) * (1 + hocket::max_abs(kept->w.data(), kept->w.size()) * largest *
                                                             static_cast<double>(s.features + 1));
  const double bound = arm.promise(s) * hocket::rounding<double>(magnitude);
  ready made;
  made.check = hocket::compare(kept->gradient.data(), wanted.data(), wanted.size(), bound);
  made.check.add(std::abs(loss - exact), bound);
  made.run = [=] { run(); };
  return made;
}

const bool registered = hocket::bench::register_operation([] {
  for (const softmax::shape& s : {softmax::shape{800, 256, 5}, {1797, 64, 10}, {5000, 400, 10}}) {
    const std::string shape = hocket::text("n=", s.rows, "/d=", s.features, "/k=", s.classes);
    hocket::bench::add_arms("softmax_regression", shape, softmax::arms<double>(), s, static_cast<double>(s.rows),
                            "rows", [s](const auto& arm) { return prepare(arm, s); });
    hocket::bench::add_cuda_arms("softmax_regression", "residuals", shape,
                                 {{"n", s.rows}, {"features", s.features}, {"classes", s.classes}}, [s](std::size_t) {
                                   return hocket::bench::cuda_work{softmax::product_flops(s), softmax::operand_bytes(s),
                                                                   static_cast<double>(s.rows), "rows"};
                                 });
  }
});

}  // namespace
