// The data sets as experiments/data/fetch.py writes them: a folder NAME with manifest.tsv (path, class, unit, licence,
// sha256) and set.tsv (key, value). They lie in the fetch script's cache or below --data; the embedded ones in the
// checkout. A set that is not there is named, never replaced.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/io/file.hpp>
#include <hocket/io/lines.hpp>
#include <hocket/io/tsv.hpp>
#include <hocket/measure/record.hpp>

#include "experiments/support/driver.hpp"

#if !defined(HOCKET_SOURCE_DIR)
#define HOCKET_SOURCE_DIR "."
#endif

namespace hocket::experiments {

/// One file of a set, with indices into `classes` and `units`.
struct data_file {
  std::filesystem::path path;
  std::string name;  ///< as in the manifest
  std::uint32_t label = 0;
  std::uint32_t unit = 0;
};

struct data_set {
  measure::data_use use;  ///< what the record says; `missing` is set when the set is not there
  std::string title, unit_name;
  std::vector<std::string> classes, units;  ///< sorted by name
  std::vector<data_file> files;             ///< sorted by name
  bool present() const { return use.missing.empty(); }
};

/// $HOCKET_CACHE/data or ~/.cache/hocket/data, unless --data names another folder.
inline std::filesystem::path data_root(const run_options& options) {
  if (!options.data.empty()) return options.data;
  const char* const cache = std::getenv("HOCKET_CACHE");
  if (cache && *cache) return std::filesystem::path(cache) / "data";
  const char* const home = std::getenv("HOME");
  return std::filesystem::path(home ? home : ".") / ".cache" / "hocket" / "data";
}

/// The sets that the repository ships, by the name that their records carry.
inline std::filesystem::path embedded_folder(std::string_view name) {
  const std::filesystem::path root = std::filesystem::path(HOCKET_SOURCE_DIR) / "experiments" / "data" / "embedded";
  if (name == "embedded_sounds") return root / "sounds";
  if (name == "embedded_digits") return root / "digits";
  return {};
}

namespace detail {

inline std::uint32_t index_of(const std::vector<std::string>& sorted, const std::string& name) {
  return static_cast<std::uint32_t>(std::lower_bound(sorted.begin(), sorted.end(), name) - sorted.begin());
}

inline std::vector<std::string> sorted_unique(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace detail

/// Reads the description of a set; what is wrong with it ends up in `use.missing`.
inline data_set open_data_set(const run_options& options, const std::string& name) {
  data_set set;
  set.use.name = name;
  const std::filesystem::path shipped = embedded_folder(name);
  const std::filesystem::path folder = shipped.empty() ? data_root(options) / name : shipped;
  try {
    if (!std::filesystem::exists(folder / "set.tsv")) {
      set.use.missing = text("data set ", name, " is not in ", folder.string(),
                             "; get it with `python3 experiments/data/fetch.py ", name, "`");
      return set;
    }
    std::map<std::string, std::string> described;
    for (const auto& row : io::read_tsv(folder / "set.tsv").rows) described[row.at(0)] = row.at(1);
    set.use.version = described["version"];
    set.use.sha256 = described["sha256"];
    set.use.licence = described["licence"];
    set.use.embedded = described["embedded"] == "true";
    set.use.synthetic = described["synthetic"] == "true";
    set.title = described["title"];
    set.unit_name = described["unit"];
    const io::tsv_table manifest = io::read_tsv(folder / "manifest.tsv");
    const std::size_t path = manifest.column("path"), label = manifest.column("class"), unit = manifest.column("unit");
    std::vector<std::string> classes, units;
    for (const auto& row : manifest.rows) {
      classes.push_back(row[label]);
      units.push_back(row[unit]);
    }
    set.classes = detail::sorted_unique(std::move(classes));
    set.units = detail::sorted_unique(std::move(units));
    for (const auto& row : manifest.rows) {
      set.files.push_back({folder / row[path], row[path], detail::index_of(set.classes, row[label]),
                           detail::index_of(set.units, row[unit])});
      if (!std::filesystem::exists(set.files.back().path))
        set.use.missing = text(set.files.back().path.string(), " is in the manifest of ", name,
                               " and not in its folder; run `python3 "
                               "experiments/data/fetch.py ",
                               name, "` again");
    }
    std::sort(set.files.begin(), set.files.end(),
              [](const data_file& a, const data_file& b) { return a.name < b.name; });
  } catch (const error& problem) {
    set.use.missing = problem.what();
  }
  return set;
}

/// A table of whole or decimal numbers, the class in its last column: rows (n, D) and labels (n).
struct labelled_rows {
  std::vector<double> values;
  std::vector<std::uint32_t> labels;
  std::size_t rows = 0, features = 0, classes = 0;
};

inline labelled_rows parse_labelled_csv(std::string_view content, const std::string& source) {
  labelled_rows table;
  std::vector<double> line_values;
  io::each_line(content, [&](std::string_view line, std::size_t number) {
    if (line.empty()) return;
    line_values.clear();
    const char* at = line.data();
    const char* const stop = line.data() + line.size();
    while (true) {
      double value = 0;
      const auto read = std::from_chars(at, stop, value);
      expects(read.ec == std::errc{} && std::isfinite(value), errc::bad_file, source, ": line ", number, ", column ",
              line_values.size() + 1, ": not a number");
      line_values.push_back(value);
      if (read.ptr == stop) break;
      expects(*read.ptr == ',', errc::bad_file, source, ": line ", number, ": expected a comma");
      at = read.ptr + 1;
    }
    const double label = line_values.back();
    expects(line_values.size() >= 2 && label >= 0 && label < 1e6 && label == std::floor(label), errc::bad_file, source,
            ": line ", number, ": the last column is no class number");
    if (table.rows == 0) table.features = line_values.size() - 1;
    expects(line_values.size() == table.features + 1, errc::bad_file, source, ": line ", number, " has ",
            line_values.size(), " columns, the first line ", table.features + 1);
    table.values.insert(table.values.end(), line_values.begin(), line_values.end() - 1);
    table.labels.push_back(static_cast<std::uint32_t>(label));
    table.classes = std::max(table.classes, static_cast<std::size_t>(label) + 1);
    ++table.rows;
  });
  expects(table.rows > 0, errc::bad_file, source, ": no rows");
  return table;
}

inline labelled_rows read_labelled_csv(const std::filesystem::path& path) {
  const auto bytes = io::read_file(path, std::uintmax_t{1} << 30);
  return parse_labelled_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

}  // namespace hocket::experiments
