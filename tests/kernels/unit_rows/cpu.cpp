// Rows of length 1 against the definition: short rows, zero rows, padding.
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/unit_rows/arms.hpp>

#include "catch.hpp"

using namespace hocket;
namespace unit_rows = kernels::unit_rows;

TEMPLATE_TEST_CASE("unit rows keep their promise", "[unit_rows]", float, double) {
  using T = TestType;
  using W = unit_rows::reference::wide<T>;
  for (const auto& arm : unit_rows::arms<T>())
    for (const std::size_t rows : std::initializer_list<std::size_t>{0, 1, 64, 65})
      for (const std::size_t columns : std::initializer_list<std::size_t>{1, 2, 17, 384})
        for (const T least : {T(1e-12), T(3)})
          for (const bool add : {false, true}) {
            const std::size_t step = columns + 1;
            const T nan = std::numeric_limits<T>::quiet_NaN();
            std::vector<T> x(rows * step, nan), dy = x, y(rows * columns), dx(rows * step, T{1}), lengths(rows);
            philox random(8);
            for (std::size_t r = 0; r < rows; ++r)
              for (std::size_t c = 0; c < columns; ++c) {
                x[r * step + c] = r % 5 == 4 ? T{0} : static_cast<T>(random.next_normal());
                dy[r * step + c] = static_cast<T>(random.next_normal());
              }
            const shape<2> size{rows, columns}, padded{step, 1};
            const view<const T, 2> in{x.data(), size, padded}, up{dy.data(), size, padded};
            arm.run.forward(cpu{2}, in, least, {y.data(), size}, {lengths.data(), {rows}});
            arm.run.backward(cpu{2}, {y.data(), size}, {lengths.data(), {rows}}, least, up, add,
                             {dx.data(), size, padded});
            std::vector<W> wanted(rows * columns), wanted_dx(rows * columns);
            unit_rows::reference::forward<T>(in, least, {wanted.data(), size});
            unit_rows::reference::backward<T>(in, least, up, {wanted_dx.data(), size});
            const unit_rows::shape s{rows, columns};
            comparison result;
            for (std::size_t r = 0; r < rows; ++r) {
              double largest = 0;
              for (std::size_t c = 0; c < columns; ++c)
                largest = std::max(largest, std::abs(static_cast<double>(up(r, c))));
              const double by = std::max(static_cast<double>(lengths[r]), static_cast<double>(least));
              const double magnitude = largest * std::sqrt(static_cast<double>(columns)) / by + (add ? 1 : 0);
              for (std::size_t c = 0; c < columns; ++c) {
                result.add(std::abs(static_cast<double>(static_cast<W>(y[r * columns + c]) - wanted[r * columns + c])),
                           rounding<T>(arm.promise({s, unit_rows::pass::forward})));
                result.add(std::abs(static_cast<double>(static_cast<W>(dx[r * step + c]) - (add ? 1 : 0) -
                                                        wanted_dx[r * columns + c])),
                           rounding<T>(arm.promise({s, unit_rows::pass::backward}) * magnitude));
              }
              result.add(dx[r * step + columns] == T{1} ? 0 : 1, 0);
            }
            INFO(rows << " x " << columns << " " << static_cast<double>(least) << " " << result.message());
            CHECK(result);
          }
}
