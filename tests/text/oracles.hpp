// The files of tests/oracles/text, and folders for tokenizers that are changed by a test.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/text/tokenizer.hpp>

#include "io/temporary.hpp"

namespace hocket::tests {

inline const std::filesystem::path text_oracles = std::filesystem::path(HOCKET_SOURCE_DIR) / "tests/oracles/text";

inline std::string file_text(const std::filesystem::path& path) {
  const auto bytes = io::read_file(path);
  return {bytes.begin(), bytes.end()};
}

/// Lines of an oracle, each a JSON object.
inline std::vector<io::json_file> oracle_lines(const char* name) {
  const std::string all = file_text(text_oracles / name);
  std::vector<io::json_file> lines;
  for (std::size_t at = 0; at < all.size();) {
    const std::size_t end = all.find('\n', at);
    lines.emplace_back(std::string_view(all).substr(at, end - at), hocket::text(name, ", line ", lines.size() + 1));
    at = end + 1;
  }
  return lines;
}

inline std::vector<texts::token_id> ids_of(const io::json_ref& list) {
  std::vector<texts::token_id> ids;
  for (std::size_t i = 0; i < list.size(); ++i) ids.push_back(static_cast<texts::token_id>(list.at(i).as_size()));
  return ids;
}

/// `text` with the first `from` replaced by `to`; empty when there is none, so that a test cannot pass by not
/// replacing.
inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? std::string() : text.replace(at, from.size(), to);
}

/// The published model where the fetch script puts it.
inline std::filesystem::path published_model() {
  const char* const cache = std::getenv("HOCKET_CACHE");
  const char* const home = std::getenv("HOME");
  const std::filesystem::path root =
      cache && *cache ? std::filesystem::path(cache) : std::filesystem::path(home ? home : ".") / ".cache" / "hocket";
  return root / "data" / "minilm_l6_v2";
}

}  // namespace hocket::tests
