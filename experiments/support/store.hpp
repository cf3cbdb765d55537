// The results folder of one experiment: finished records by key, their order in time, a journal of what was begun.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace hocket::experiments {

/// What the driver needs to know of a stored record.
struct stored_record {
  std::string name, key, status, fingerprint;
  bool timed = false;
  double wall_s = 0;
  std::filesystem::path path;
};

class record_store {
 public:
  /// Reads the folder; files that are not records are named in `damaged` and treated as absent.
  record_store(std::filesystem::path results, std::string experiment);

  /// The finished record (ok or skipped) of this key. One that had been superseded is brought back.
  const stored_record* finished(const std::string& key);
  /// Any stored record of this key, whatever its status.
  const stored_record* find(const std::string& key) const;
  /// Wall time of an earlier run of this case, under any key.
  std::optional<double> earlier_wall_s(const std::string& name) const;
  /// Stores a record; earlier records of the same case (on the same machine, for a timed kind) move to _superseded.
  std::filesystem::path write(const nlohmann::json& record);
  /// Appends one line {"event", "case", "key", "utc"}: begin, end, interrupt.
  void journal(const std::string& event, const std::string& name, const std::string& key) const;

  const std::map<std::string, stored_record>& records() const { return records_; }
  const std::vector<std::string>& damaged() const { return damaged_; }
  std::filesystem::path folder() const { return results_ / experiment_; }

 private:
  void supersede(const stored_record& current);

  std::filesystem::path results_;
  std::string experiment_;
  std::map<std::string, stored_record> records_;  // by key
  std::map<std::string, stored_record> superseded_;
  std::vector<std::string> damaged_;
};

}  // namespace hocket::experiments
