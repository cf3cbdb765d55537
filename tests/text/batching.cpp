#include <algorithm>
#include <numeric>

#include <hocket/text/batching.hpp>

#include "catch.hpp"

using namespace hocket;

namespace {

std::vector<std::size_t> random_lengths(std::size_t count, std::uint64_t seed) {
  philox random(seed);
  std::vector<std::size_t> lengths(count);
  for (std::size_t& length : lengths) length = static_cast<std::size_t>(random.next_below(40));
  return lengths;
}

/// Checks that every text stands in one batch and every batch keeps the limits; returns the batches one after another.
std::vector<std::size_t> checked(const texts::batch_plan& plan, const std::vector<std::size_t>& lengths,
                                 const texts::batch_options& options) {
  std::vector<std::size_t> order;
  for (const auto& batch : plan) {
    std::size_t tokens = 0;
    for (const std::size_t row : batch) tokens += lengths.at(row);
    CHECK(!batch.empty());
    CHECK(batch.size() <= options.rows);
    CHECK((options.tokens == 0 || tokens <= options.tokens || batch.size() == 1));
    order.insert(order.end(), batch.begin(), batch.end());
  }
  std::vector<std::size_t> sorted = order, all(lengths.size());
  std::sort(sorted.begin(), sorted.end());
  std::iota(all.begin(), all.end(), std::size_t{0});
  CHECK(sorted == all);
  return order;
}

}  // namespace

TEST_CASE("every text stands in one batch within the limits", "[text][batching]") {
  for (const std::size_t count : {0u, 1u, 2u, 31u, 32u, 33u, 257u})
    for (const std::size_t rows : {1u, 7u, 32u, 1000u})
      for (const std::size_t tokens : {0u, 1u, 39u, 100u})
        for (const bool shuffle : {false, true}) {
          const auto lengths = random_lengths(count, 3);
          texts::batch_options options;
          options.rows = rows;
          options.tokens = tokens;
          options.shuffle = shuffle;
          options.window = 2;
          INFO(count << " texts, " << rows << " rows, " << tokens << " tokens, shuffle " << shuffle);
          checked(texts::plan_batches(lengths, options), lengths, options);
        }
}

TEST_CASE("texts are taken longest first, equal ones as they came", "[text][batching]") {
  const auto lengths = random_lengths(300, 4);
  texts::batch_options options;
  const auto order = checked(texts::plan_batches(lengths, options), lengths, options);
  for (std::size_t i = 1; i < order.size(); ++i)
    CHECK((lengths[order[i - 1]] > lengths[order[i]] ||
           (lengths[order[i - 1]] == lengths[order[i]] && order[i - 1] < order[i])));
  options.by_length = false;
  const auto plain = checked(texts::plan_batches(lengths, options), lengths, options);
  CHECK(std::is_sorted(plain.begin(), plain.end()));
}

TEST_CASE("a shuffle is a function of seed and epoch", "[text][batching]") {
  const auto lengths = random_lengths(500, 5);
  texts::batch_options options;
  options.shuffle = true;
  options.window = 3;
  const auto first = texts::plan_batches(lengths, options);
  CHECK(texts::plan_batches(lengths, options) == first);
  options.epoch = 1;
  const auto second = texts::plan_batches(lengths, options);
  CHECK(second != first);
  checked(second, lengths, options);
  options.epoch = 0;
  options.seed = 1;
  CHECK(texts::plan_batches(lengths, options) != first);
  // Sorted over three batches, so each of them is nearly of one length: less padding than without.
  const auto waste = [&](const texts::batch_plan& plan) {
    std::size_t padded = 0;
    for (const auto& batch : plan) {
      std::size_t longest = 0;
      for (const std::size_t row : batch) longest = std::max(longest, lengths[row]);
      padded += longest * batch.size();
    }
    return padded;
  };
  options.by_length = false;
  CHECK(waste(first) < waste(texts::plan_batches(lengths, options)));
}

TEST_CASE("a batch holds its tokens without padding, results go back in order", "[text][batching]") {
  const std::vector<std::vector<texts::token_id>> all = {{5, 6, 7}, {}, {8}, {9, 10, 11, 12, 13}, {14}};
  const auto lengths = texts::lengths_of(all);
  texts::batch_options options;
  options.rows = 2;
  std::vector<double> restored(all.size() * 2, -1);
  std::size_t tokens = 0;
  for (const auto& rows : texts::plan_batches(lengths, options)) {
    const texts::ragged_batch batch = texts::pack(all, rows);
    REQUIRE(batch.offsets.size() == rows.size() + 1);
    CHECK(batch.offsets.front() == 0);
    CHECK(batch.offsets.back() == batch.tokens());
    CHECK(batch.positions.size() == batch.tokens());
    std::vector<double> results;
    for (std::size_t i = 0; i < batch.texts(); ++i) {
      const auto ids = batch.ids_of(i);
      CHECK(std::vector(ids.begin(), ids.end()) == all[rows[i]]);
      CHECK(batch.longest >= ids.size());
      for (std::size_t k = 0; k < ids.size(); ++k)
        CHECK(batch.positions[batch.offsets[i] + k] == static_cast<texts::token_id>(k));
      results.push_back(static_cast<double>(rows[i]));
      results.push_back(static_cast<double>(ids.size()));
    }
    tokens += batch.tokens();
    texts::restore_order<double>(batch.rows, make_view(std::as_const(results), rows.size(), 2),
                                 make_view(restored, all.size(), 2));
  }
  CHECK(tokens == 10);
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(restored[2 * i] == static_cast<double>(i));
    CHECK(restored[2 * i + 1] == static_cast<double>(all[i].size()));
  }
}

TEST_CASE("batching refuses what cannot be", "[text][batching]") {
  const std::vector<std::size_t> lengths = {1, 2};
  texts::batch_options options;
  options.rows = 0;
  CHECK_THROWS_AS(texts::plan_batches(lengths, options), error);
  const std::vector<std::vector<texts::token_id>> all = {{1}};
  const std::vector<std::size_t> beyond = {1};
  CHECK_THROWS_AS(texts::pack(all, beyond), error);
  std::vector<float> values(4);
  CHECK_THROWS_AS(texts::restore_order<float>(beyond, make_view(std::as_const(values), 2, 2), make_view(values, 2, 2)),
                  error);
  CHECK_THROWS_AS(texts::restore_order<float>(beyond, make_view(std::as_const(values), 1, 2), make_view(values, 1, 2)),
                  error);
}
