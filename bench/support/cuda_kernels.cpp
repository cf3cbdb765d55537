#include "bench/support/cuda_kernels.hpp"

#include <algorithm>
#include <fstream>

#include <nlohmann/json.hpp>

#include <hocket/core/error.hpp>

namespace hocket::bench {

namespace {

const nlohmann::json& listing() {
  static const nlohmann::json all = [] {
    const std::string path = HOCKET_SOURCE_DIR "/docs/kernels.json";
    std::ifstream in(path);
    expects(in.good(), errc::bad_file, path, " cannot be read; tests/nvcc/kernels.py json writes it");
    return nlohmann::json::parse(in).at("kernels");
  }();
  return all;
}

}  // namespace

std::vector<cuda_kernel> cuda_kernels(std::string_view operation) {
  std::vector<cuda_kernel> kernels;
  for (const auto& one : listing())
    if (one.at("operation").get<std::string>() == operation)
      kernels.push_back({one.at("name").get<std::string>(), std::string(operation),
                         one.at("variant").get<std::string>(), one.at("dtype").get<std::string>()});
  return kernels;
}

std::vector<std::string> cuda_rooms() {
  std::vector<std::string> rooms;
  for (const auto& one : listing())  // sorted by name, so rooms may come in several runs
    if (const auto room = one.at("operation").get<std::string>();
        std::find(rooms.begin(), rooms.end(), room) == rooms.end())
      rooms.push_back(room);
  std::sort(rooms.begin(), rooms.end());
  return rooms;
}

std::size_t size_of(const dimensions& sizes, std::string_view name) {
  for (const auto& [known, value] : sizes)
    if (known == name) return value;
  fail(errc::bad_option, "no size ", name, " was given to this CUDA arm");
}

std::string to_text(const dimensions& sizes) {
  std::string out;
  for (const auto& [name, value] : sizes) out += text(out.empty() ? "" : " ", name, "=", value);
  return out;
}

std::size_t bytes_of_type(std::string_view dtype) {
  if (dtype == "f64") return 8;
  if (dtype == "f32" || dtype == "tf32" || dtype == "i32") return 4;
  if (dtype == "f16" || dtype == "bf16" || dtype == "i16") return 2;
  fail(errc::bad_option, "the element type ", dtype, " has no size here");
}

}  // namespace hocket::bench
