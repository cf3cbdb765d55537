#include <fstream>
#include <iterator>
#include <limits>

#include <hocket/io/audio_file.hpp>

#include "catch.hpp"
#include "io/temporary.hpp"

// libsndfile 1.2 forgets what libvorbis gave it when it refuses a damaged OGG file.
extern "C" const char* __lsan_default_suppressions();
extern "C" const char* __lsan_default_suppressions() { return "leak:libvorbis\nleak:libsndfile\nleak:libopus\n"; }

using namespace hocket;

namespace {

/// A decaying two-tone clip, different in each channel; (samples, channels) interleaved.
std::vector<double> tones(std::size_t samples, std::size_t channels) {
  std::vector<double> values(samples * channels);
  for (std::size_t i = 0; i < samples; ++i)
    for (std::size_t c = 0; c < channels; ++c) {
      const double t = static_cast<double>(i), pitch = 0.05 + 0.013 * static_cast<double>(c);
      values[i * channels + c] = 0.7 * std::sin(pitch * t) * std::exp(-t / 4000) + 0.1 * std::sin(0.9 * t);
    }
  return values;
}

void write_sound(const std::filesystem::path& path, int format, std::size_t channels, int rate,
                 const std::vector<double>& values) {
  SF_INFO info{};
  info.channels = static_cast<int>(channels);
  info.samplerate = rate;
  info.format = format;
  const io::detail::sound_handle sound(sf_open(path.c_str(), SFM_WRITE, &info));
  REQUIRE(sound != nullptr);
  const auto frames = static_cast<sf_count_t>(values.size() / channels);
  REQUIRE(sf_writef_double(sound.get(), values.data(), frames) == frames);
}

void cut(const std::filesystem::path& path, std::uintmax_t size) { std::filesystem::resize_file(path, size); }

std::string refusal(const std::filesystem::path& path, errc expected = errc::bad_file) {
  try {
    io::read_audio<double>(path);
  } catch (const error& refused) {
    CHECK(refused.kind() == expected);
    CHECK(std::string(refused.what()).find(path.string()) == 0);
    return refused.what();
  }
  return "accepted";
}

/// Adds to the position in samples of an OGG file's last page and mends the page's checksum (RFC 3533, section 6).
void add_to_last_position(const std::filesystem::path& path, std::uint64_t extra) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(in), {}};
  in.close();
  const std::size_t page = bytes.rfind("OggS");
  REQUIRE(page != std::string::npos);
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[page + at]); };
  const auto put = [&](std::size_t at, std::uint64_t value, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) bytes[page + at + i] = static_cast<char>(value >> (8 * i) & 0xFF);
  };
  std::uint64_t position = extra;
  for (std::size_t i = 0; i < 8; ++i) position += std::uint64_t{byte(6 + i)} << (8 * i);
  put(6, position, 8);
  put(22, 0, 4);
  std::uint32_t checksum = 0;
  for (std::size_t at = 0; page + at < bytes.size(); ++at) {
    checksum ^= std::uint32_t{byte(at)} << 24;
    for (int bit = 0; bit < 8; ++bit) checksum = checksum << 1 ^ (checksum >> 31 ? 0x04C11DB7u : 0);
  }
  put(22, checksum, 4);
  std::ofstream(path, std::ios::binary) << bytes;
}

