// Lines of text in memory, the one way every reader of text files here cuts them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace hocket::io {

/// f(line, number) for every line, numbered from 1. Lines end in LF or CRLF, the last one also with the text, where a
/// CR before the end counts as its end too; what follows a last LF is no line.
template <class Visit>
void each_line(std::string_view content, Visit&& f) {
  for (std::size_t number = 1; !content.empty(); ++number) {
    const std::size_t end = std::min(content.find('\n'), content.size());
    std::string_view line = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    f(line, number);
  }
}

}  // namespace hocket::io
