// NumPy's .npy files, versions 1.0 to 3.0: numpy/lib/format.py describes the layout. Read: f32, f64, complex64,
// complex128 of either byte order, one to three dimensions, C or Fortran order (returned in C order). Written: version
// 1.0, little-endian, C order. A file must hold exactly the bytes its header promises.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <complex>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/view.hpp>
#include <hocket/io/file.hpp>

namespace hocket::io {

static_assert(std::endian::native == std::endian::little, "arrays are stored as the machine's own little-endian bytes");

constexpr std::size_t size_of(dtype type) { return type == dtype::f32 ? 4 : type == dtype::c128 ? 16 : 8; }

/// An array as read from a file: its own element type and shape, elements in C order.
class npy_array {
 public:
  npy_array(dtype type, std::vector<std::size_t> extents, std::string source)
      : type_(type), extents_(std::move(extents)), source_(std::move(source)) {
    std::size_t count = 1;
    for (const std::size_t extent : extents_) count *= extent;
    size_ = count;
    bytes_ = buffer<unsigned char>(count * size_of(type_));
  }

  dtype type() const { return type_; }
  const std::vector<std::size_t>& extents() const { return extents_; }
  std::size_t rank() const { return extents_.size(); }
  std::size_t size() const { return size_; }
  std::span<unsigned char> bytes() { return {bytes_.data(), bytes_.size()}; }
  std::span<const unsigned char> bytes() const { return {bytes_.data(), bytes_.size()}; }

  /// The elements as (extents...) of T; throws when the file holds another type or number of dimensions.
  template <class T, std::size_t Rank>
  view<const T, Rank> as_view() const {
    expects(type_ == dtype_of<T>, errc::bad_file, source_, ": holds ", name_of(type_), ", expected ",
            name_of(dtype_of<T>));
    expects(rank() == Rank, errc::unsupported_shape, source_, ": has ", rank(), " dimensions, expected ", Rank);
    shape<Rank> extents{};
    std::copy(extents_.begin(), extents_.end(), extents.begin());
    return {reinterpret_cast<const T*>(bytes_.data()), extents};
  }

 private:
  dtype type_;
  std::vector<std::size_t> extents_;
  std::string source_;
  std::size_t size_ = 0;
  buffer<unsigned char> bytes_;
};

namespace detail {

struct npy_header {
  dtype type = dtype::f32;
  bool swap_bytes = false;
  bool fortran_order = false;
  std::vector<std::size_t> extents;
  std::size_t data_offset = 0;
};

/// Reads the Python literal {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), } and nothing more general.
class npy_header_parser {
 public:
  npy_header_parser(std::string_view literal, std::string_view path) : rest_(literal), path_(path) {}

  npy_header parse() {
    npy_header header;
    bool seen_type = false, seen_order = false, seen_shape = false;
    require('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      require(':');
      if (key == "descr" && !seen_type) {
        seen_type = true;
        element_type(header);
      } else if (key == "fortran_order" && !seen_order) {
        seen_order = true;
        header.fortran_order = boolean();
      } else if (key == "shape" && !seen_shape) {
        seen_shape = true;
        header.extents = tuple();
      } else {
        refuse("unexpected key '", key, "'");
      }
      if (!accept(',')) {
        require('}');
        break;
      }
    }
    skip_space();
    if (!rest_.empty()) refuse("characters after the header's closing brace");
    if (!seen_type || !seen_order || !seen_shape) refuse("'descr', 'fortran_order' or 'shape' is missing");
    return header;
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(errc::bad_file, path_, ": not a valid .npy header: ", parts...);
  }
  void skip_space() {
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\n' || rest_.front() == '\t'))
      rest_.remove_prefix(1);
  }
  bool accept(char wanted) {
    skip_space();
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void require(char wanted) {
    if (!accept(wanted)) refuse("expected '", wanted, "'");
  }
  std::string_view quoted() {
    skip_space();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) refuse("expected a quoted name");
    const char mark = rest_.front();
    const std::size_t end = rest_.find(mark, 1);
    if (end == std::string_view::npos) refuse("a quotation mark is not closed");
    const std::string_view inside = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return inside;
  }
  bool boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair{std::string_view("True"), true}, {std::string_view("False"), false}}) {
      if (rest_.substr(0, word.size()) != word) continue;
      rest_.remove_prefix(word.size());
      return value;
    }
    refuse("fortran_order is neither True nor False");
  }
  void element_type(npy_header& header) {
    skip_space();
    if (!rest_.empty() && rest_.front() == '[') refuse("records with named fields are not read");
    const std::string_view descr = quoted();
    const auto known =
        std::array{std::pair{std::string_view("f4"), dtype::f32}, std::pair{std::string_view("f8"), dtype::f64},
                   std::pair{std::string_view("c8"), dtype::c64}, std::pair{std::string_view("c16"), dtype::c128}};
    for (const auto& [name, type] : known) {
      if (descr.size() != name.size() + 1 || descr.substr(1) != name) continue;
      if (descr[0] != '<' && descr[0] != '>' && descr[0] != '=') break;
      header.type = type;
      header.swap_bytes = descr[0] == '>';
      return;
    }
    refuse("element type '", descr, "' is not read; float32, float64, complex64 and complex128 are (use .astype)");
  }
  std::vector<std::size_t> tuple() {
    std::vector<std::size_t> values;
    require('(');
    while (!accept(')')) {
      skip_space();
      std::size_t value = 0;
      const auto done = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
      if (done.ec != std::errc{}) refuse("the shape is not a tuple of sizes");
      rest_.remove_prefix(static_cast<std::size_t>(done.ptr - rest_.data()));
      values.push_back(value);
      if (values.size() > 3) refuse("more than three dimensions");
      if (!accept(',')) {
        require(')');
        break;
      }
    }
    if (values.empty()) refuse("a scalar; one to three dimensions are read");
    return values;
  }

  std::string_view rest_;
  std::string_view path_;
};

