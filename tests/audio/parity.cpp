// Gate: the numbers are the peers' numbers. Every golden vector of tests/oracles/audio, in f64 and f32.
#include <hocket/core/simd.hpp>

#include "catch.hpp"
#include "experiments/support/audio_parity.hpp"

using namespace hocket;

namespace {

const std::string directory = HOCKET_SOURCE_DIR "/tests/oracles/audio";

void every_row_is_ok(const std::vector<parity::row>& rows) {
  for (const parity::row& r : rows) {
    INFO(r.preset << " " << r.what << " " << r.dtype << " against " << r.peer << " " << r.peer_version << "\n"
                  << r.worst);
    CHECK(r.cases > 0);
    CHECK(r.max_error <= r.bound);
    CHECK(r.ok);
  }
}

}  // namespace

TEST_CASE("every preset and feature is its library's", "[audio][parity]") {
  const std::vector<parity::row> rows = parity::audio_parity(directory);
  // five features of four presets, four of Whisper, each in two precisions
  CHECK(rows.size() == 2 * (4 * 5 + 4));
  every_row_is_ok(rows);
}

TEST_CASE("parity holds on every instruction set and on two threads", "[audio][parity][.long]") {
  for (const isa level : {isa::baseline, isa::avx2}) {
    limit_isa(level);
    INFO("isa " << name_of(level));
    every_row_is_ok(parity::audio_parity(directory, cpu{2}));
  }
  limit_isa(isa::avx512);
}

TEST_CASE("the golden vectors hold what is promised", "[audio][parity]") {
  const parity::golden_file file(directory + "/presets"), later(directory + "/librosa_1");
  std::size_t draws = 0, shorter = 0, primes = 0, wide_hops = 0, narrow_windows = 0, two_channels = 0, empty = 0;
  for (const auto* source : {&file, &later})
    for (const parity::golden_case& c : source->cases) {
      const audio::mfcc_plan<float> plan(parity::options_of(c), c.rate, c.what);
      const audio::mfcc_options& o = plan.options();
      draws += source == &file && (!c.options.empty() && c.seed > 10);
      shorter += c.samples < *o.n_fft;
      primes += *o.n_fft == 97 || *o.n_fft == 127 || *o.n_fft == 251 || *o.n_fft == 509 || *o.n_fft == 1021;
      wide_hops += *o.hop_length > *o.n_fft;
      narrow_windows += *o.win_length < *o.n_fft;
      two_channels += c.channels == 2;
      empty += plan.empty_bands() > 0;
    }
  CHECK(draws >= 200);
  CHECK(shorter >= 40);
  CHECK(primes >= 20);
  CHECK(wide_hops >= 10);
  CHECK(narrow_windows >= 20);
  CHECK(two_channels >= 5);
  CHECK(empty >= 10);
}

TEST_CASE("the parity check can fail", "[audio][parity]") {
  // one convention off at a time must not pass for the library's
  const parity::golden_file file(directory + "/presets");
  const std::pair<const char*, const char*> wrong[] = {
      {"pad_mode", "edge"}, {"periodic", "false"}, {"norm", "none"}, {"top_db", "none"}, {"lifter_index", "n"}};
  for (const auto& [key, value] : wrong) {
    bool caught = false;
    for (parity::golden_case c : file.cases) {
      if (c.preset != "librosa-0.11" || c.what != audio::feature::mfcc) continue;
      c.options.emplace_back(key, value);
      caught = caught || !parity::compare_case<double, double>(file, c, {}).ok;
    }
    INFO(key << "=" << value);
    CHECK(caught);
  }
}
