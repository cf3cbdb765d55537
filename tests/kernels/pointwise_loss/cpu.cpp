// Squared and logistic losses against their definitions, with logits far from 0.
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/pointwise_loss/arms.hpp>

#include "catch.hpp"

using namespace hocket;
namespace pointwise = kernels::pointwise_loss;

TEMPLATE_TEST_CASE("pointwise losses keep their promise", "[pointwise_loss]", float, double) {
  using T = TestType;
  using W = pointwise::reference::wide<T>;
  for (const auto& arm : pointwise::arms<T>())
    for (const std::size_t rows : std::initializer_list<std::size_t>{0, 1, 5, 31})
      for (const std::size_t columns : std::initializer_list<std::size_t>{0, 1, 3, 16})
        for (const auto kind : {pointwise::loss::squared, pointwise::loss::logistic})
          for (const T spread : {T(1), T(300)}) {
            const std::size_t step = columns + 2;
            std::vector<T> x(rows * step, std::numeric_limits<T>::quiet_NaN()), t = x, dx(rows * step, T{1}), dt = dx;
            philox random(3);
            double magnitude = 0;
            for (std::size_t r = 0; r < rows; ++r)
              for (std::size_t c = 0; c < columns; ++c) {
                x[r * step + c] = spread * static_cast<T>(random.next_normal());
                t[r * step + c] = static_cast<T>(random.next_uniform());
                const double size =
                    1 + std::abs(static_cast<double>(x[r * step + c])) + static_cast<double>(t[r * step + c]);
                magnitude += size * size;
              }
            const shape<2> size{rows, columns}, padded{step, 1};
            const view<const T, 2> a{x.data(), size, padded}, b{t.data(), size, padded};
            const pointwise::shape s{rows, columns};
            comparison result;
            const T total = static_cast<T>(arm.run.forward(kind, a, b));
            result.add(
                std::abs(static_cast<double>(static_cast<W>(total) - pointwise::reference::forward<T>(kind, a, b))),
                rounding<T>(arm.promise({s, pointwise::pass::forward}) * magnitude));
            const T scale = T(0.25);
            arm.run.backward(kind, a, b, scale, false, true, {dx.data(), size, padded});
            arm.run.backward(kind, a, b, scale, true, false, {dt.data(), size, padded});
            for (std::size_t r = 0; r < rows; ++r) {
              for (std::size_t c = 0; c < columns; ++c) {
                const double bound =
                    rounding<T>(arm.promise({s, pointwise::pass::backward}) *
                                (2 + std::abs(static_cast<double>(a(r, c))) + static_cast<double>(b(r, c))));
                const W slope = pointwise::reference::slope_of<T>(kind, a(r, c), b(r, c)) * static_cast<W>(scale);
                result.add(std::abs(static_cast<double>(static_cast<W>(dx[r * step + c]) - 1 - slope)), bound);
                const W back =
                    kind == pointwise::loss::squared ? -slope : -static_cast<W>(a(r, c)) * static_cast<W>(scale);
                result.add(std::abs(static_cast<double>(static_cast<W>(dt[r * step + c]) - back)), bound);
              }
              result.add(dx[r * step + columns] == T{1} && dt[r * step + columns] == T{1} ? 0 : 1, 0);
            }
            INFO(rows << " x " << columns << " " << name_of(kind) << " " << result.message());
            CHECK(result);
          }
}
