// A stream gives the bits of the offline plan for any chunking, and allocates nothing once begun.
#define HOCKET_COUNT_ALLOCATIONS
#include <cstring>
#include <vector>

#include <hocket/audio/stream.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/measure/allocations.hpp>

#include "catch.hpp"
#include "experiments/support/audio_parity.hpp"

using namespace hocket;
using namespace hocket::audio;

namespace {

struct setting {
  const char* preset;
  std::vector<std::pair<const char*, const char*>> options;
};

/// Frame-local settings: every preset, every padding, every place where a frame can reach beyond the clip.
const std::vector<setting>& settings() {
  static const std::vector<setting> all = {
      {"kaldi", {}},
      {"kaldi", {{"center", "true"}}},
      {"kaldi", {{"center", "true"}, {"win_length", "100"}, {"hop_length", "251"}}},
      {"kaldi", {{"energy", "raw"}, {"dither", "0.01"}, {"dither_seed", "7"}}},
      {"librosa-0.11", {{"top_db", "none"}, {"n_fft", "512"}, {"hop_length", "128"}}},
      {"librosa-1.0",
       {{"top_db", "none"}, {"n_fft", "509"}, {"hop_length", "100"}, {"pad_mode", "reflect"}, {"n_mels", "40"}}},
      {"librosa-1.0",
       {{"top_db", "none"}, {"n_fft", "256"}, {"hop_length", "300"}, {"pad_mode", "edge"}, {"n_mels", "30"}}},
      {"librosa-1.0",
       {{"top_db", "none"},
        {"n_fft", "256"},
        {"hop_length", "64"},
        {"pad_mode", "edge-mirror"},
        {"n_mels", "30"},
        {"preemphasis", "0.97"}}},
      {"librosa-0.11",
       {{"top_db", "none"},
        {"n_fft", "256"},
        {"win_length", "100"},
        {"hop_length", "50"},
        {"center", "false"},
        {"n_mels", "30"}}},
      {"torchaudio", {{"top_db", "none"}}},
      {"torchaudio", {{"top_db", "none"}, {"win_length", "101"}, {"hop_length", "400"}, {"preemphasis", "0.5"}}},
      {"whisper", {{"top_db", "none"}, {"n_mfcc", "13"}}},
      {"whisper", {{"top_db", "none"}, {"n_mfcc", "13"}, {"pad", "4000"}}},
  };
  return all;
}

mfcc_options options_of(const setting& s) {
  mfcc_options o = preset(s.preset);
  for (const auto& [key, value] : s.options) o.set(key, value);
  return o;
}

template <Real T>
std::vector<T> noise(std::size_t n) {
  std::vector<T> x;
  for (const double v : parity::golden_signal("noise", 11, n)) x.push_back(static_cast<T>(v));
  return x;
}

/// Feeds the clip in chunks of the given sizes (cycled) and collects all frames; 0 stands for all that is left.
template <Real T, class U>
matrix<U> streamed(const mfcc_plan<T>& plan, const std::vector<T>& clip, const std::vector<std::size_t>& chunks) {
  mfcc_stream<T> stream(plan);
  matrix<U> all(plan.rows(), plan.frames(clip.size()));
  std::size_t column = 0, at = 0;
  const auto take = [&](std::size_t count, const auto& produce) {
    matrix<U> piece(plan.rows(), count);
    const std::size_t got = produce(piece.as_view());
    CHECK(got == count);
    REQUIRE(column + got <= all.columns);
    for (std::size_t r = 0; r < all.rows; ++r)
      for (std::size_t f = 0; f < got; ++f) all(r, column + f) = piece(r, f);
    column += got;
  };
  for (std::size_t i = 0; at < clip.size(); ++i) {
    const std::size_t wanted = chunks[i % chunks.size()], left = clip.size() - at;
    const std::size_t count = wanted == 0 ? left : std::min(wanted, left);
    const view<const T, 1> chunk(clip.data() + at, {count});
    take(stream.frames_after(count), [&](const view<U, 2>& out) { return stream.push(chunk, out); });
    at += count;
  }
  take(stream.frames_at_finish(), [&](const view<U, 2>& out) { return stream.finish(out); });
  CHECK(column == all.columns);
  CHECK(stream.samples() >= clip.size());
  return all;
}

template <class U>
bool same_bits(const matrix<U>& a, const matrix<U>& b) {
  return a.rows == b.rows && a.columns == b.columns &&
         (a.values.empty() || std::memcmp(a.values.data(), b.values.data(), a.values.size() * sizeof(U)) == 0);
}

template <Real T>
void any_chunking_gives_the_same_bits(std::size_t samples) {
  philox random(5);
  for (const setting& s : settings()) {
    const mfcc_plan<T> plan(options_of(s), 16000);
    INFO(s.preset << ": " << to_text(plan.options()) << ", " << samples << " samples");
    const std::vector<T> clip = noise<T>(samples);
    const matrix<T> offline = plan(make_view(clip));
    const std::size_t hop = *plan.options().hop_length;
    std::vector<std::vector<std::size_t>> chunkings = {
        {1}, {7}, {std::max<std::size_t>(hop, 2) - 1}, {hop}, {hop + 1}, {1000}, {0}};
    std::vector<std::size_t> irregular;
    for (std::size_t i = 0; i < 50; ++i) irregular.push_back(1 + static_cast<std::size_t>(random.next_below(700)));
    chunkings.push_back(irregular);
    for (const auto& chunks : chunkings) {
      INFO("chunks of " << chunks[0]);
      CHECK(same_bits(streamed<T, T>(plan, clip, chunks), offline));
    }
  }
}

}  // namespace

