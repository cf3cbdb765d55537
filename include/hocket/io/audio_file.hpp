// Recordings through libsndfile: WAV, FLAC, OGG and whatever else the installed version decodes. Integer PCM becomes
// [-1, 1) (16 bit: n / 32768), float files are taken as they are. A file that is cut short is an error, not a short
// clip: libsndfile itself would read what is left. NaN and infinite samples are refused with their position.
//
// This header includes <sndfile.h>; a program that includes it links libsndfile. hocket.hpp does not include it.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <sndfile.h>

#include <hocket/core/dtype.hpp>
#include <hocket/core/error.hpp>
#include <hocket/core/view.hpp>
#include <hocket/io/file.hpp>

namespace hocket::io {

/// What a file says about itself.
struct audio_info {
  std::size_t channels = 0;
  std::size_t samples = 0;   ///< per channel
  unsigned sample_rate = 0;  ///< Hz
  double seconds() const { return static_cast<double>(samples) / static_cast<double>(sample_rate); }
};

/// A decoded recording: `samples` holds the channels one after the other, (channels, samples) row-major.
template <Real T>
struct recording {
  audio_info info;
  std::vector<T> samples;

  view<const T, 2> channels() const { return {samples.data(), {info.channels, info.samples}}; }
};

namespace detail {

struct close_sound {
  void operator()(SNDFILE* sound) const noexcept { sf_close(sound); }
};
using sound_handle = std::unique_ptr<SNDFILE, close_sound>;

inline std::uint64_t little_endian(const unsigned char* bytes, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) value |= std::uint64_t{bytes[i]} << (8 * i);
  return value;
}

/// RIFF/WAVE: walks the chunks and throws when the data chunk is longer than the file. A size of 0 or 2^32 - 1 in a
/// header that was streamed to a pipe means "until the end of the file".
inline void require_whole_wav(std::FILE* file, std::uintmax_t file_size, std::string_view path) {
  std::uint64_t at = 12;
  std::array<unsigned char, 8> chunk{};
  while (at + chunk.size() <= file_size) {
    if (std::fseek(file, static_cast<long>(at), SEEK_SET) != 0 ||
        std::fread(chunk.data(), 1, chunk.size(), file) != chunk.size())
      return;
    const std::uint64_t size = little_endian(chunk.data() + 4, 4);
    const std::uint64_t left = file_size - at - chunk.size();
    if (std::memcmp(chunk.data(), "data", 4) == 0) {
      expects(size <= left || size == 0xFFFFFFFFu, errc::bad_file, path, ": truncated: the header promises ", size,
              " bytes of samples, the file holds ", left);
      return;
    }
    at += chunk.size() + size + size % 2;
  }
  fail(errc::bad_file, path, ": truncated: the file ends before its samples");
}

/// OGG: walks the pages (RFC 3533, section 6) and throws when the last one is cut.
inline void require_whole_ogg(std::FILE* file, std::uintmax_t file_size, std::string_view path) {
  std::uint64_t at = 0;
  std::array<unsigned char, 27 + 255> page{};
  while (at < file_size) {
    if (std::fseek(file, static_cast<long>(at), SEEK_SET) != 0) return;
    const std::size_t got = std::fread(page.data(), 1, page.size(), file);
    if (got >= 4 && std::memcmp(page.data(), "OggS", 4) != 0) return;  // not a page border: libsndfile resynchronises
    const std::size_t segments = got >= 27 ? page[26] : 0;
    bool whole = got >= 27 && got >= 27 + segments;
    std::uint64_t length = 27 + segments;
    for (std::size_t i = 0; whole && i < segments; ++i) length += page[27 + i];
    whole = whole && at + length <= file_size;
    expects(whole, errc::bad_file, path, ": truncated: the page at byte ", at, " is cut short");
    at += length;
  }
}

/// Detects what libsndfile accepts in silence.
inline void require_whole(const std::filesystem::path& path) {
  const std::uintmax_t size = require_regular_file(path);
  expects(size > 0, errc::bad_file, path.string(), ": the file is empty");
  const file_handle file = open_for_reading(path);
  std::array<unsigned char, 12> head{};
  const std::size_t got = std::fread(head.data(), 1, head.size(), file.get());
  if (got >= 12 && std::memcmp(head.data(), "RIFF", 4) == 0 && std::memcmp(head.data() + 8, "WAVE", 4) == 0)
    require_whole_wav(file.get(), size, path.string());
  if (got >= 4 && std::memcmp(head.data(), "OggS", 4) == 0) require_whole_ogg(file.get(), size, path.string());
}

inline sound_handle open_sound(const std::filesystem::path& path, audio_info& info) {
  require_whole(path);
  SF_INFO raw{};
  sound_handle sound(sf_open(path.c_str(), SFM_READ, &raw));
  expects(sound != nullptr, errc::bad_file, path.string(), ": not a readable recording: ", sf_strerror(nullptr));
  expects(raw.channels >= 1 && raw.channels <= 1024, errc::bad_file, path.string(), ": ", raw.channels, " channels");
  expects(raw.samplerate >= 1, errc::bad_file, path.string(), ": a sample rate of ", raw.samplerate, " Hz");
  expects(raw.frames >= 0, errc::bad_file, path.string(), ": ", static_cast<long long>(raw.frames), " samples");
  info.channels = static_cast<std::size_t>(raw.channels);
  info.samples = static_cast<std::size_t>(raw.frames);
  info.sample_rate = static_cast<unsigned>(raw.samplerate);
  return sound;
}

template <Real T>
sf_count_t read_interleaved(SNDFILE* sound, T* out, std::size_t samples) {
  if constexpr (std::is_same_v<T, float>) {
    return sf_readf_float(sound, out, static_cast<sf_count_t>(samples));
  } else {
    return sf_readf_double(sound, out, static_cast<sf_count_t>(samples));
  }
}

/// How many samples fewer than announced may come out. The length of a compressed OGG stream is an estimate, off by
/// less than a packet (Opus: at most 120 ms, RFC 6716, section 2.1.4; Vorbis: a block of at most 8192 samples); cut
/// pages have been refused before.
inline std::size_t tolerated_shortfall(SNDFILE* sound) {
  SF_INFO raw{};
  if (sf_command(sound, SFC_GET_CURRENT_SF_INFO, &raw, sizeof raw) != 0) return 0;
  if ((raw.format & SF_FORMAT_TYPEMASK) != SF_FORMAT_OGG) return 0;
  return std::max<std::size_t>(8192, static_cast<std::size_t>(raw.samplerate) * 12 / 100);
}

}  // namespace detail