inline npy_header parse_npy_header(std::span<const unsigned char> file, std::string_view path) {
  constexpr std::array<unsigned char, 6> magic = {0x93, 'N', 'U', 'M', 'P', 'Y'};
  expects(!file.empty(), errc::bad_file, path, ": the file is empty");
  expects(file.size() >= 10 && std::equal(magic.begin(), magic.end(), file.begin()), errc::bad_file, path,
          ": not a .npy file (its first bytes are not \\x93NUMPY)");
  const unsigned major = file[6], minor = file[7];
  expects(major >= 1 && major <= 3 && minor == 0, errc::bad_file, path, ": .npy version ", major, ".", minor,
          " is not known; 1.0, 2.0 and 3.0 are");
  const std::size_t length_bytes = major == 1 ? 2 : 4;
  expects(file.size() >= 8 + length_bytes, errc::bad_file, path, ": truncated inside the header");
  std::size_t length = 0;
  for (std::size_t i = 0; i < length_bytes; ++i) length |= std::size_t{file[8 + i]} << (8 * i);
  const std::size_t start = 8 + length_bytes;
  expects(length <= file.size() - start, errc::bad_file, path, ": truncated: the header has ", length, " bytes, ",
          file.size() - start, " are left");
  const std::string_view literal(reinterpret_cast<const char*>(file.data()) + start, length);
  npy_header header = npy_header_parser(literal, path).parse();
  header.data_offset = start + length;
  return header;
}

/// Number of bytes of the array; throws when the product does not fit.
inline std::size_t checked_bytes(const npy_header& header, std::string_view path) {
  std::size_t bytes = size_of(header.type);
  bool overflow = false;
  for (const std::size_t extent : header.extents) {
    overflow = overflow || (extent != 0 && bytes > std::numeric_limits<std::size_t>::max() / extent);
    bytes *= extent;
  }
  expects(!overflow || std::find(header.extents.begin(), header.extents.end(), std::size_t{0}) != header.extents.end(),
          errc::bad_file, path, ": the shape's product does not fit a size");
  return overflow ? 0 : bytes;
}

}  // namespace detail

/// Parses a file that is already in memory; `path` names it in messages.
inline npy_array parse_npy(std::span<const unsigned char> file, const std::string& path) {
  const detail::npy_header header = detail::parse_npy_header(file, path);
  const std::size_t bytes = detail::checked_bytes(header, path);
  const std::size_t held = file.size() - header.data_offset;
  expects(held >= bytes, errc::bad_file, path, ": truncated: the header promises ", bytes,
          " bytes of data, the file holds ", held);
  expects(held == bytes, errc::bad_file, path, ": ", held - bytes, " bytes follow the array");
  npy_array array(header.type, header.extents, path);
  const unsigned char* source = file.data() + header.data_offset;
  const std::size_t width = size_of(header.type);
  if (!header.fortran_order || header.extents.size() == 1) {
    std::copy_n(source, bytes, array.bytes().begin());
  } else {
    const std::size_t rows = header.extents[0], columns = header.extents[1];
    const std::size_t depth = header.extents.size() == 3 ? header.extents[2] : 1;
    unsigned char* target = array.bytes().data();
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        for (std::size_t k = 0; k < depth; ++k)
          std::copy_n(source + (i + rows * (j + columns * k)) * width, width,
                      target + ((i * columns + j) * depth + k) * width);
  }
  if (header.swap_bytes) {
    const std::size_t scalar = header.type == dtype::c64 ? 4 : header.type == dtype::c128 ? 8 : width;
    for (std::size_t at = 0; at < bytes; at += scalar)
      std::reverse(array.bytes().begin() + static_cast<std::ptrdiff_t>(at),
                   array.bytes().begin() + static_cast<std::ptrdiff_t>(at + scalar));
  }
  return array;
}

