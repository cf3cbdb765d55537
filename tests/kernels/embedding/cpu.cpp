// Sums of table rows by index against the definition: awkward sizes, padded rows, repeated ids, threads.
#include <cmath>
#include <initializer_list>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/embedding/arms.hpp>

#include "catch.hpp"

using namespace hocket;
namespace embedding = kernels::embedding;

namespace {

template <class T>
std::vector<T> values(std::size_t n, std::uint64_t seed) {
  const philox random(seed);
  std::vector<T> x(n);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<T>(random.normal_at(i));
  return x;
}

}  // namespace

TEMPLATE_TEST_CASE("embedding keeps its promise", "[embedding]", float, double) {
  using T = TestType;
  using W = embedding::reference::wide<T>;
  for (const auto& arm : embedding::arms<T>())
    for (const std::size_t rows : std::initializer_list<std::size_t>{0, 1, 63, 64, 65, 131})
      for (const std::size_t columns : std::initializer_list<std::size_t>{0, 1, 7, 63, 64, 65, 129})
        for (const std::size_t count : std::initializer_list<std::size_t>{1, 2, 3})
          for (const int threads : {1, 3}) {
            const std::size_t words = 5, pad = 3, step = columns + pad;
            std::vector<std::vector<T>> stored;
            std::vector<std::vector<std::uint32_t>> ids(count);
            std::vector<embedding::lookup<T>> tables;
            for (std::size_t t = 0; t < count; ++t) {
              auto& table = stored.emplace_back(values<T>(words * step, t + 1));
              for (std::size_t w = 0; w < words; ++w)
                for (std::size_t c = columns; c < step; ++c) table[w * step + c] = std::numeric_limits<T>::quiet_NaN();
              philox random(t + 9);
              for (std::size_t r = 0; r < rows; ++r)
                ids[t].push_back(static_cast<std::uint32_t>(random.next_below(words)));
            }
            for (std::size_t t = 0; t < count; ++t)
              tables.push_back({{stored[t].data(), {words, columns}, {step, 1}}, ids[t]});
            std::vector<T> y(rows * columns);
            arm.run.forward(cpu{threads}, tables, {y.data(), {rows, columns}});
            std::vector<W> wanted(y.size());
            embedding::reference::forward<T>(tables, {wanted.data(), {rows, columns}});
            const embedding::shape s{rows, columns, count};
            comparison result;
            for (std::size_t i = 0; i < y.size(); ++i) {
              double magnitude = 0;
              for (const auto& each : tables)
                magnitude += std::abs(static_cast<double>(each.table(each.ids[i / columns], i % columns)));
              result.add(std::abs(static_cast<double>(static_cast<W>(y[i]) - wanted[i])),
                         rounding<T>(arm.promise({s, embedding::pass::forward}) * magnitude));
            }
            const auto dy = values<T>(rows * columns, 77);
            std::vector<T> dtable(words * step, T{1});
            std::vector<W> wanted_table(words * columns, 1);
            arm.run.backward(cpu{threads}, {dy.data(), {rows, columns}}, ids[0],
                             {dtable.data(), {words, columns}, {step, 1}});
            embedding::reference::backward<T>({dy.data(), {rows, columns}}, ids[0],
                                              {wanted_table.data(), {words, columns}});
            const double total = 1 + static_cast<double>(rows) * max_abs(dy.data(), dy.size());
            for (std::size_t w = 0; w < words; ++w)
              for (std::size_t c = 0; c < step; ++c)
                if (c < columns)
                  result.add(std::abs(static_cast<double>(static_cast<W>(dtable[w * step + c]) -
                                                          wanted_table[w * columns + c])),
                             rounding<T>((arm.promise({s, embedding::pass::backward}) + 1) * total));
                else
                  result.add(dtable[w * step + c] == T{1} ? 0 : 1, 0);  // padding is not ours
            INFO(arm.name << " " << rows << " x " << columns << ", " << count << " tables " << result.message());
            CHECK(result);
          }
}
