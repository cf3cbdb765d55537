#include "experiments/support/rated_sentences.hpp"

#include <algorithm>
#include <charconv>

#include <hocket/io/file.hpp>

namespace hocket::experiments {

namespace {

void read_domain(const data_file& file, std::uint32_t domain, std::vector<rated_sentence>& all) {
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
    rated_sentence one;
    one.domain = domain;
    one.row = line.substr(0, first);
    one.document = one.row.substr(0, one.row.find('_'));
    one.text = line.substr(second + 1);
    one.label = rating >= 0.5 ? 2 : rating <= -0.5 ? 0 : 1;
    all.push_back(std::move(one));
  }
}

}  // namespace

std::vector<rated_sentence> read_rated_sentences(const data_set& set) {
  std::vector<rated_sentence> all;
  for (std::uint32_t domain = 0; domain < rated_domains.size(); ++domain) {
    const std::string name = text(rated_domains[domain], ".txt");
    const auto file =
        std::find_if(set.files.begin(), set.files.end(), [&](const data_file& each) { return each.name == name; });
    expects(file != set.files.end(), errc::bad_file, set.use.name, " has no ", name);
    read_domain(*file, domain, all);
  }
  return all;
}

}  // namespace hocket::experiments
