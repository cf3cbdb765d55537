// What a classification case writes into its record: accuracy and macro-F1 with intervals over units, and every item.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <hocket/measure/record.hpp>

#include "experiments/support/data_sets.hpp"
#include "experiments/support/driver.hpp"
#include "experiments/support/folds.hpp"

namespace hocket::experiments {

/// Fills metrics and items. `ids` names the rows in order.
void record_classification(measure::record_body& record, const classification_data& data,
                           const std::vector<std::string>& ids, const std::vector<std::string>& classes,
                           const std::vector<std::uint32_t>& predicted);

/// The protocol of nested cross-validation over the units of a set: equal budgets for every method of `family`.
measure::protocol cross_validation_protocol(const data_set& set, const std::string& task, const std::string& family,
                                            std::size_t folds, std::vector<std::string> notes);

/// What `plan` prints of a set: the smallest difference in accuracy that its items in their units can show.
resolution accuracy_resolution(const data_set& set, std::size_t folds, std::size_t items, std::size_t units);

}  // namespace hocket::experiments
