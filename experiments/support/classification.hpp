// What a classification case writes into its record: accuracy and macro-F1 with intervals over units, and every item.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <hocket/eval/metrics.hpp>
#include <hocket/eval/statistics.hpp>
#include <hocket/measure/record.hpp>
#include <hocket/measure/sha256.hpp>

#include "experiments/support/folds.hpp"

namespace hocket::experiments {

/// Fills metrics and items. `ids` names the rows in order.
inline void record_classification(measure::record_body& record, const classification_data& data,
                                  const std::vector<std::string>& ids, const std::vector<std::string>& classes,
                                  const std::vector<std::uint32_t>& predicted) {
  measure::test_items items;
  std::string all_ids;
  for (const std::string& id : ids) all_ids += id + "\n";
  items.ids_sha256 = measure::sha256_of(std::string_view(all_ids));
  items.unit.assign(data.units.begin(), data.units.end());
  items.truth.assign(data.labels.begin(), data.labels.end());
  items.predicted.assign(predicted.begin(), predicted.end());
  items.classes = classes;
  const auto units = eval::items_of_units(items.unit);
  eval::bootstrap_options bootstrap;
  std::vector<std::int64_t> truth, answers;
  for (const auto& metric : eval::classification_metrics) {
    if (metric.name == "balanced_accuracy") continue;
    const auto over = [&](std::span<const std::size_t> drawn) {
      truth.clear();
      answers.clear();
      for (const std::size_t unit : drawn)
        for (const std::size_t item : units[unit]) {
          truth.push_back(items.truth[item]);
          answers.push_back(items.predicted[item]);
        }
      return metric.function(truth, answers, classes.size());
    };
    const eval::interval ci = eval::bootstrap(units.size(), over, bootstrap);
    measure::metric row;
    row.name = metric.name;
    row.variant = metric.variant;
    row.unit = metric.unit;
    row.better = metric.better;
    row.value = metric.function(items.truth, items.predicted, classes.size());
    row.n = static_cast<std::int64_t>(data.rows());
    row.ci_test = {ci.low, ci.high};
    row.ci_method = text("bootstrap by unit, ", name_of(bootstrap.kind), ", ", bootstrap.draws, " draws");
    record.metrics.push_back(std::move(row));
  }
  record.items = std::move(items);
}

}  // namespace hocket::experiments