inline npy_array read_npy(const std::filesystem::path& path) { return parse_npy(read_file(path), path.string()); }

/// Reads `path` as (extents...) of T and nothing else.
template <class T>
std::vector<T> read_npy_values(const std::filesystem::path& path, std::size_t expected_size) {
  const npy_array array = read_npy(path);
  expects(array.type() == dtype_of<T>, errc::bad_file, path.string(), ": holds ", name_of(array.type()), ", expected ",
          name_of(dtype_of<T>));
  expects(array.size() == expected_size, errc::unsupported_shape, path.string(), ": holds ", array.size(),
          " elements, expected ", expected_size);
  const auto* first = reinterpret_cast<const T*>(array.bytes().data());
  return std::vector<T>(first, first + array.size());
}

namespace detail {

/// What stands before the elements of a C-order array.
template <class Element, std::size_t Rank>
std::string npy_header_of(const std::array<std::size_t, Rank>& extents) {
  static_assert(is_real_scalar<Element> || dtype_of<Element> != dtype::f32, "float, double or their complex forms");
  constexpr std::string_view descr = dtype_of<Element> == dtype::f32   ? "<f4"
                                     : dtype_of<Element> == dtype::f64 ? "<f8"
                                     : dtype_of<Element> == dtype::c64 ? "<c8"
                                                                       : "<c16";
  std::string literal = text("{'descr': '", descr, "', 'fortran_order': False, 'shape': (");
  for (std::size_t d = 0; d < Rank; ++d) literal += text(d ? ", " : "", extents[d]);
  literal += Rank == 1 ? ",), }" : "), }";
  // The data start at a multiple of 64 bytes, as numpy's own writer does, so that the file can be mapped.
  const std::size_t unpadded = 10 + literal.size() + 1;
  literal.append((64 - unpadded % 64) % 64, ' ');
  literal += '\n';
  std::string header = {static_cast<char>(0x93), 'N', 'U', 'M', 'P', 'Y', 1, 0};
  header += static_cast<char>(literal.size() & 0xFF);
  header += static_cast<char>(literal.size() >> 8);
  return header + literal;
}

}  // namespace detail

/// An array (rows, columns) that is written some rows at a time: one that need not fit into memory.
template <Real T>
class npy_rows_writer {
 public:
  npy_rows_writer(const std::filesystem::path& path, std::size_t rows, std::size_t columns)
      : file_(path), rows_left_(rows), columns_(columns) {
    const std::string header = detail::npy_header_of<T>(std::array{rows, columns});
    file_.append(std::as_bytes(std::span(header)));
  }
  void append(const view<const T, 2>& rows) {
    expects(rows.extent(1) == columns_ && rows.extent(0) <= rows_left_ && rows.dense(), errc::unsupported_shape,
            "npy_rows_writer: ", to_text(rows.extents()), " where ", rows_left_, " rows of ", columns_, " are left");
    file_.append(std::as_bytes(std::span(rows.data(), rows.size())));
    rows_left_ -= rows.extent(0);
  }
  /// The file appears under its name.
  void finish() {
    expects(rows_left_ == 0, errc::unsupported_shape, "npy_rows_writer: ", rows_left_, " rows are missing");
    file_.finish();
  }

 private:
  file_writer file_;
  std::size_t rows_left_, columns_;
};

/// Writes a view of float, double, std::complex<float> or std::complex<double> in C order.
template <class T, std::size_t Rank>
void write_npy(const std::filesystem::path& path, const view<T, Rank>& values) {
  using Element = std::remove_cv_t<T>;
  const std::string header = detail::npy_header_of<Element>(values.extents());
  std::vector<Element> packed;
  std::span<const Element> elements(values.data(), values.size());
  if (!values.dense()) {
    packed.reserve(values.size());
    const auto append = [&](auto&& self, const auto& part) -> void {
      using Part = std::remove_cvref_t<decltype(part)>;
      if constexpr (std::is_same_v<Part, view<T, 1>>) {
        packed.insert(packed.end(), part.begin(), part.end());
      } else {
        for (std::size_t i = 0; i < part.extent(0); ++i) self(self, part[i]);
      }
    };
    append(append, values);
    elements = packed;
  }
  write_file(path, {std::as_bytes(std::span(header)), std::as_bytes(elements)});
}

/// Throws bad_value with the position of the first NaN or infinity in (rows, columns).
template <Real T>
void require_finite(const view<const T, 2>& values, std::string_view source) {
  for (std::size_t i = 0; i < values.extent(0); ++i)
    for (std::size_t j = 0; j < values.extent(1); ++j)
      expects(std::isfinite(values(i, j)), errc::bad_value, source, ": row ", i, ", column ", j, " is ",
              std::isnan(values(i, j)) ? "NaN" : "infinite");
}

}  // namespace hocket::io
