// The verb `extract` as a user meets it: exit codes, messages, and the library's own numbers in the file.
#include <complex>

#include <sndfile.h>

#include <hocket/audio/mfcc.hpp>
#include <hocket/io/audio_file.hpp>
#include <hocket/io/npy.hpp>

#include "experiments/programs.hpp"

using namespace hocket;
using program::scratch;

namespace {

const std::string kick = std::string(HOCKET_SOURCE_DIR) + "/experiments/data/embedded/sounds/bd_808.flac";

program::result extract(const scratch& folder, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "extract");
  return program::run(folder.path, AUDIO_FEATURES, arguments);
}

void write_wav(const program::fs::path& path, int format, int channels, int rate, const std::vector<double>& values) {
  SF_INFO info{};
  info.channels = channels;
  info.samplerate = rate;
  info.format = SF_FORMAT_WAV | format;
  SNDFILE* const file = sf_open(path.c_str(), SFM_WRITE, &info);
  REQUIRE(file != nullptr);
  const auto count = static_cast<sf_count_t>(values.size());
  CHECK(sf_write_double(file, values.data(), count) == count);
  sf_close(file);
}

template <class T, class Expected>
bool same(const program::fs::path& path, const Expected& expected) {
  const io::npy_array array = io::read_npy(path);
  const auto values = array.as_view<T, 2>();
  return values.extent(0) == expected.rows && values.extent(1) == expected.columns &&
         std::equal(values.data(), values.data() + values.size(), expected.values.data());
}

}  // namespace

TEST_CASE("extract writes what the library computes, for every preset, feature and type", "[experiments][extract]") {
  const scratch folder;
  const auto narrow = io::read_audio<float>(kick);
  const auto wide = io::read_audio<double>(kick);
  const auto rate = static_cast<double>(wide.info.sample_rate);
  const std::vector<float> clip32 = io::mix_to_mono(narrow);
  const std::vector<double> clip64 = io::mix_to_mono(wide);
  for (const auto& [preset, make] : audio::presets::table) {
    for (const auto& [what, name] : enum_names<audio::feature>::values) {
      if (preset == "whisper" && what == audio::feature::mfcc) continue;
      INFO(preset << " " << name);
      const auto one =
          extract(folder, {kick, "a.npy", "--preset", std::string(preset), "--feature", std::string(name)});
      const auto two = extract(
          folder, {kick, "b.npy", "--preset", std::string(preset), "--feature", std::string(name), "-S", "dtype=f64"});
      REQUIRE(one.code == 0);
      REQUIRE(two.code == 0);
      const audio::mfcc_plan<float> plan32(make(), rate, what);
      const audio::mfcc_plan<double> plan64(make(), rate, what);
      if (what == audio::feature::stft) {
        CHECK(same<std::complex<float>>(folder.path / "a.npy", plan32.stft(make_view(clip32))));
        CHECK(same<std::complex<double>>(folder.path / "b.npy", plan64.stft(make_view(clip64))));
      } else {
        CHECK(same<float>(folder.path / "a.npy", plan32(make_view(clip32))));
        CHECK(same<double>(folder.path / "b.npy", plan64(make_view(clip64))));
      }
    }
  }
}

TEST_CASE("settings reach the options, channels are averaged, the rate is the file's", "[experiments][extract]") {
  const scratch folder;
  std::vector<double> stereo, mean;
  for (int i = 0; i < 3000; ++i) {
    stereo.push_back(0.25 * std::sin(0.05 * i));
    stereo.push_back(0.5 * std::cos(0.02 * i));
    mean.push_back((stereo[stereo.size() - 2] + stereo.back()) / 2);
  }
  write_wav(folder.path / "in.wav", SF_FORMAT_DOUBLE, 2, 12345, stereo);
  const auto done =
      extract(folder, {"in.wav",    "out.npy",      "--preset",  "librosa-0.11", "--feature",   "mfcc", "-S",
                       "dtype=f64", "n_fft=500",    "n_mels=30", "-S",           "top_db=none", "-S",   "htk=true",
                       "-S",        "center=false", "-S",        "scale=3",      "n_mfcc=7",    "-S",   "pad=1s"});
  INFO(done.err);
  REQUIRE(done.code == 0);
  audio::mfcc_options options = audio::presets::librosa_0_11();
  for (const char* setting :
       {"n_fft=500", "n_mels=30", "top_db=none", "htk=true", "center=false", "scale=3", "n_mfcc=7", "pad=1s"})
    set_option(options, setting);
  const audio::mfcc_plan<double> plan(options, 12345);
  CHECK(same<double>(folder.path / "out.npy", plan(make_view(mean))));
  CHECK(io::read_npy(folder.path / "out.npy").extents() == std::vector<std::size_t>{7, 1 + (12345 - 500) / 512});
}

