// Tensors of a safetensors file, read where they lie: the file is mapped and a view points into the mapping, so opening
// a model costs its header and a weight is loaded when it is first read. Written files have the bytes that the
// safetensors library writes. Nobody may shorten a file while it is open: touching what is gone ends the program
// (mmap(2), SIGBUS).
#pragma once

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hocket/core/buffer.hpp>
#include <hocket/core/view.hpp>
#include <hocket/io/file.hpp>
#include <hocket/io/safetensors_index.hpp>

namespace hocket::io {

static_assert(std::endian::native == std::endian::little,
              "tensors are stored as the machine's own little-endian bytes");

/// A file's bytes, read-only, brought in page by page on first use.
class file_mapping {
 public:
  file_mapping() = default;
  explicit file_mapping(const std::filesystem::path& path) {
    const std::uintmax_t size = require_regular_file(path);
    if (size == 0) return;
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    expects(descriptor >= 0, errc::bad_file, path.string(), ": cannot be opened for reading: ", std::strerror(errno));
    struct ::stat now {};
    const bool known = ::fstat(descriptor, &now) == 0;
    size_ = known ? static_cast<std::size_t>(now.st_size) : 0;
    void* const mapped = size_ == 0 ? MAP_FAILED : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int trouble = errno;
    ::close(descriptor);
    expects(mapped != MAP_FAILED, errc::bad_file, path.string(), ": cannot be mapped: ", std::strerror(trouble));
    data_ = static_cast<const std::byte*>(mapped);
  }
  file_mapping(file_mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  file_mapping& operator=(file_mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~file_mapping() {
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
  }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

struct safetensors_options {
  bool require_finite = false;  ///< refuse a file with a NaN or an infinity in it; reads every weight
};

/// Views stay valid as long as the object that gave them, and follow it when it is moved.
class safetensors_file {
 public:
  explicit safetensors_file(const std::filesystem::path& path, const safetensors_options& options = {})
      : source_(path.string()), mapping_(path), index_(parse_safetensors(mapping_.bytes(), source_)) {
    if (options.require_finite)
      for (const tensor_info& tensor : index_.tensors) require_finite(tensor.name);
  }

  const std::string& source() const { return source_; }
  /// Every tensor, by its place in the file.
  std::span<const tensor_info> tensors() const { return index_.tensors; }
  const tensor_metadata& metadata() const { return index_.metadata; }
  /// What the file says under `key`; null when it says nothing.
  const std::string* metadata(std::string_view key) const {
    for (const tensor_note& note : index_.metadata)
      if (note.key == key) return &note.value;
    return nullptr;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> all;
    for (const tensor_info& tensor : index_.tensors) all.push_back(tensor.name);
    return all;
  }
  bool contains(std::string_view name) const { return index_.find(name) != nullptr; }
  const tensor_info& info(std::string_view name) const {
    const tensor_info* const found = index_.find(name);
    expects(found != nullptr, errc::bad_file, source_, ": tensor '", name, "' is missing; the file holds ",
            index_.tensors.size(), " tensors", known_names());
    return *found;
  }
  std::span<const std::byte> bytes(std::string_view name) const { return bytes(info(name)); }

  /// The tensor where it lies in the file, (extents...). Its type must be T's, its rank Rank; `misaligned` where the
  /// file puts it at an odd address (the safetensors library never does): take `copy` then.
  template <TensorElement T, std::size_t Rank>
  hocket::view<const T, Rank> as_view(std::string_view name) const {
    const tensor_info& tensor = typed<T>(name);
    expects(tensor.rank() == Rank, errc::unsupported_shape, source_, ": tensor '", name, "' is ",
            extents_text(tensor.extents), ", expected ", Rank, " dimensions");
    const std::byte* const data = bytes(tensor).data();
    expects(reinterpret_cast<std::uintptr_t>(data) % alignof(T) == 0, errc::misaligned, source_, ": tensor '", name,
            "' starts at byte ", index_.data_begin + tensor.begin, " of the file, which is no multiple of ", alignof(T),
            "; read it with copy()");
    shape<Rank> extents{};
    std::copy(tensor.extents.begin(), tensor.extents.end(), extents.begin());
    return {reinterpret_cast<const T*>(data), extents};
  }
  /// The same for a tensor whose shape is known beforehand.
  template <TensorElement T, std::size_t Rank>
  hocket::view<const T, Rank> as_view(std::string_view name, const shape<Rank>& expected) const {
    require_extents(info(name), expected);
    return as_view<T, Rank>(name);
  }

  /// The elements in memory of their own, wherever the file puts them.
  template <TensorElement T>
  buffer<T> copy(std::string_view name) const {
    const tensor_info& tensor = typed<T>(name);
    buffer<T> out(tensor.size());
    if (tensor.bytes() > 0) std::memcpy(out.data(), bytes(tensor).data(), tensor.bytes());
    return out;
  }

  /// The elements of a floating-point tensor of any width as `Scalar`; f64 is rounded, the others are exact.
  template <Real Scalar>
  buffer<Scalar> copy_as(std::string_view name) const {
    const tensor_info& tensor = info(name);
    switch (tensor.type) {
      case tensor_type::f64: return converted<double, Scalar>(tensor);
      case tensor_type::f32: return converted<float, Scalar>(tensor);
      case tensor_type::f16: return converted<f16, Scalar>(tensor);
      case tensor_type::bf16: return converted<bf16, Scalar>(tensor);
      default: break;
    }
    fail(errc::bad_file, source_, ": tensor '", name, "' holds ", name_of(tensor.type), ", expected floating point");
  }

  /// Throws bad_file with tensor, position and value at the first NaN or infinity.
  void require_finite(std::string_view name) const {
    const tensor_info& tensor = info(name);
    switch (tensor.type) {
      case tensor_type::f64: return require_finite_elements<double>(tensor);
      case tensor_type::f32: return require_finite_elements<float>(tensor);
      case tensor_type::f16: return require_finite_elements<f16>(tensor);
      case tensor_type::bf16: return require_finite_elements<bf16>(tensor);
      default: return;
    }
  }

  template <std::size_t Rank>
  void require_extents(const tensor_info& tensor, const shape<Rank>& expected) const {
    expects(std::equal(tensor.extents.begin(), tensor.extents.end(), expected.begin(), expected.end()), errc::bad_file,
            source_, ": tensor '", tensor.name, "' is ", extents_text(tensor.extents), ", expected ",
            extents_text(expected));
  }

 private:
  std::span<const std::byte> bytes(const tensor_info& tensor) const {
    return mapping_.bytes().subspan(index_.data_begin + tensor.begin, tensor.bytes());
  }
  template <TensorElement T>
  const tensor_info& typed(std::string_view name) const {
    const tensor_info& tensor = info(name);
    expects(holds<T>(tensor.type), errc::bad_file, source_, ": tensor '", name, "' holds ", name_of(tensor.type),
            ", expected ", name_of(tensor_type_of<T>()));
    return tensor;
  }
  std::string known_names() const {
    std::string all;
    for (std::size_t i = 0; i < index_.tensors.size() && i < 8; ++i)
      all += text(i ? ", '" : ": '", index_.tensors[i].name, "'");
    return all + (index_.tensors.size() > 8 ? ", ..." : "");
  }

  template <class Stored>
  static Stored element(const std::byte* data, std::size_t i) {
    Stored value;
    std::memcpy(&value, data + i * sizeof(Stored), sizeof value);  // wherever it lies
    return value;
  }
  static double widened(double x) { return x; }
  static double widened(float x) { return static_cast<double>(x); }
  static double widened(f16 x) { return static_cast<double>(to_f32(x)); }
  static double widened(bf16 x) { return static_cast<double>(to_f32(x)); }

  template <class Stored, Real Scalar>
  buffer<Scalar> converted(const tensor_info& tensor) const {
    buffer<Scalar> out(tensor.size());
    const std::byte* const data = bytes(tensor).data();
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<Scalar>(widened(element<Stored>(data, i)));
    return out;
  }
  template <class Stored>
  void require_finite_elements(const tensor_info& tensor) const {
    const std::byte* const data = bytes(tensor).data();
    for (std::size_t i = 0; i < tensor.size(); ++i) {
      const double value = widened(element<Stored>(data, i));
      expects(std::isfinite(value), errc::bad_file, source_, ": tensor '", tensor.name, "': element ", i, " of ",
              tensor.size(), " is ", value);
    }
  }

  std::string source_;
  file_mapping mapping_;
  safetensors_index index_;
};

/// A tensor to be written; its bytes are not copied and must outlive the call.
struct tensor_bytes {
  std::string name;
  tensor_type type = tensor_type::f32;
  std::vector<std::size_t> extents;
  std::span<const std::byte> bytes;
};

template <class T, std::size_t Rank>
requires TensorElement<std::remove_const_t<T>> tensor_bytes named_tensor(std::string name, view<T, Rank> values) {
  expects(values.dense(), errc::misaligned, "tensor '", name, "': rows are padded; pack them before writing");
  return {std::move(name), tensor_type_of<std::remove_const_t<T>>(),
          std::vector<std::size_t>(values.extents().begin(), values.extents().end()),
          std::as_bytes(std::span(values.data(), values.size()))};
}

/// The header for tensors that follow it in this order; its length in bytes comes first.
inline std::string safetensors_header(std::span<const tensor_bytes* const> ordered, const tensor_metadata& metadata) {
  const auto by_key = [](const void* of, std::size_t i, std::size_t k) {
    const auto& all = *static_cast<const tensor_metadata*>(of);
    return all[i].key < all[k].key;
  };
  std::string json = "{";
  const auto separate = [&json] { json += json.size() > 1 ? "," : ""; };
  if (!metadata.empty()) {
    json += "\"__metadata__\":{";
    bool first = true;
    for (const std::size_t i : detail::sorted_positions(metadata.size(), {by_key, &metadata})) {
      json += text(first ? "" : ",", json_quoted(metadata[i].key), ":", json_quoted(metadata[i].value));
      first = false;
    }
    json += "}";
  }
  std::size_t at = 0;
  for (const tensor_bytes* tensor : ordered) {
    separate();
    json += text(json_quoted(tensor->name), ":{\"dtype\":\"", name_of(tensor->type), "\",\"shape\":[");
    for (std::size_t d = 0; d < tensor->extents.size(); ++d) json += text(d ? "," : "", tensor->extents[d]);
    json += text("],\"data_offsets\":[", at, ",", at + tensor->bytes.size(), "]}");
    at += tensor->bytes.size();
  }
  json += "}";
  json.append((8 - json.size() % 8) % 8, ' ');  // the data start at a multiple of 8
  expects(json.size() <= largest_safetensors_header, errc::bad_option, "a safetensors header of ", json.size(),
          " bytes; at most ", largest_safetensors_header, " can be read again");
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>((json.size() >> (8 * i)) & 0xFF);
  return length + json;
}

/// Writes tensors in the library's order (wide types first, then by name) whatever the order of the argument, metadata
/// by key: the same tensors give the same bytes.
inline void write_safetensors(const std::filesystem::path& path, std::span<const tensor_bytes> tensors,
                              const tensor_metadata& metadata = {}) {
  const std::string target = path.string();
  for (const auto& [key, value] : metadata)
    expects(is_utf8(key) && is_utf8(value), errc::bad_option, target, ": metadata '", key, "' is not valid UTF-8");
  std::vector<const tensor_bytes*> ordered;
  for (const tensor_bytes& tensor : tensors) {
    expects(tensor.name != "__metadata__", errc::bad_option, target, ": no tensor may be called __metadata__");
    expects(is_utf8(tensor.name), errc::bad_option, target, ": the name '", tensor.name, "' is not valid UTF-8");
    const tensor_info info{tensor.name, tensor.type, tensor.extents, 0, tensor.bytes.size()};
    expects(detail::bytes_of_extents(info, target) == info.bytes(), errc::unsupported_shape, target, ": tensor '",
            tensor.name, "': ", name_of(tensor.type), " ", extents_text(tensor.extents), " does not have ",
            info.bytes(), " bytes");
  }
  const auto by_name = [](const void* of, std::size_t i, std::size_t k) {
    const auto* all = static_cast<const tensor_bytes*>(of);
    return all[i].name < all[k].name;
  };
  const auto by_type = [](const void* of, std::size_t i, std::size_t k) {
    const auto* all = static_cast<const tensor_bytes*>(of);
    return all[i].type != all[k].type ? all[i].type < all[k].type : all[i].name < all[k].name;
  };
  const std::vector<std::size_t> names = detail::sorted_positions(tensors.size(), {by_name, tensors.data()});
  for (std::size_t i = 1; i < names.size(); ++i)
    expects(tensors[names[i - 1]].name != tensors[names[i]].name, errc::bad_option, target,
            ": two tensors are called '", tensors[names[i]].name, "'");
  for (const std::size_t i : detail::sorted_positions(tensors.size(), {by_type, tensors.data()}))
    ordered.push_back(&tensors[i]);
  const std::string header = safetensors_header(ordered, metadata);
  std::vector<std::span<const std::byte>> parts = {std::as_bytes(std::span(header))};
  for (const tensor_bytes* tensor : ordered) parts.push_back(tensor->bytes);
  write_file(path, std::span<const std::span<const std::byte>>(parts));
}

}  // namespace hocket::io
