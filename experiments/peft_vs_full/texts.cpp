#include "experiments/peft_vs_full/texts.hpp"

#include <algorithm>
#include <span>
#include <string_view>

#include <hocket/io/file.hpp>
#include <hocket/io/lines.hpp>
#include <hocket/measure/sha256.hpp>
#include <hocket/text/unicode.hpp>

namespace hocket::experiments::peft_vs_full {

namespace {

/// f(line, number) for every line.
template <class Visit>
text_file each_line(const std::filesystem::path& path, Visit&& f) {
  const std::vector<unsigned char> bytes = io::read_file(path, std::uintmax_t{1} << 32);
  text_file file;
  file.source = path.string();
  file.sha256 = measure::sha256_of(std::as_bytes(std::span(bytes)));
  std::string_view content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (content.starts_with("\xEF\xBB\xBF")) content.remove_prefix(3);
  io::each_line(content, [&](std::string_view line, std::size_t number) { f(file, line, number); });
  return file;
}

void add(text_file& file, std::string_view text, std::size_t line) {
  file.texts.emplace_back(text);
  file.lines.push_back(line);
  if (!texts::is_utf8(text)) ++file.repaired;
}

}  // namespace

text_file read_texts(const std::filesystem::path& path) { return each_line(path, add); }

text_file read_labelled_texts(const std::filesystem::path& path) {
  const std::string source = path.string();
  text_file all = each_line(path, [&](text_file& file, std::string_view line, std::size_t number) {
    if (line.empty() || (number == 1 && line == "label\ttext")) return;
    const std::size_t tab = line.find('\t');
    expects(tab != std::string_view::npos, errc::bad_file, source, ": line ", number,
            ": no tab; expected a label, a tab and a text");
    const std::string_view label = line.substr(0, tab), text = line.substr(tab + 1);
    expects(!label.empty(), errc::bad_file, source, ": line ", number, ": the label before the tab is empty");
    expects(texts::is_utf8(label), errc::bad_file, source, ": line ", number, ": the label is not UTF-8");
    expects(text.find('\t') == std::string_view::npos, errc::bad_file, source, ": line ", number, ": ",
            2 + std::count(text.begin(), text.end(), '\t'), " fields; expected a label, a tab and a text without tabs");
    file.labels.emplace_back(label);
    add(file, text, number);
  });
  expects(!all.texts.empty(), errc::bad_file, source, ": no rows; expected a label, a tab and a text in each line");
  return all;
}

std::vector<std::string> classes_of(const text_file& file) {
  std::vector<std::string> classes = file.labels;
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  expects(classes.size() >= 2, errc::bad_file, file.source, ": all ", file.texts.size(), " rows have the one label '",
          classes.empty() ? "" : classes[0], "' (line ", file.lines.empty() ? 0 : file.lines[0],
          "); a classifier needs two classes or more");
  return classes;
}

std::vector<std::uint32_t> class_indices(const text_file& file, const std::vector<std::string>& classes,
                                         const std::string& training) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < file.labels.size(); ++i) {
    const auto found = std::lower_bound(classes.begin(), classes.end(), file.labels[i]);
    if (found == classes.end() || *found != file.labels[i]) {
      std::string known;
      for (std::size_t k = 0; k < classes.size() && k < 20; ++k) known += text(k > 0 ? ", " : "", classes[k]);
      fail(errc::bad_file, file.source, ": line ", file.lines[i], ": label '", file.labels[i], "' does not occur in ",
           training, "; known are: ", known, classes.size() > 20 ? text(" and ", classes.size() - 20, " more") : "");
    }
    out.push_back(static_cast<std::uint32_t>(found - classes.begin()));
  }
  return out;
}

tokenized tokenize(const texts::tokenizer& words, const std::vector<std::string>& all, std::size_t max_length) {
  texts::encode_options whole, limited;
  limited.truncation.emplace();
  limited.truncation->max_length = max_length;
  tokenized out;
  for (const std::string& text : all) {
    std::vector<texts::token_id> ids = words.encode(text, whole);
    if (ids.size() > max_length) {
      ids = words.encode(text, limited);
      ++out.cut;
    }
    out.ids.emplace_back(ids.begin(), ids.end());
  }
  return out;
}

}  // namespace hocket::experiments::peft_vs_full
