#include "experiments/support/stage_cache.hpp"

#include <fstream>
#include <sstream>
#include <string_view>

#include <hocket/core/error.hpp>
#include <hocket/measure/record_json.hpp>
#include <hocket/measure/sha256.hpp>

#include "experiments/support/driver.hpp"

namespace hocket::experiments {

namespace {
// File: "hocket.stage/1 <sha256 of the bytes>\n", then the bytes.
constexpr std::string_view magic = "hocket.stage/1 ";
constexpr std::size_t header_size = magic.size() + 64 + 1;
}  // namespace

std::optional<std::vector<std::byte>> stage_cache::load(const std::string& stage, const std::string& key) const {
  const std::filesystem::path path = path_of(stage, key);
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  std::ifstream in(path, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  const std::string content = std::move(all).str();
  if (content.size() >= header_size && content.compare(0, magic.size(), magic) == 0) {
    const auto bytes = std::as_bytes(std::span(content)).subspan(header_size);
    if (content.compare(magic.size(), 64, measure::sha256_of(bytes)) == 0)
      return std::vector(bytes.begin(), bytes.end());
  }
  std::filesystem::remove(path, ignored);
  return std::nullopt;
}

void stage_cache::store(const std::string& stage, const std::string& key, std::span<const std::byte> bytes) const {
  std::string content = text(magic, measure::sha256_of(bytes), "\n");
  content.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  measure::write_atomically(path_of(stage, key), content);
}

std::vector<std::byte> case_run::stage(const std::string& name, const measure::config& what,
                                       const std::vector<std::string>& inputs,
                                       const std::function<std::vector<std::byte>()>& make) {
  const measure::json basis = {
      {"stage", name}, {"config", measure::to_json(what)}, {"inputs", inputs}, {"code", code_digest_}};
  const std::string key = measure::sha256_of(basis.dump()).substr(0, 32);
  if (auto stored = cache_.load(name, key)) return *std::move(stored);
  std::vector<std::byte> made = make();
  cache_.store(name, key, made);
  return made;
}

}  // namespace hocket::experiments
