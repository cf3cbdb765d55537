// Tables of tab-separated text with a header line: the manifests of data sets. Every row has as many fields as the
// header; there is no quoting, so a field holds neither a tab nor a line break. Lines end in LF or CRLF.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/error.hpp>
#include <hocket/io/file.hpp>
#include <hocket/io/lines.hpp>

namespace hocket::io {

struct tsv_table {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  ///< each as long as `columns`
  std::string source;                          ///< the file, for messages

  /// Index of a column; throws bad_file with the known names.
  std::size_t column(std::string_view name) const {
    std::string known;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (columns[i] == name) return i;
      known += text(known.empty() ? "" : ", ", columns[i]);
    }
    fail(errc::bad_file, source, ": no column '", name, "'; the header has: ", known);
  }
  bool has_column(std::string_view name) const {
    for (const std::string& column : columns)
      if (column == name) return true;
    return false;
  }
};

/// Parses text that is already in memory; `source` names it in messages. Lines that begin with '#' before the header
/// are notices and skipped; empty lines are skipped everywhere.
inline tsv_table parse_tsv(std::string_view content, const std::string& source) {
  tsv_table table;
  table.source = source;
  if (content.substr(0, 3) == "\xEF\xBB\xBF") content.remove_prefix(3);
  each_line(content, [&](std::string_view line, std::size_t number) {
    if (line.empty() || (table.columns.empty() && line.front() == '#')) return;
    expects(line.find('\0') == std::string_view::npos, errc::bad_file, source, ": line ", number, ": a zero byte");
    std::vector<std::string> fields;
    for (std::size_t at = 0; at <= line.size();) {
      const std::size_t tab = std::min(line.find('\t', at), line.size());
      fields.emplace_back(line.substr(at, tab - at));
      at = tab + 1;
    }
    if (table.columns.empty()) {
      table.columns = std::move(fields);
      return;
    }
    expects(fields.size() == table.columns.size(), errc::bad_file, source, ": line ", number, " has ", fields.size(),
            " fields, the header ", table.columns.size());
    table.rows.push_back(std::move(fields));
  });
  expects(!table.columns.empty(), errc::bad_file, source, ": no header line");
  return table;
}

inline tsv_table read_tsv(const std::filesystem::path& path) {
  const std::vector<unsigned char> bytes = read_file(path, std::uintmax_t{1} << 30);
  return parse_tsv(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), path.string());
}

}  // namespace hocket::io