/// The header alone, without decoding.
inline audio_info read_audio_info(const std::filesystem::path& path) {
  audio_info info;
  const detail::sound_handle sound = detail::open_sound(path, info);
  return info;
}

/// Decodes the whole file. Memory grows with what is really there, never with what a header claims.
template <Real T>
recording<T> read_audio(const std::filesystem::path& path) {
  recording<T> result;
  const std::string name = path.string();
  const detail::sound_handle sound = detail::open_sound(path, result.info);
  const std::size_t channels = result.info.channels;
  const std::size_t block =
      std::max<std::size_t>(1, (std::size_t{1} << 16) / channels);  // samples per channel and read
  std::vector<T> interleaved(block * channels);
  std::vector<std::vector<T>> planes(channels);
  std::size_t done = 0;
  while (true) {
    const sf_count_t got = detail::read_interleaved(sound.get(), interleaved.data(), block);
    expects(sf_error(sound.get()) == SF_ERR_NO_ERROR, errc::bad_file, name, ": broken near sample ", done, ": ",
            sf_strerror(sound.get()));
    if (got <= 0) break;
    const std::size_t count = static_cast<std::size_t>(got);
    for (std::size_t c = 0; c < channels; ++c) {
      planes[c].resize(done + count);
      for (std::size_t i = 0; i < count; ++i) {
        const T value = interleaved[i * channels + c];
        expects(std::isfinite(value), errc::bad_value, name, ": sample ", done + i, " of channel ", c, " is ",
                std::isnan(value) ? "NaN" : "infinite");
        planes[c][done + i] = value;
      }
    }
    done += count;
  }
  if (result.info.samples == 0 || result.info.samples == static_cast<std::size_t>(SF_COUNT_MAX))
    result.info.samples = done;  // written to a pipe: the header does not know its length
  const std::size_t promised = result.info.samples;
  expects(done == promised || (done < promised && promised - done <= detail::tolerated_shortfall(sound.get())),
          errc::bad_file, name, ": truncated: the header promises ", promised, " samples, ", done, " could be decoded");
  result.info.samples = done;
  result.samples.reserve(done * channels);
  for (const auto& plane : planes) result.samples.insert(result.samples.end(), plane.begin(), plane.end());
  return result;
}

/// Mean over the channels, (n); summed in double.
template <Real T>
std::vector<T> mix_to_mono(const recording<T>& clip) {
  if (clip.info.channels == 1) return clip.samples;
  std::vector<T> mono(clip.info.samples);
  const auto channels = clip.channels();
  for (std::size_t i = 0; i < mono.size(); ++i) {
    double sum = 0;
    for (std::size_t c = 0; c < clip.info.channels; ++c) sum += static_cast<double>(channels(c, i));
    mono[i] = static_cast<T>(sum / static_cast<double>(clip.info.channels));
  }
  return mono;
}

}  // namespace hocket::io