TEST_CASE("wrong use is exit 2 and says what is known", "[experiments][extract]") {
  const scratch folder;
  const auto refuses = [&](const std::vector<std::string>& arguments, const std::string& known) {
    const auto done = extract(folder, arguments);
    INFO(done.err);
    CHECK(done.code == 2);
    CHECK(done.says(known));
    CHECK_FALSE(program::fs::exists(folder.path / "o.npy"));
  };
  refuses({}, "librosa-0.11");
  refuses({kick, "o.npy", "--preset", "htk", "--feature", "mfcc"}, "torchaudio");
  refuses({kick, "o.npy", "--preset", "kaldi"}, "logmel");
  refuses({kick, "o.npy", "--preset", "kaldi", "--feature", "chroma"}, "logmel");
  refuses({kick, "--preset", "kaldi", "--feature", "mfcc"}, "OUT.npy");
  refuses({kick, "o.npy", "extra", "--preset", "kaldi", "--feature", "mfcc"}, "OUT.npy");
  for (const char* setting :
       {"nfft=512", "n_fft", "=3", "n_fft=-1", "n_fft=1.5", "n_fft=0", "hop_length=0", "center=yes", "window=hanning",
        "pad_mode=wrap", "norm=l1", "top_db=loud", "dtype=f16", "dct_type=4", "pad=short", "fmin=nan", "n_mfcc=500"})
    refuses({kick, "o.npy", "--preset", "librosa-0.11", "--feature", "mfcc", "-S", setting},
            std::string(setting).substr(0, std::string(setting).find('=')));
  refuses({kick, "o.npy", "--preset", "librosa-0.11", "--feature", "mfcc", "-S", "nfft=512"}, "n_fft");
  refuses({kick, "o.npy", "--preset", "librosa-0.11", "--feature", "mfcc", "--frob"}, "--preset");
  refuses({kick, "o.npy", "--preset", "whisper", "--feature", "mfcc"}, "n_mfcc");
}

TEST_CASE("a file that is broken, cut, empty or holds NaN is exit 4 with the reason", "[experiments][extract]") {
  const scratch folder;
  std::vector<double> values(4000, 0.25);
  write_wav(folder.path / "cut.wav", SF_FORMAT_PCM_16, 1, 16000, values);
  program::fs::resize_file(folder.path / "cut.wav", 3000);
  write_wav(folder.path / "none.wav", SF_FORMAT_PCM_16, 1, 16000, {});
  values[123] = std::nan("");
  write_wav(folder.path / "nan.wav", SF_FORMAT_FLOAT, 1, 16000, values);
  io::write_file(folder.path / "text.wav", "not audio");
  io::write_file(folder.path / "empty.wav", std::string_view{});
  const auto refuses = [&](const char* file, const char* reason) {
    const auto done = extract(folder, {file, "o.npy", "--preset", "kaldi", "--feature", "mfcc"});
    INFO(done.err);
    CHECK(done.code == 4);
    CHECK(done.says(file));
    CHECK(done.says(reason));
    CHECK_FALSE(program::fs::exists(folder.path / "o.npy"));
  };
  refuses("absent.wav", "no such file");
  refuses("cut.wav", "truncated");
  refuses("none.wav", "no samples");
  refuses("nan.wav", "sample 123 of channel 0 is NaN");
  refuses("text.wav", "not a readable recording");
  refuses("empty.wav", "empty");
}

TEST_CASE("a case gives the same record on one and two threads, and is reused", "[experiments][audio_features]") {
  const scratch folder;
  const std::vector<std::string> one = {"run",       "--quick", "--filter",  "mfcc_kaldi/seed=0",
                                        "--results", "one",     "--threads", "1"};
  std::vector<std::string> two = one;
  two[5] = "two";
  two[7] = "2";
  const auto first = program::run(folder.path, AUDIO_FEATURES, one);
  INFO(first.err);
  CHECK(first.code == 0);
  CHECK(first.says("embedded"));
  CHECK(program::run(folder.path, AUDIO_FEATURES, two).code == 0);
  CHECK(program::run(folder.path, AUDIO_FEATURES, one).says("1 reused"));
  std::vector<std::string> items;
  for (const char* results : {"one", "two"})
    for (const auto& entry : program::fs::directory_iterator(folder.path / results / "audio_features")) {
      if (entry.path().extension() != ".json") continue;  // the journal lies beside the records
      const std::string record = program::read(entry.path());
      const auto from = record.find("\"items\""), to = record.find("\"kind\"", from),
                 metrics = record.find("\"metrics\"");
      REQUIRE(metrics != std::string::npos);
      items.push_back(record.substr(from, to - from) +
                      record.substr(metrics, record.find("\"protocol\"", metrics) - metrics));
    }
  REQUIRE(items.size() == 2);
  CHECK(items[0] == items[1]);
}

TEST_CASE("a set that is not there is named, never replaced", "[experiments][audio_features]") {
  const scratch folder;
  const auto done =
      program::run(folder.path, AUDIO_FEATURES, {"run", "--filter", "drum_kits/mel/seed=0", "--results", "r"});
  CHECK(done.code == 4);
  CHECK(done.says("fetch.py drum_kits"));
}
