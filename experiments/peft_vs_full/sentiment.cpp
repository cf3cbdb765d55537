#include "experiments/peft_vs_full/sentiment.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include <hocket/measure/sha256.hpp>

namespace hocket::experiments::peft_vs_full {

namespace {

std::uint32_t bucket_of(const std::string& unit) {
  std::uint32_t digest = 0;
  const std::string hex = measure::sha256_of(std::string_view(unit)).substr(0, 8);
  std::from_chars(hex.data(), hex.data() + hex.size(), digest, 16);
  return digest % 10;
}

/// The first `count` of `rows` by the digest of `salt` and their id.
std::vector<std::size_t> first_by_digest(const sentiment_set& data, const std::vector<std::size_t>& rows,
                                         const std::string& salt, std::size_t count) {
  if (count >= rows.size()) return rows;
  std::vector<std::pair<std::string, std::size_t>> order;
  for (const std::size_t row : rows) order.emplace_back(measure::sha256_of(text(salt, ":", data.all[row].id)), row);
  std::sort(order.begin(), order.end());
  std::vector<std::size_t> chosen;
  for (std::size_t i = 0; i < count; ++i) chosen.push_back(order[i].second);
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

}  // namespace

sentiment_set read_sentiment(const run_options& options) {
  sentiment_set data;
  data.set = open_data_set(options, "vader_sentiment");
  if (!data.set.present()) return data;
  try {
    std::map<std::string, std::uint32_t> units;
    for (rated_sentence& each : read_rated_sentences(data.set)) {
      const std::string name = text(domains[each.domain], ":"), unit = name + each.document;
      sentence one;
      one.text = std::move(each.text);
      one.id = name + each.row;
      one.label = each.label;
      one.domain = each.domain;
      one.unit = units.emplace(unit, static_cast<std::uint32_t>(units.size())).first->second;
      one.bucket = bucket_of(unit);
      data.all.push_back(std::move(one));
    }
    data.units = units.size();
  } catch (const error& problem) {
    data.set.use.missing = problem.what();
  }
  return data;
}

sentiment_split divide(const sentiment_set& data, const sentiment_task& task, std::int64_t seed) {
  sentiment_split split;
  for (std::size_t i = 0; i < data.all.size(); ++i) {
    const sentence& one = data.all[i];
    const bool held_out = domains[one.domain] == task.without;
    if (one.bucket < 2 && (task.without.empty() || held_out)) split.test.push_back(i);
    if (one.bucket >= 2 && !held_out) (one.bucket == 2 ? split.valid : split.train).push_back(i);
  }
  split.valid = first_by_digest(data, split.valid, "valid", most_validation);
  split.train = first_by_digest(data, split.train, text(seed), (split.train.size() * task.per_cent + 50) / 100);
  return split;
}

}  // namespace hocket::experiments::peft_vs_full
