#include "experiments/peft_vs_full/sentiment.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include <hocket/io/file.hpp>
#include <hocket/measure/sha256.hpp>

namespace hocket::experiments::peft_vs_full {

namespace {

void read_domain(const data_file& file, std::uint32_t domain, std::map<std::string, std::uint32_t>& units,
                 std::vector<sentence>& all) {
  const auto bytes = io::read_file(file.path, std::uintmax_t{1} << 30);
  std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (std::size_t number = 1; !content.empty(); ++number) {
    const std::size_t end = std::min(content.find('\n'), content.size());
    std::string_view line = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty()) continue;
    const std::size_t first = line.find('\t'), second = line.find('\t', first + 1);
    expects(second != std::string_view::npos, errc::bad_file, file.path.string(), ": line ", number,
            ": expected row, rating and text");
    double rating = 0;
    const auto read = std::from_chars(line.data() + first + 1, line.data() + second, rating);
    expects(read.ec == std::errc{} && read.ptr == line.data() + second, errc::bad_file, file.path.string(), ": line ",
            number, ": the rating is no number");
    const std::string row(line.substr(0, first)), name = text(domains[domain], ":");
    const std::string unit = name + row.substr(0, row.find('_'));
    sentence one;
    one.text = line.substr(second + 1);
    one.id = name + row;
    one.label = rating >= 0.5 ? 2 : rating <= -0.5 ? 0 : 1;
    one.domain = domain;
    one.unit = units.emplace(unit, static_cast<std::uint32_t>(units.size())).first->second;
    std::uint32_t digest = 0;
    const std::string hex = measure::sha256_of(std::string_view(unit)).substr(0, 8);
    std::from_chars(hex.data(), hex.data() + hex.size(), digest, 16);
    one.bucket = digest % 10;
    all.push_back(std::move(one));
  }
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
    for (std::uint32_t domain = 0; domain < domains.size(); ++domain) {
      const std::string name = text(domains[domain], ".txt");
      const auto file = std::find_if(data.set.files.begin(), data.set.files.end(),
                                     [&](const data_file& each) { return each.name == name; });
      expects(file != data.set.files.end(), errc::bad_file, "vader_sentiment has no ", name);
      read_domain(*file, domain, units, data.all);
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
