// Back from the transform: librosa's numbers on a modified one, the signal itself on its own.
#include <algorithm>
#include <cmath>

#include <hocket/audio/istft.hpp>
#include <hocket/audio/stft.hpp>

#include "catch.hpp"
#include "experiments/support/audio_parity.hpp"
#include "parts.hpp"

using namespace hocket;
using namespace hocket::audio;

TEST_CASE("istft of a modified transform is librosa's", "[audio]") {
  const std::vector<double> x = parity::golden_signal("saw", 2, 3000);
  std::size_t seen = 0;
  for (const auto& [name, p] : oracle::parts()) {
    if (!name.starts_with("istft/")) continue;
    const auto field = oracle::fields(name);
    mfcc_options o = preset("librosa-0.11");
    o.set("n_fft", field[1]);
    o.set("hop_length", field[2]);
    o.set("win_length", field[3]);
    o.set("center", field[4]);
    matrix<std::complex<double>> bins = stft<double>(make_view(x), o);
    for (std::size_t k = 0; k < bins.rows; ++k)
      for (std::size_t f = 0; f < bins.columns; ++f)
        bins(k, f) *= 1.0 - 0.5 * static_cast<double>(k) / static_cast<double>(bins.rows - 1);
    const std::vector<double> back = istft<double>(std::as_const(bins).as_view(), o);
    INFO(name);
    REQUIRE(back.size() == p.values.size());
    // At the ends of an uncentred clip the sum of squared windows is tiny and what it divides is a window's rounding:
    // the error of one term over the smallest sum that is met.
    double smallest = 1;
    for (const double w : make_window<double>(window_kind::hann, std::stoul(field[3]), true))
      if (w > 0) smallest = std::min(smallest, w);
    const double growth = o.center ? std::log2(std::stod(field[1])) * 4 : 4 / smallest;
    const comparison result = compare(back.data(), p.values.data(), back.size(), rounding<double>(growth));
    INFO(result.message());
    CHECK(result.ok);
    ++seen;
  }
  CHECK(seen == 4);
}

namespace {

template <Real T>
void round_trip(const char* n_fft, const char* hop, const char* win, const char* pad, const char* normalized) {
  mfcc_options o = preset("librosa-0.11");
  for (const auto& [key, value] :
       {std::pair{"n_fft", n_fft}, std::pair{"hop_length", hop}, std::pair{"win_length", win},
        std::pair{"pad_mode", pad}, std::pair{"normalized", normalized}})
    o.set(key, value);
  std::vector<T> x;
  for (const double v : parity::golden_signal("noise", 8, 4000)) x.push_back(static_cast<T>(v));
  const auto bins = stft<T>(make_view(std::as_const(x)), o);
  const std::vector<T> back = istft<T>(bins.as_view(), o, x.size());
  INFO(to_text(o));
  REQUIRE(back.size() == x.size());
  const std::size_t covered = istft_plan<T>(o).samples(bins.columns);
  // two transforms of log2(n) steps each, weighed by windows whose squares sum to at least a tenth
  const double bound = rounding<T>(2 * 10 * std::log2(std::stod(n_fft)));
  const comparison result = compare(back.data(), x.data(), std::min(covered, x.size()), bound);
  INFO(result.message());
  CHECK(result.ok);
}

}  // namespace

TEST_CASE("a transform and its inverse give the signal back", "[audio]") {
  for (const char* pad : {"constant", "reflect", "edge", "edge-mirror"})
    for (const char* normalized : {"none", "window", "frame_length"}) {
      round_trip<float>("512", "128", "512", pad, normalized);
      round_trip<double>("512", "128", "512", pad, normalized);
      round_trip<float>("509", "100", "400", pad, normalized);
      round_trip<double>("509", "100", "400", pad, normalized);
      round_trip<double>("400", "160", "400", pad, normalized);
    }
}

TEST_CASE("istft refuses what cannot be inverted", "[audio]") {
  CHECK_THROWS_AS(istft_plan<float>(preset("kaldi"), 16000), error);
  const istft_plan<float> plan(preset("librosa-0.11"));
  const matrix<std::complex<float>> wrong(1024, 3);
  CHECK_THROWS_AS(plan(wrong.as_view()), error);
  const matrix<std::complex<float>> none(1025, 0);
  CHECK(plan(none.as_view()).empty());
}
