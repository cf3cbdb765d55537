#include "experiments/support/folds.hpp"

#include <array>
#include <utility>
#include <vector>

#include <hocket/core/rng.hpp>

#include "catch.hpp"
#include "experiments/support/data_sets.hpp"

using namespace hocket;
using namespace hocket::experiments;

namespace {

/// 40 units of 1 to 5 rows, three classes that two of six features tell apart in part.
classification_data make_data(std::uint64_t seed) {
  classification_data data;
  data.features = 6;
  data.classes = 3;
  philox random(seed);
  for (std::uint32_t unit = 0; unit < 40; ++unit)
    for (std::uint64_t row = 0; row <= random.next_below(5); ++row) {
      const auto label = unit % 3;
      data.labels.push_back(label);
      data.units.push_back(unit);
      for (std::size_t j = 0; j < 6; ++j) data.x.push_back(random.next_normal() + (j == label ? 1.5 : 0.0));
    }
  return data;
}

}  // namespace

TEST_CASE("folds hold whole units and share rows and classes evenly", "[experiments][folds]") {
  const auto data = make_data(1);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto fold_of = assign_folds(data, 5, seed);
    REQUIRE(fold_of.size() == 40);
    std::array<std::array<std::size_t, 3>, 5> counts{};
    std::array<std::size_t, 3> totals{};
    for (std::size_t i = 0; i < data.rows(); ++i) {
      ++counts[fold_of[data.units[i]]][data.labels[i]];
      ++totals[data.labels[i]];
    }
    for (const auto& fold : counts)
      for (std::size_t k = 0; k < 3; ++k) {
        CHECK(5 * fold[k] <= totals[k] + 5 * 5);  // within one unit of an equal share
        CHECK(5 * fold[k] + 5 * 5 >= totals[k]);
      }
  }
  CHECK(assign_folds(data, 5, 1) == assign_folds(data, 5, 1));
  CHECK(assign_folds(data, 5, 1) != assign_folds(data, 5, 2));
  CHECK_THROWS_AS(assign_folds(data, 41, 0), error);
}

TEST_CASE("seeds give other folds also when every unit has a size of its own", "[experiments][folds]") {
  classification_data data;
  data.features = 1;
  data.classes = 2;
  for (std::uint32_t unit = 0; unit < 14; ++unit)
    for (std::uint32_t row = 0; row < 10 + 7 * unit; ++row) {
      data.labels.push_back(row % 2);
      data.units.push_back(unit);
      data.x.push_back(0);
    }
  std::vector<std::vector<std::size_t>> seen;
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const auto fold_of = assign_folds(data, 5, seed);
    for (const auto& other : seen) CHECK(fold_of != other);
    seen.push_back(fold_of);
  }
}

TEST_CASE("the labels of test rows change neither the choice nor the predictions", "[experiments][folds]") {
  const auto data = make_data(2);
  const auto fold_of = assign_folds(data, 5, 0);
  nn::logistic_options options;
  const auto honest = nested_cross_validation(cpu{1}, data, fold_of, 5, 4, options);
  auto poisoned = data;
  for (std::size_t i = 0; i < data.rows(); ++i)
    if (fold_of[data.units[i]] == 2) poisoned.labels[i] = (data.labels[i] + 1) % 3;
  const auto second = nested_cross_validation(cpu{2}, poisoned, fold_of, 5, 4, options);
  CHECK(honest.chosen[2] == second.chosen[2]);
  std::size_t right = 0;
  for (std::size_t i = 0; i < data.rows(); ++i) {
    if (fold_of[data.units[i]] == 2) CHECK(honest.predicted[i] == second.predicted[i]);
    right += honest.predicted[i] == data.labels[i];
  }
  CHECK(2 * right > data.rows());
}

TEST_CASE("one and two threads give the same predictions", "[experiments][folds]") {
  const auto data = make_data(3);
  const auto one = nested_cross_validation(cpu{1}, data, 5, 4, 0, {});
  const auto two = nested_cross_validation(cpu{2}, data, 5, 4, 0, {});
  CHECK(one.predicted == two.predicted);
  CHECK(one.chosen == two.chosen);
}

TEST_CASE("labelled tables are read or refused with line and column", "[experiments][data_sets]") {
  const auto table = parse_labelled_csv("1,2.5,0\r\n-3e2,4,2\n\n", "t");
  CHECK(table.rows == 2);
  CHECK(table.features == 2);
  CHECK(table.classes == 3);
  CHECK(table.values == std::vector<double>{1, 2.5, -300, 4});
  CHECK(table.labels == std::vector<std::uint32_t>{0, 2});
  for (const auto& [wrong, reason] : {std::pair{"1,2\n1,2,3\n", "line 2 has 3 columns"},
                                      {"1,x,0\n", "line 1, column 2"},
                                      {"1,2,0.5\n", "no class number"},
                                      {"1,2,-1\n", "no class number"},
                                      {"1;2;0\n", "expected a comma"},
                                      {"\n", "no rows"},
                                      {"1,nan,0\n", "not a number"},
                                      {"3\n", "no class number"}})
    CHECK_THROWS_WITH(parse_labelled_csv(wrong, "t"), Catch::Contains(reason));
}
