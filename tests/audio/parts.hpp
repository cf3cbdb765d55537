// Named arrays of tests/oracles/audio/parts.{txt,bin}: what scipy, librosa and torchaudio say about single steps.
#pragma once

#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <hocket/core/error.hpp>

namespace oracle {

struct part {
  std::vector<std::size_t> shape;
  std::vector<double> values;
};

inline const std::map<std::string, part>& parts() {
  static const std::map<std::string, part> all = [] {
    const std::string stem = HOCKET_SOURCE_DIR "/tests/oracles/audio/parts";
    std::ifstream manifest(stem + ".txt"), data(stem + ".bin", std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(data), {});
    std::map<std::string, part> out;
    for (std::string line; std::getline(manifest, line);) {
      if (line.starts_with('#')) continue;
      std::istringstream fields(line);
      std::string name, dimensions;
      std::size_t offset = 0, size = 1;
      fields >> name >> dimensions >> offset;
      part p;
      std::istringstream dims(dimensions);
      for (std::string n; std::getline(dims, n, ',');) p.shape.push_back(std::stoul(n));
      for (const std::size_t n : p.shape) size *= n;
      p.values.resize(size);
      hocket::expects(offset + size * sizeof(double) <= bytes.size(), hocket::errc::bad_file, "parts.bin ends before ",
                      name);
      std::memcpy(p.values.data(), bytes.data() + offset, size * sizeof(double));
      out[name] = p;
    }
    hocket::expects(!out.empty(), hocket::errc::bad_file, stem, ".txt holds no arrays");
    return out;
  }();
  return all;
}

inline const part& of(const std::string& name) {
  const auto at = parts().find(name);
  hocket::expects(at != parts().end(), hocket::errc::bad_file, "parts.txt has no ", name);
  return at->second;
}

/// "a/b/c" -> {a, b, c}
inline std::vector<std::string> fields(const std::string& name) {
  std::vector<std::string> out;
  std::istringstream in(name);
  for (std::string field; std::getline(in, field, '/');) out.push_back(field);
  return out;
}

}  // namespace oracle
