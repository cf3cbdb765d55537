// Encodes texts from standard input for parity.py: each is its length in bytes (u32) and the bytes; a pair has bit 31
// of the first length set and its second text follows. For each: number of tokens (u32), ids, type ids, attention mask
// (i32); length in bytes (u32) and normal form of the (first) text. Arguments: the tokenizer's folder; "file" takes
// truncation and padding as tokenizer.json has them.
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include <hocket/text/tokenizer.hpp>

namespace {

bool read_text(std::string& out, bool& pair) {
  std::uint32_t length = 0;
  if (std::fread(&length, sizeof length, 1, stdin) != 1) return false;
  pair = (length >> 31) != 0;
  out.resize(length & 0x7FFFFFFF);
  return out.empty() || std::fread(out.data(), 1, out.size(), stdin) == out.size();
}

void write(const std::vector<hocket::texts::token_id>& values) {
  std::fwrite(values.data(), sizeof(hocket::texts::token_id), values.size(), stdout);
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const auto tokenizer = hocket::texts::tokenizer::load(arguments[1]);
    const bool as_file = count > 2 && std::string_view(arguments[2]) == "file";
    const hocket::texts::encode_options options = as_file ? tokenizer.file_options() : hocket::texts::encode_options{};
    std::string first, second;
    bool pair = false, ignored = false;
    while (read_text(first, pair)) {
      if (pair && !read_text(second, ignored)) return 4;
      const auto encoded = pair ? tokenizer.encode_pair(first, second, options) : tokenizer.encode_text(first, options);
      const auto size = static_cast<std::uint32_t>(encoded.size());
      std::fwrite(&size, sizeof size, 1, stdout);
      write(encoded.ids);
      write(encoded.type_ids);
      write(encoded.attention_mask);
      const std::string normal = tokenizer.files().normalizer(first);
      const auto bytes = static_cast<std::uint32_t>(normal.size());
      std::fwrite(&bytes, sizeof bytes, 1, stdout);
      std::fwrite(normal.data(), 1, normal.size(), stdout);
    }
  } catch (const hocket::error& problem) {
    std::fprintf(stderr, "%s\n", problem.what());
    return 4;
  }
}
