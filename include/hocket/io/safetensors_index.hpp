// The header of a safetensors file: eight bytes with its length (little-endian), a JSON object that names every
// tensor's type, shape and bytes, then the bytes themselves (github.com/huggingface/safetensors, README "Format"). A
// file is refused unless its tensors tile the data exactly: no hole, no overlap, nothing past the end, and every shape
// times the size of its type is what its offsets span.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/half.hpp>
#include <hocket/io/json.hpp>

namespace hocket::io {

/// In the order in which the safetensors library writes tensors: wide types first, so that each one is aligned.
enum class tensor_type : std::uint8_t { i64, f64, f32, i32, bf16, f16, i16, i8, u8, boolean };

namespace detail {

struct tensor_type_entry {
  tensor_type type;
  std::string_view name;
  std::size_t bytes;
};
inline constexpr std::array<tensor_type_entry, 10> tensor_types = {{{tensor_type::i64, "I64", 8},
                                                                    {tensor_type::f64, "F64", 8},
                                                                    {tensor_type::f32, "F32", 4},
                                                                    {tensor_type::i32, "I32", 4},
                                                                    {tensor_type::bf16, "BF16", 2},
                                                                    {tensor_type::f16, "F16", 2},
                                                                    {tensor_type::i16, "I16", 2},
                                                                    {tensor_type::i8, "I8", 1},
                                                                    {tensor_type::u8, "U8", 1},
                                                                    {tensor_type::boolean, "BOOL", 1}}};

}  // namespace detail

constexpr std::string_view name_of(tensor_type type) {
  return detail::tensor_types[static_cast<std::size_t>(type)].name;
}
constexpr std::size_t size_of(tensor_type type) { return detail::tensor_types[static_cast<std::size_t>(type)].bytes; }

/// Whether elements of `type` may be read as T. Booleans are bytes: a bool that is neither 0 nor 1 is undefined.
template <class T>
constexpr bool holds(tensor_type type) {
  if constexpr (std::is_same_v<T, double>) return type == tensor_type::f64;
  if constexpr (std::is_same_v<T, float>) return type == tensor_type::f32;
  if constexpr (std::is_same_v<T, f16>) return type == tensor_type::f16;
  if constexpr (std::is_same_v<T, bf16>) return type == tensor_type::bf16;
  if constexpr (std::is_same_v<T, std::int64_t>) return type == tensor_type::i64;
  if constexpr (std::is_same_v<T, std::int32_t>) return type == tensor_type::i32;
  if constexpr (std::is_same_v<T, std::int16_t>) return type == tensor_type::i16;
  if constexpr (std::is_same_v<T, std::int8_t>) return type == tensor_type::i8;
  if constexpr (std::is_same_v<T, std::uint8_t>) return type == tensor_type::u8 || type == tensor_type::boolean;
  return false;
}

/// Element types of the files that have a C++ type here.
template <class T>
inline constexpr bool is_tensor_element = false;
template <>
inline constexpr bool is_tensor_element<double> = true;
template <>
inline constexpr bool is_tensor_element<float> = true;
template <>
inline constexpr bool is_tensor_element<f16> = true;
template <>
inline constexpr bool is_tensor_element<bf16> = true;
template <>
inline constexpr bool is_tensor_element<std::int64_t> = true;
template <>
inline constexpr bool is_tensor_element<std::int32_t> = true;
template <>
inline constexpr bool is_tensor_element<std::int16_t> = true;
template <>
inline constexpr bool is_tensor_element<std::int8_t> = true;
template <>
inline constexpr bool is_tensor_element<std::uint8_t> = true;

template <class T>
concept TensorElement = is_tensor_element<T>;

/// The type as which elements of T are written.
template <TensorElement T>
constexpr tensor_type tensor_type_of() {
  for (const auto& entry : detail::tensor_types)
    if (holds<T>(entry.type)) return entry.type;
  return tensor_type::u8;
}

/// "[30522, 384]": a shape as the file spells it.
inline std::string extents_text(std::span<const std::size_t> extents) {
  std::string out = "[";
  for (std::size_t d = 0; d < extents.size(); ++d) out += text(d ? ", " : "", extents[d]);
  return out + "]";
}

struct tensor_info {
  std::string name;
  tensor_type type = tensor_type::f32;
  std::vector<std::size_t> extents;  ///< empty for a single number
  std::size_t begin = 0, end = 0;    ///< bytes, counted from the first byte after the header

  std::size_t rank() const { return extents.size(); }
  std::size_t bytes() const { return end - begin; }
  std::size_t size() const { return bytes() / size_of(type); }  ///< number of elements
};

struct tensor_note {
  std::string key, value;
};
/// What a file says about itself, such as {"format", "pt"}.
using tensor_metadata = std::vector<tensor_note>;

/// What a header says, checked against the number of bytes in the file.
struct safetensors_index {
  std::vector<tensor_info> tensors;  ///< by their place in the file
  tensor_metadata metadata;          ///< the member __metadata__
  std::size_t data_begin = 0;        ///< bytes, from the start of the file

  std::vector<std::size_t> by_name;  ///< positions in `tensors`, sorted by name

