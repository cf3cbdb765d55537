// Costly intermediate results (decoded audio, features) kept by content: the key is a digest of what makes the bytes,
// the file carries the digest of the bytes themselves and is checked on every read. Written to a temporary file and
// renamed, so a killed process leaves no half file; a damaged file is dropped and made anew.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hocket::experiments {

class stage_cache {
 public:
  explicit stage_cache(std::filesystem::path root) : root_(std::move(root)) {}

  /// The stored bytes, or nothing if there are none or the file is damaged (it is then removed).
  std::optional<std::vector<std::byte>> load(const std::string& stage, const std::string& key) const;
  void store(const std::string& stage, const std::string& key, std::span<const std::byte> bytes) const;
  std::filesystem::path path_of(const std::string& stage, const std::string& key) const {
    return root_ / stage / (key + ".bin");
  }

 private:
  std::filesystem::path root_;
};

}  // namespace hocket::experiments