bool contains(const std::string& whole, const char* part) { return whole.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("integer PCM reads as n / 2^(bits - 1), exactly", "[io][audio]") {
  const tests::temporary_folder folder;
  const std::vector<double> values = {0, 1.0 / 128, -1, 127.0 / 128, -0.5, 0.25};
  for (const auto& [format, bits] :
       {std::pair{SF_FORMAT_PCM_U8, 8}, {SF_FORMAT_PCM_16, 16}, {SF_FORMAT_PCM_24, 24}, {SF_FORMAT_PCM_32, 32}}) {
    INFO(bits);
    write_sound(folder / "pcm.wav", SF_FORMAT_WAV | format, 1, 8000, {});
    SF_INFO info{};
    info.channels = 1;
    info.samplerate = 8000;
    info.format = SF_FORMAT_WAV | format;
    {
      const io::detail::sound_handle sound(sf_open((folder / "pcm.wav").c_str(), SFM_WRITE, &info));
      std::vector<int> steps;  // sf_write_int takes the high bits of 32
      for (const double value : values) steps.push_back(static_cast<int>(std::lrint(value * 2147483648.0)));
      REQUIRE(sf_write_int(sound.get(), steps.data(), static_cast<sf_count_t>(steps.size())) ==
              static_cast<sf_count_t>(steps.size()));
    }
    const auto wide = io::read_audio<double>(folder / "pcm.wav");
    CHECK(wide.samples == values);
    const auto narrow = io::read_audio<float>(folder / "pcm.wav");
    CHECK(std::equal(narrow.samples.begin(), narrow.samples.end(), values.begin(),
                     [](float a, double b) { return a == static_cast<float>(b); }));
  }
}

TEST_CASE("float files are taken as they are, beyond full scale too", "[io][audio]") {
  const tests::temporary_folder folder;
  const std::vector<double> values = {0, 1e-30, 3.5, -32768, 1e20, 0.1};
  write_sound(folder / "float.wav", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 2, 44100, values);
  const auto read = io::read_audio<double>(folder / "float.wav");
  CHECK(read.info.channels == 2);
  CHECK(read.info.samples == 3);
  CHECK(read.samples == std::vector<double>{0, 3.5, 1e20, 1e-30, -32768, 0.1});
  const auto mono = io::mix_to_mono(read);
  CHECK(mono == std::vector<double>{1e-30 / 2, (3.5 - 32768) / 2, (1e20 + 0.1) / 2});
}

TEST_CASE("every container, channel count and sample rate comes back whole", "[io][audio]") {
  const tests::temporary_folder folder;
  struct kind {
    const char* name;
    int format;
    std::size_t channels;
    int rate;
    double step;  // of the quantisation; 0: lossy
  };
  const double step16 = std::ldexp(1, -15), step24 = std::ldexp(1, -23);
  for (const kind& k : {kind{"eight.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_24, 8, 48000, step24},
                        kind{"fast.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, 192000, step16},
                        kind{"stereo.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 2, 44100, step16},
                        kind{"eight.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, 8, 96000, step24},
                        kind{"stereo.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 2, 22050, 0},
                        kind{"old.aiff", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, 1, 11025, step16}}) {
    INFO(k.name);
    const std::vector<double> values = tones(5003, k.channels);
    write_sound(folder / k.name, k.format, k.channels, k.rate, values);
    const auto info = io::read_audio_info(folder / k.name);
    const auto read = io::read_audio<double>(folder / k.name);
    CHECK(info.samples == 5003);
    CHECK(read.info.samples == 5003);
    REQUIRE(read.info.channels == k.channels);
    CHECK(read.info.sample_rate == static_cast<unsigned>(k.rate));
    if (k.step > 0) {
      double worst = 0;
      for (std::size_t c = 0; c < k.channels; ++c)
        for (std::size_t i = 0; i < 5003; ++i)
          worst = std::max(worst, std::abs(read.channels()(c, i) - values[i * k.channels + c]));
      CHECK(worst <= 1.5 * k.step);  // libsndfile's writer multiplies by 2^(bits - 1) - 1 and rounds
    }
  }
}

TEST_CASE("a recording without samples reads as none", "[io][audio]") {
  const tests::temporary_folder folder;
  write_sound(folder / "none.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 2, 44100, {});
  const auto read = io::read_audio<float>(folder / "none.wav");
  CHECK(read.info.samples == 0);
  CHECK(read.info.channels == 2);
  CHECK(io::mix_to_mono(read).empty());
}

TEST_CASE("what is cut short, empty or something else is refused with path and reason", "[io][audio]") {
  const tests::temporary_folder folder;
  CHECK(contains(refusal(folder / "absent.wav"), "no such file"));
  CHECK(contains(refusal(folder / "."), "not a regular file"));
  io::write_file(folder / "empty.wav", std::string_view{});
  CHECK(contains(refusal(folder / "empty.wav"), "empty"));
  io::write_file(folder / "text.wav", "this is not a recording at all, it is prose");
  CHECK(contains(refusal(folder / "text.wav"), "not a readable recording"));
  const std::vector<double> values = tones(20000, 1);
  for (const auto& [name, format] : {std::pair{"cut.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16},
                                     {"cut.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16},
                                     {"cut.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS}}) {
    INFO(name);
    for (const double share : {0.001, 0.3, 0.7, 0.999}) {
      write_sound(folder / name, format, 1, 44100, values);
      const auto size = std::filesystem::file_size(folder / name);
      cut(folder / name, static_cast<std::uintmax_t>(share * static_cast<double>(size)));
      INFO(share);
      CHECK(refusal(folder / name) != "accepted");
    }
  }
}

TEST_CASE("an OGG stream may announce a packet too much, not more", "[io][audio]") {
  const tests::temporary_folder folder;
  const auto announce = [&](const char* name, std::uint64_t extra) {
    const auto path = folder / name;
    write_sound(path, SF_FORMAT_OGG | SF_FORMAT_OPUS, 1, 48000, tones(240000, 1));
    add_to_last_position(path, extra);
    REQUIRE(io::read_audio_info(path).samples == 240000 + extra);
    return path;
  };
  const auto estimated = io::read_audio<double>(announce("estimated.ogg", 3000));
  CHECK(estimated.info.samples >= 240000);
  CHECK(estimated.info.samples < 240000 + 3000);
  CHECK(estimated.samples.size() == estimated.info.samples);
  CHECK(contains(refusal(announce("cut.ogg", 20000)), "truncated"));
}

TEST_CASE("a header streamed to a pipe means until the end of the file", "[io][audio]") {
  const tests::temporary_folder folder;
  const std::vector<double> values = tones(1000, 1);
  write_sound(folder / "pipe.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, 16000, values);
  auto bytes = io::read_file(folder / "pipe.wav");
  for (const std::size_t field : {std::size_t{4}, std::size_t{40}})
    for (std::size_t i = 0; i < 4; ++i) bytes[field + i] = 0xFF;
  io::write_file(folder / "pipe.wav", {std::as_bytes(std::span(bytes))});
  CHECK(io::read_audio<float>(folder / "pipe.wav").info.samples == 1000);
}

TEST_CASE("NaN and infinite samples are refused with their position", "[io][audio]") {
  const tests::temporary_folder folder;
  std::vector<double> values = tones(100000, 2);
  values[2 * 70001 + 1] = std::numeric_limits<double>::quiet_NaN();
  write_sound(folder / "nan.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 2, 44100, values);
  CHECK(contains(refusal(folder / "nan.wav", errc::bad_value), "sample 70001 of channel 1 is NaN"));
  values[2 * 70001 + 1] = 0;
  values[6] = -std::numeric_limits<double>::infinity();
  write_sound(folder / "inf.wav", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 2, 44100, values);
  CHECK(contains(refusal(folder / "inf.wav", errc::bad_value), "sample 3 of channel 0 is infinite"));
}

namespace {

void fuzz_audio(std::size_t rounds, std::uint64_t seed) {
  const tests::temporary_folder folder;
  std::vector<std::vector<unsigned char>> originals;
  for (const auto& [format, channels] : {std::pair{SF_FORMAT_WAV | SF_FORMAT_PCM_16, std::size_t{2}},
                                         {SF_FORMAT_WAV | SF_FORMAT_FLOAT, std::size_t{1}},
                                         {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, std::size_t{2}},
                                         {SF_FORMAT_OGG | SF_FORMAT_VORBIS, std::size_t{1}}}) {
    write_sound(folder / "original", format, channels, 8000, tones(700, channels));
    originals.push_back(io::read_file(folder / "original"));
  }
  philox random(seed);
  std::size_t refused = 0;
  for (std::size_t round = 0; round < rounds; ++round) {
    const auto bytes = tests::damaged(originals[static_cast<std::size_t>(random.next_below(originals.size()))], random);
    io::write_file(folder / "damaged", {std::as_bytes(std::span(bytes))});
    try {
      const auto read = io::read_audio<float>(folder / "damaged");
      if (read.samples.size() != read.info.channels * read.info.samples) FAIL("sizes disagree");
    } catch (const error& e) {
      ++refused;
      if (e.kind() != errc::bad_file && e.kind() != errc::bad_value) FAIL(e.what());
    }
  }
  CHECK(refused > 0);
}

}  // namespace

TEST_CASE("damaged recordings never crash the reader", "[io][audio][fuzz]") { fuzz_audio(400, 1); }
TEST_CASE("damaged recordings never crash the reader, long", "[io][audio][fuzz][.long]") { fuzz_audio(60000, 2); }
