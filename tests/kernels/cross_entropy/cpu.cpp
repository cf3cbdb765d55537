// Cross entropy against its definition: smoothing, soft targets, ignored rows, large logits, one class.
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/cross_entropy/arms.hpp>

#include "catch.hpp"

using namespace hocket;
namespace cross_entropy = kernels::cross_entropy;

TEMPLATE_TEST_CASE("cross entropy keeps its promise", "[cross_entropy]", float, double) {
  using T = TestType;
  using W = cross_entropy::reference::wide<T>;
  for (const auto& arm : cross_entropy::arms<T>())
    for (const std::size_t rows : std::initializer_list<std::size_t>{0, 1, 63, 64, 65, 130})
      for (const std::size_t classes : std::initializer_list<std::size_t>{1, 2, 3, 17, 101})
        for (const T smoothing : {T(0), T(0.1), T(1)})
          for (const bool soft : {false, true})
            for (const T spread : {T(1), T(60)}) {
              const std::size_t step = classes + 2;
              const T nan = std::numeric_limits<T>::quiet_NaN();
              std::vector<T> z(rows * step, nan), q(rows * classes);
              std::vector<std::uint32_t> labels(rows);
              philox random(4);
              for (std::size_t r = 0; r < rows; ++r) {
                for (std::size_t k = 0; k < classes; ++k) {
                  z[r * step + k] = spread * static_cast<T>(random.next_normal());
                  q[r * classes + k] = static_cast<T>(random.next_uniform()) / static_cast<T>(classes);
                }
                labels[r] =
                    r % 7 == 3 ? cross_entropy::ignored : static_cast<std::uint32_t>(random.next_below(classes));
              }
              const view<const T, 2> logits{z.data(), {rows, classes}, {step, 1}};
              cross_entropy::targets<T> t{labels, {}, smoothing};
              if (soft) t = {{}, {q.data(), {rows, classes}}, T{0}};
              std::vector<T> loss(rows), kept(2 * rows), dz(rows * step, T{1});
              arm.run.forward(cpu{2}, logits, t, {loss.data(), {rows}}, {kept.data(), {rows, 2}});
              const T scale = T(0.5);
              const view<T, 2> slopes{dz.data(), {rows, classes}, {step, 1}};
              arm.run.backward(cpu{2}, logits, t, {kept.data(), {rows, 2}}, scale, true, slopes);
              std::vector<W> wanted(rows), wanted_dz(rows * classes);
              cross_entropy::reference::forward<T>(logits, t, {wanted.data(), {rows}});
              cross_entropy::reference::backward<T>(logits, t, scale, {wanted_dz.data(), {rows, classes}});
              const cross_entropy::shape s{rows, classes};
              comparison result;
              for (std::size_t r = 0; r < rows; ++r) {
                double largest = 1;
                for (std::size_t k = 0; k < classes; ++k)
                  largest = std::max(largest, 1 + std::abs(static_cast<double>(logits(r, k))));
                result.add(std::abs(static_cast<double>(static_cast<W>(loss[r]) - wanted[r])),
                           rounding<T>(arm.promise({s, cross_entropy::pass::forward}) * largest));
                for (std::size_t k = 0; k < classes; ++k)
                  result.add(
                      std::abs(static_cast<double>(static_cast<W>(slopes(r, k)) - 1 - wanted_dz[r * classes + k])),
                      rounding<T>(arm.promise({s, cross_entropy::pass::backward}) * largest));
                for (std::size_t k = classes; k < step; ++k) result.add(dz[r * step + k] == T{1} ? 0 : 1, 0);
              }
              INFO(rows << " x " << classes << (soft ? " soft" : "") << " " << result.message());
              CHECK(result);
            }
}

TEST_CASE("a NaN logit is a NaN loss and gradient", "[cross_entropy]") {
  const std::vector<double> z = {1, std::nan(""), 2};
  const std::vector<std::uint32_t> label = {0};
  double loss = 0;
  std::vector<double> dz(3), kept(2);
  cross_entropy::forward<double>({}, {z.data(), {1, 3}}, {label, {}, 0}, {&loss, {1}}, {kept.data(), {1, 2}});
  cross_entropy::backward<double>({}, {z.data(), {1, 3}}, {label, {}, 0}, {kept.data(), {1, 2}}, 1, false,
                                  {dz.data(), {1, 3}});
  CHECK(std::isnan(loss));
  for (const double d : dz) CHECK(std::isnan(d));
}
