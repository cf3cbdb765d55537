#include "experiments/support/classification.hpp"

#include <span>
#include <string_view>

#include <hocket/eval/metrics.hpp>
#include <hocket/eval/statistics.hpp>
#include <hocket/measure/sha256.hpp>

namespace hocket::experiments {

void record_classification(measure::record_body& record, const classification_data& data,
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

measure::protocol cross_validation_protocol(const data_set& set, const std::string& task, const std::string& family,
                                            std::size_t folds, std::vector<std::string> notes) {
  measure::protocol p;
  p.task = task;
  p.split_unit = set.unit_name;
  p.family = family;
  p.tuning_trials = static_cast<std::int64_t>(l2_grid.size());
  p.folds = static_cast<std::int64_t>(folds);
  p.notes = std::move(notes);
  return p;
}

resolution accuracy_resolution(const data_set& set, std::size_t folds, std::size_t items, std::size_t units) {
  return {text(set.use.name, ", ", folds, " folds"), items, units, eval::detectable_accuracy_difference(items, units),
          "accuracy"};
}

}  // namespace hocket::experiments
