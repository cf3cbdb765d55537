// A folder of its own for each test, removed at its end; and seeded damage for the parsers.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include <unistd.h>

#include <hocket/core/rng.hpp>
#include <hocket/io/file.hpp>

namespace hocket::tests {

class temporary_folder {
 public:
  temporary_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "hocket-io-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make a temporary folder");
    path_ = pattern;
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::filesystem::path operator/(const char* name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// One to four damages: a flipped bit, a random byte, an extreme byte, a cut, a doubled or a removed stretch.
inline std::vector<unsigned char> damaged(std::vector<unsigned char> bytes, philox& random) {
  const std::size_t wounds = 1 + static_cast<std::size_t>(random.next_below(4));
  for (std::size_t w = 0; w < wounds && !bytes.empty(); ++w) {
    // Headers are short and decide most: half of the wounds fall into the first 64 bytes.
    const std::size_t reach = random.next_below(2) != 0 ? std::min<std::size_t>(64, bytes.size()) : bytes.size();
    const std::size_t at = static_cast<std::size_t>(random.next_below(reach));
    const auto offset = static_cast<std::ptrdiff_t>(at);
    const std::size_t stretch =
        1 + static_cast<std::size_t>(random.next_below(std::min<std::size_t>(32, bytes.size() - at)));
    const auto stretch_end = static_cast<std::ptrdiff_t>(at + stretch);
    switch (random.next_below(6)) {
      case 0: bytes[at] = static_cast<unsigned char>(bytes[at] ^ (1u << random.next_below(8))); break;
      case 1: bytes[at] = static_cast<unsigned char>(random.next_below(256)); break;
      case 2: bytes[at] = random.next_below(2) != 0 ? 0xFF : 0x00; break;
      case 3: bytes.resize(at); break;
      case 4: {
        const std::vector<unsigned char> part(bytes.begin() + offset, bytes.begin() + stretch_end);
        bytes.insert(bytes.begin() + offset, part.begin(), part.end());
        break;
      }
      default: bytes.erase(bytes.begin() + offset, bytes.begin() + stretch_end);
    }
  }
  return bytes;
}

}  // namespace hocket::tests
