// Pooling of ragged batches against its definition: empty items, one row, rows that belong to no item.
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/pooling/arms.hpp>

#include "catch.hpp"

using namespace hocket;
namespace pooling = kernels::pooling;
using pooling::pool;

TEMPLATE_TEST_CASE("pooling keeps its promise and reads no other row", "[pooling]", float, double) {
  using T = TestType;
  using W = pooling::reference::wide<T>;
  const std::vector<std::vector<std::uint32_t>> batches = {{}, {0}, {1}, {3, 0, 7, 1}, {64, 65, 2}};
  for (const auto& arm : pooling::arms<T>())
    for (const auto& lengths : batches)
      for (const std::size_t columns : std::initializer_list<std::size_t>{0, 1, 7, 16, 33})
        for (const pool kind : {pool::mean, pool::first})
          for (const bool add : {false, true}) {
            std::vector<std::uint32_t> starts;
            std::uint32_t rows = 2;  // two rows before all items, and one after each
            for (const std::uint32_t n : lengths) {
              starts.push_back(rows);
              rows += n + 1;
            }
            std::vector<T> x(rows * columns, std::numeric_limits<T>::quiet_NaN());
            std::vector<bool> mine(rows, false);
            philox random(6);
            for (std::size_t b = 0; b < lengths.size(); ++b)
              for (std::size_t t = 0; t < lengths[b]; ++t) {
                mine[starts[b] + t] = true;
                for (std::size_t c = 0; c < columns; ++c)
                  x[(starts[b] + t) * columns + c] = static_cast<T>(random.next_normal());
              }
            const pooling::ragged at{starts, lengths};
            const shape<2> wide{rows, columns}, small{lengths.size(), columns};
            std::vector<T> y(lengths.size() * columns), dy(y.size()), dx(rows * columns, T{2});
            for (T& v : dy) v = static_cast<T>(random.next_normal());
            arm.run.forward(cpu{2}, kind, at, {x.data(), wide}, {y.data(), small});
            arm.run.backward(cpu{2}, kind, at, {dy.data(), small}, add, {dx.data(), wide});
            std::vector<W> wanted(y.size()), wanted_dx(dx.size(), 2);
            pooling::reference::forward<T>(kind, at, {x.data(), wide}, {wanted.data(), small});
            pooling::reference::backward<T>(kind, at, {dy.data(), small}, {wanted_dx.data(), wide});
            const pooling::shape s{lengths.size(), rows, columns};
            comparison result;
            for (std::size_t i = 0; i < y.size(); ++i) {
              double magnitude = 0;
              const std::size_t b = i / columns;
              for (std::size_t t = 0; t < lengths[b]; ++t)
                magnitude += std::abs(static_cast<double>(x[(starts[b] + t) * columns + i % columns])) /
                             (kind == pool::mean ? lengths[b] : 1);
              result.add(std::abs(static_cast<double>(static_cast<W>(y[i]) - wanted[i])),
                         rounding<T>(arm.promise({s, pooling::pass::forward}) * magnitude));
            }
            const double largest = 2 + max_abs(dy.data(), dy.size());
            for (std::size_t i = 0; i < dx.size(); ++i) {
              const W expected = wanted_dx[i] + (add && mine[i / columns] ? 2 : 0);
              result.add(std::abs(static_cast<double>(static_cast<W>(dx[i]) - expected)),
                         mine[i / columns] ? rounding<T>(arm.promise({s, pooling::pass::backward}) * largest) : 0);
            }
            INFO(lengths.size() << " items x " << columns << " " << name_of(kind) << " " << result.message());
            CHECK(result);
          }
}