  const tensor_info* find(std::string_view name) const {
    std::size_t low = 0, high = by_name.size();
    while (low < high) {
      const std::size_t middle = low + (high - low) / 2;
      if (tensors[by_name[middle]].name < name) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low == by_name.size() || tensors[by_name[low]].name != name ? nullptr : &tensors[by_name[low]];
  }
};

/// Bytes: the longest header that the safetensors library reads.
inline constexpr std::size_t largest_safetensors_header = 100'000'000;

namespace detail {

/// Number of bytes of `info.extents` elements; a product that does not fit is refused, also beside a zero.
inline std::size_t bytes_of_extents(const tensor_info& info, std::string_view source) {
  std::size_t bytes = size_of(info.type);
  for (const std::size_t extent : info.extents) {
    expects(extent == 0 || bytes <= std::numeric_limits<std::size_t>::max() / extent, errc::bad_file, source,
            ": tensor '", info.name, "': the product of its shape ", extents_text(info.extents),
            " does not fit a size");
    bytes *= extent;
  }
  return bytes;
}

inline tensor_info read_tensor_info(const std::string& name, const json_value& described, std::string_view source) {
  const json_ref entry(described, text(source, ": tensor '", name, "'"));
  tensor_info info;
  info.name = name;
  const std::string& type = entry.at("dtype").as_string();
  const tensor_type_entry* known = tensor_types.data();
  while (known != tensor_types.data() + tensor_types.size() && known->name != type) ++known;
  expects(known != tensor_types.data() + tensor_types.size(), errc::bad_file, entry.where(), ": dtype '", type,
          "' is not known; F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL are");
  info.type = known->type;
  const json_ref extents = entry.at("shape");
  extents.require(json_kind::array);
  for (std::size_t d = 0; d < extents.size(); ++d) info.extents.push_back(extents.at(d).as_size());
  const json_ref offsets = entry.at("data_offsets");
  offsets.require(json_kind::array);
  expects(offsets.size() == 2, errc::bad_file, offsets.where(), ": two numbers are expected, there are ",
          offsets.size());
  info.begin = offsets.at(0).as_size();
  info.end = offsets.at(1).as_size();
  expects(info.begin <= info.end, errc::bad_file, offsets.where(), ": the end ", info.end, " comes before the start ",
          info.begin);
  const std::size_t bytes = bytes_of_extents(info, source);
  expects(bytes == info.bytes(), errc::bad_file, entry.where(), ": ", type, " ", extents_text(info.extents), " has ",
          bytes, " bytes, its data_offsets span ", info.bytes());
  return info;
}

/// Tensors sorted by place must tile [0, size) of the data.
inline void require_tiling(std::span<const tensor_info> tensors, std::size_t size, std::string_view source) {
  std::size_t reached = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const tensor_info& tensor = tensors[i];
    expects(tensor.begin >= reached, errc::bad_file, source, ": tensor '", tensor.name, "': starts at byte ",
            tensor.begin, ", inside tensor '", i ? tensors[i - 1].name : tensor.name, "' that ends at ", reached);
    expects(tensor.begin == reached, errc::bad_file, source, ": tensor '", tensor.name, "': bytes ", reached, " to ",
            tensor.begin, " before it belong to no tensor");
    expects(tensor.end <= size, errc::bad_file, source, ": tensor '", tensor.name, "': ends at byte ", tensor.end,
            " of the data, the file holds ", size, " (truncated?)");
    reached = tensor.end;
  }
  expects(reached == size, errc::bad_file, source, ": ", size - reached, " bytes follow the last tensor",
          tensors.empty() ? std::string() : text(" '", tensors.back().name, "'"));
}

}  // namespace detail

/// Reads and checks the header of a file that lies in memory or is mapped; `source` names it in messages.
inline safetensors_index parse_safetensors(std::span<const std::byte> file, const std::string& source) {
  expects(file.size() >= 8, errc::bad_file, source, ": ", file.size(),
          " bytes; a safetensors file begins with the 8 bytes of its header's length");
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < 8; ++i) length |= static_cast<std::uint64_t>(file[i]) << (8 * i);
  expects(length <= largest_safetensors_header, errc::bad_file, source, ": the header's length is ", length,
          " bytes, at most ", largest_safetensors_header, " are read (is this a safetensors file?)");
  expects(length <= file.size() - 8, errc::bad_file, source, ": the header has ", length, " bytes, ", file.size() - 8,
          " are left in the file (truncated?)");
  const std::string_view header(reinterpret_cast<const char*>(file.data()) + 8, static_cast<std::size_t>(length));
  expects(header.starts_with('{'), errc::bad_file, source, ": the header does not begin with '{'");
  const json_value root = parse_json(header, text(source, ": header"));

  safetensors_index index;
  index.data_begin = 8 + header.size();
  for (const auto& [name, described] : root.members()) {
    if (name != "__metadata__") {
      index.tensors.push_back(detail::read_tensor_info(name, described, source));
      continue;
    }
    const json_ref all(described, text(source, ": __metadata__"));
    all.require(json_kind::object);
    for (const json_member& note : described.members())
      index.metadata.push_back({note.key, all.at(note.key).as_string()});
  }
  // Empty tensors share their place with a neighbour: the end decides, then the name, so the order is one.
  const auto by_place = [](const void* of, std::size_t i, std::size_t k) {
    const auto& all = *static_cast<const std::vector<tensor_info>*>(of);
    const tensor_info &a = all[i], &b = all[k];
    return a.begin != b.begin ? a.begin < b.begin : a.end != b.end ? a.end < b.end : a.name < b.name;
  };
  const auto by_name = [](const void* of, std::size_t i, std::size_t k) {
    const auto& all = *static_cast<const std::vector<tensor_info>*>(of);
    return all[i].name < all[k].name;
  };
  std::vector<tensor_info> placed;
  for (const std::size_t i : detail::sorted_positions(index.tensors.size(), {by_place, &index.tensors}))
    placed.push_back(std::move(index.tensors[i]));
  index.tensors.swap(placed);
  detail::require_tiling(index.tensors, file.size() - index.data_begin, source);
  index.by_name = detail::sorted_positions(index.tensors.size(), {by_name, &index.tensors});
  return index;
}

}  // namespace hocket::io