TEST_CASE("a stream is bit-identical to the whole clip, f32", "[audio][stream]") {
  any_chunking_gives_the_same_bits<float>(5000);
  any_chunking_gives_the_same_bits<float>(5120);
}
TEST_CASE("a stream is bit-identical to the whole clip, f64", "[audio][stream]") {
  any_chunking_gives_the_same_bits<double>(3001);
}

TEST_CASE("a stream of a clip shorter than its padding", "[audio][stream]") {
  for (const std::size_t samples :
       {0u, 1u, 2u, 3u, 50u, 127u, 128u, 129u, 199u, 200u, 201u, 256u, 257u, 399u, 400u, 401u, 512u})
    any_chunking_gives_the_same_bits<float>(samples);
}

TEST_CASE("every feature streams when it needs no peak", "[audio][stream]") {
  const std::vector<float> clip = noise<float>(4000);
  for (const auto& [name, make] : presets::table)
    for (const feature what : {feature::power, feature::mel}) {
      const mfcc_plan<float> plan(make(), 16000, what);
      INFO(name << " " << name_of(what));
      CHECK(same_bits(streamed<float, float>(plan, clip, {333}), plan(make_view(clip))));
    }
  for (const auto& [name, make] : presets::table) {
    const mfcc_plan<float> plan(make(), 16000, feature::stft);
    INFO(name);
    CHECK(same_bits(streamed<float, std::complex<float>>(plan, clip, {333}), plan.stft(make_view(clip))));
  }
}

TEST_CASE("a stream refuses options that need the clip's peak", "[audio][stream]") {
  for (const char* name : {"librosa-0.11", "librosa-1.0", "torchaudio"}) {
    const mfcc_plan<float> plan(preset(name), 16000);
    CHECK_THROWS_WITH(mfcc_stream<float>(plan), Catch::Contains("top_db") && Catch::Contains("top_db=none"));
  }
  const mfcc_plan<float> whisper(preset("whisper"), 16000, feature::logmel);
  CHECK_THROWS_AS(mfcc_stream<float>(whisper), error);
}

TEST_CASE("a stream checks its output and begins again", "[audio][stream]") {
  const mfcc_plan<float> plan(preset("kaldi"), 16000);
  mfcc_stream<float> stream(plan);
  const std::vector<float> clip = noise<float>(2000);
  matrix<float> narrow(13, 1), flat(12, 100), wide(13, 100);
  CHECK(stream.frames_after(2000) == 11);
  CHECK_THROWS_AS(stream.push(make_view(clip), narrow.as_view()), error);
  CHECK_THROWS_AS(stream.push(make_view(clip), flat.as_view()), error);
  CHECK(stream.samples() == 0);  // a refused call changes nothing
  CHECK(stream.push(make_view(clip), wide.as_view()) == 11);
  CHECK(stream.finish(wide.as_view()) == 0);
  CHECK_THROWS_AS(stream.push(make_view(clip), wide.as_view()), error);
  CHECK_THROWS_AS(stream.finish(wide.as_view()), error);
  matrix<float> again(13, 100);
  stream.reset();
  CHECK(stream.push(make_view(clip), again.as_view()) == 11);
}

TEST_CASE("a begun stream allocates nothing", "[audio][stream]") {
  for (const setting& s : settings()) {
    const mfcc_plan<float> plan(options_of(s), 16000);
    INFO(s.preset << ": " << to_text(plan.options()));
    mfcc_stream<float> stream(plan);
    const std::vector<float> clip = noise<float>(4000);
    matrix<float> out(plan.rows(), plan.frames(clip.size()) + 1);
    const auto allocations = measure::allocations_of([&] {
      for (std::size_t at = 0; at < clip.size(); at += 250)
        stream.push(view<const float, 1>(clip.data() + at, {250}), out.as_view());
      stream.finish(out.as_view());
    });
    CHECK(allocations == 0);
  }
}

TEST_CASE("a run on a workspace allocates nothing", "[audio]") {
  for (const auto& [name, make] : presets::table) {
    mfcc_options o = make();
    if (o.n_mfcc == 0) o.n_mfcc = 13;
    o.set("preemphasis", "0.9");
    const mfcc_plan<float> plan(o, 16000);
    const std::vector<float> clip = noise<float>(8000);
    matrix<float> out(plan.rows(), plan.frames(clip.size()));
    auto space = plan.make_workspace(clip.size());
    INFO(name);
    CHECK(measure::allocations_of([&] { plan.run(make_view(clip), out.as_view(), space); }) == 0);
    // the counter counts
    CHECK(measure::allocations_of([&] { plan.make_workspace(clip.size()); }) > 0);
  }
}
