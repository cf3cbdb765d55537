// Whole files in and out. Reading is bounded; writing goes to a temporary file that is renamed, so a reader sees the
// old file or the new one and never half of either.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

#include <hocket/core/error.hpp>

namespace hocket::io {

namespace detail {

struct close_file {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using file_handle = std::unique_ptr<std::FILE, close_file>;

}  // namespace detail

/// Bytes: the largest file that a parser of this room loads whole.
inline constexpr std::uintmax_t largest_file = std::uintmax_t{1} << 36;

/// Throws bad_file unless `path` is a regular file that exists; returns its size in bytes. Refusing pipes and devices
/// keeps a parser from waiting for ever.
inline std::uintmax_t require_regular_file(const std::filesystem::path& path) {
  std::error_code trouble;
  const auto status = std::filesystem::status(path, trouble);
  expects(std::filesystem::exists(status), errc::bad_file, path.string(), ": no such file");
  expects(std::filesystem::is_regular_file(status), errc::bad_file, path.string(), ": not a regular file");
  const std::uintmax_t size = std::filesystem::file_size(path, trouble);
  expects(!trouble, errc::bad_file, path.string(), ": ", trouble.message());
  return size;
}

inline detail::file_handle open_for_reading(const std::filesystem::path& path) {
  require_regular_file(path);
  detail::file_handle file(std::fopen(path.c_str(), "rb"));
  expects(file != nullptr, errc::bad_file, path.string(), ": cannot be opened for reading");
  return file;
}

/// The file's bytes; more than `limit` of them is an error.
inline std::vector<unsigned char> read_file(const std::filesystem::path& path, std::uintmax_t limit = largest_file) {
  const std::uintmax_t size = require_regular_file(path);
  expects(size <= limit, errc::bad_file, path.string(), ": ", size, " bytes, at most ", limit, " are read");
  const detail::file_handle file = open_for_reading(path);
  std::vector<unsigned char> bytes(static_cast<std::size_t>(size));
  const std::size_t got = bytes.empty() ? 0 : std::fread(bytes.data(), 1, bytes.size(), file.get());
  expects(got == bytes.size(), errc::bad_file, path.string(), ": read ", got, " of ", bytes.size(), " bytes");
  return bytes;
}

/// A file that is written piece by piece and appears under its name when it is whole: until finish() the pieces go to a
/// temporary file beside it, which a destructor without finish() removes. The folder must exist. Throws bad_file where
/// the name is that of something else than a file: a rename would put a file in the place of a device or a pipe.
class file_writer {
 public:
  explicit file_writer(std::filesystem::path path) : path_(std::move(path)), temporary_(path_) {
    std::error_code ignored;
    const auto status = std::filesystem::status(path_, ignored);
    expects(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status), errc::bad_file,
            path_.string(), ": cannot be written: not a regular file");
    temporary_ += text(".", static_cast<long>(::getpid()), ".part");
    file_.reset(std::fopen(temporary_.c_str(), "wb"));
    expects(file_ != nullptr, errc::bad_file, path_.string(), ": cannot be written (does its folder exist?)");
  }
  file_writer(const file_writer&) = delete;
  file_writer& operator=(const file_writer&) = delete;
  ~file_writer() {
    file_.reset();
    std::error_code ignored;
    if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
  }

  void append(std::span<const std::byte> part) {
    whole_ = whole_ && (part.empty() || std::fwrite(part.data(), 1, part.size(), file_.get()) == part.size());
    require_whole();
  }
  void finish() {
    whole_ = std::fflush(file_.get()) == 0 && whole_;
    require_whole();
    file_.reset();
    std::error_code trouble;
    std::filesystem::rename(temporary_, path_, trouble);
    expects(!trouble, errc::bad_file, path_.string(), ": writing failed: ", trouble.message());
    temporary_.clear();
  }

 private:
  void require_whole() const { expects(whole_, errc::bad_file, path_.string(), ": writing failed (disk full?)"); }

  std::filesystem::path path_, temporary_;
  detail::file_handle file_;
  bool whole_ = true;
};

/// Writes the parts one after the other and renames the result to `path`; the folder must exist.
inline void write_file(const std::filesystem::path& path, std::span<const std::span<const std::byte>> parts) {
  file_writer file(path);
  for (const auto part : parts) file.append(part);
  file.finish();
}

inline void write_file(const std::filesystem::path& path, std::initializer_list<std::span<const std::byte>> parts) {
  write_file(path, std::span(parts.begin(), parts.size()));
}

inline void write_file(const std::filesystem::path& path, std::string_view content) {
  write_file(path, {std::as_bytes(std::span(content))});
}

}  // namespace hocket::io
