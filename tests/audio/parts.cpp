// Single steps against scipy, librosa and torchaudio: windows, filter banks, cosine transforms, deltas, pre-emphasis,
// statistics. All oracles are f64; a table is allowed the rounding of its formula's operations.
#include "parts.hpp"

#include <cmath>
#include <limits>

#include <hocket/audio/clip.hpp>
#include <hocket/audio/dct.hpp>
#include <hocket/audio/delta.hpp>
#include <hocket/audio/mel.hpp>
#include <hocket/audio/spectral_statistics.hpp>
#include <hocket/audio/window.hpp>
#include <hocket/core/tolerance.hpp>

#include "catch.hpp"
#include "experiments/support/audio_parity.hpp"

using namespace hocket;
using namespace hocket::audio;

namespace {

template <class E>
E named(const std::string& name) {
  return hocket::detail::option_from_text<E>("field", name);
}

/// Calls check(fields, part) for every oracle of a kind; there must be `least` of them.
template <class Check>
void for_each_part(const std::string& kind, std::size_t least, Check&& check) {
  std::size_t seen = 0;
  for (const auto& [name, p] : oracle::parts()) {
    if (!name.starts_with(kind + "/")) continue;
    INFO(name);
    check(oracle::fields(name), p);
    ++seen;
  }
  CHECK(seen >= least);
}

std::vector<double> signal(const char* kind, std::uint64_t seed, std::size_t n) {
  return parity::golden_signal(kind, seed, n);
}

}  // namespace

TEST_CASE("windows are scipy's and torch's", "[audio]") {
  for_each_part("window", 26, [](const auto& field, const oracle::part& p) {
    const auto ours = make_window<double>(named<window_kind>(field[1]), p.values.size(), field[3] == "periodic");
    // a handful of operations on numbers of at most 1, and 2 pi times the index inside the cosine
    const double bound = rounding<double>(16);
    const comparison result = compare(ours.data(), p.values.data(), ours.size(), bound);
    INFO(result.message());
    CHECK(result.ok);
  });
}

TEST_CASE("filter banks are librosa's, torchaudio's and Kaldi's", "[audio]") {
  for_each_part("mel", 8, [](const auto& field, const oracle::part& p) {
    mel_options o;
    o.scale = named<mel_scale_kind>(field[1]);
    o.norm = named<mel_norm>(field[2]);
    o.bins = named<bin_frequency>(field[3]);
    o.sample_rate = std::stod(field[4]);
    o.n_fft = std::stoul(field[5]);
    o.n_mels = std::stoul(field[6]);
    o.fmax = o.bins == bin_frequency::linspace ? std::floor(o.sample_rate / 2) : o.sample_rate / 2;
    if (o.scale == mel_scale_kind::kaldi) {
      o.fmin = 20;
      o.triangles = triangle_domain::mel;
      o.use_nyquist = false;
    }
    const mel_bank<double> bank = make_mel_bank<double>(o);
    const std::size_t bins = o.n_fft / 2 + 1;
    REQUIRE(p.shape == std::vector<std::size_t>{o.n_mels, bins});
    std::vector<double> dense(o.n_mels * bins, 0.0);
    for (std::size_t m = 0; m < o.n_mels; ++m)
      for (std::size_t j = 0; j < bank.length[m]; ++j)
        dense[m * bins + bank.first[m] + j] = bank.weights[bank.begin[m] + j];
    // a slope is a difference of frequencies over the narrowest band: the frequency's rounding over that width
    const std::vector<double> mels = mel_points(o);
    const bool in_mel = o.triangles == triangle_domain::mel;
    const double narrowest = in_mel ? mels[1] - mels[0] : mel_to_hz(o.scale, mels[1]) - mel_to_hz(o.scale, mels[0]);
    const double largest = in_mel ? mels.back() : o.fmax;
    const double height = max_abs(p.values.data(), p.values.size());
    const comparison result =
        compare(dense.data(), p.values.data(), dense.size(), rounding<double>(16 * height * largest / narrowest));
    INFO(result.message());
    CHECK(result.ok);
  });
}

TEST_CASE("a band without a bin is empty, not NaN", "[audio]") {
  mel_options o;
  o.sample_rate = 22050;
  o.n_fft = 256;
  o.n_mels = 128;
  const mel_bank<float> bank = make_mel_bank<float>(o);
  CHECK(bank.empty_bands() > 0);
  for (const float w : bank.weights) CHECK((w > 0 && std::isfinite(w)));
  mfcc_options options = preset("librosa-0.11");
  options.n_fft = 256;
  const mfcc_plan<float> plan(options, 22050);
  CHECK(plan.empty_bands() == bank.empty_bands());
  const std::vector<float> clip(4000, 0.25F);
  const auto out = plan(make_view(clip));
  for (const float v : out.values) CHECK(std::isfinite(v));
}

TEST_CASE("mel scales invert", "[audio]") {
  for (const auto scale : {mel_scale_kind::slaney, mel_scale_kind::htk, mel_scale_kind::kaldi})
    for (const double hz : {0.0, 1.0, 440.0, 999.999, 1000.0, 1000.001, 8000.0, 96000.0})
      CHECK(std::abs(mel_to_hz(scale, hz_to_mel(scale, hz)) - hz) <= rounding<double>(32 * (hz + 700)));
}

TEST_CASE("cosine transforms are scipy's", "[audio]") {
  for_each_part("dct", 12, [](const auto& field, const oracle::part& p) {
    const std::size_t n = std::stoul(field[3]);
    const auto ours = make_dct<double>(std::stoul(field[1]), named<dct_norm>(field[2]), n, n);
    // scipy's is a sum over n terms
    const comparison result =
        compare(ours.data(), p.values.data(), n * n, rounding<double>(4 * static_cast<double>(n)));
    INFO(result.message());
    CHECK(result.ok);
  });
}

TEST_CASE("lifters of librosa and Kaldi", "[audio]") {
  CHECK(lifter_value(22, lifter_index::n, 0) == 1.0);
  CHECK(lifter_value(0, lifter_index::n_plus_1, 3) == 1.0);
  // the middle of the lifter: sin(pi / 2) = 1
  CHECK(lifter_value(22, lifter_index::n, 11) == Approx(12.0).epsilon(rounding<double>(8)));
  CHECK(lifter_value(22, lifter_index::n_plus_1, 10) == Approx(12.0).epsilon(rounding<double>(8)));
}

TEST_CASE("deltas are librosa's and torchaudio's", "[audio]") {
  const std::vector<double> x = signal("noise", 3, 400);
  for_each_part("delta", 11, [&](const auto& field, const oracle::part& p) {
    delta_options o;
    o.edge = field[1] == "interp" ? delta_edge::interp : delta_edge::replicate;
    o.width = std::stoul(field[2]);
    o.order = std::stoul(field[3]);
    std::vector<double> out(400);
    deltas(make_view(x, 4, 100), make_view(out, 4, 100), o);
    // scipy solves a least-squares problem of size width for the weights
    const double bound = rounding<double>(static_cast<double>(o.width * o.width) * 4);
    const comparison result = compare(out.data(), p.values.data(), out.size(), bound);
    INFO(result.message());
    CHECK(result.ok);
  });
}

TEST_CASE("deltas refuse what they cannot do", "[audio]") {
  std::vector<float> x(24), out(24);
  const auto in = make_view(std::as_const(x), 3, 8);
  CHECK_THROWS_AS(deltas(in, make_view(out, 3, 8), {.width = 4}), error);
  CHECK_THROWS_AS(deltas(in, make_view(out, 3, 8), {.width = 9}), error);  // more than the frames, interp
  CHECK_THROWS_AS(deltas(in, make_view(out, 3, 8), {.width = 5, .order = 5}), error);
  CHECK_THROWS_AS(deltas(in, make_view(out, 2, 8), {.width = 5}), error);
  CHECK_NOTHROW(deltas(in, make_view(out, 3, 8), {.width = 9, .order = 1, .edge = delta_edge::replicate}));
}

TEST_CASE("pre-emphasis is librosa's and torchaudio's", "[audio]") {
  const std::vector<double> x = signal("noise", 4, 50);
  for (const auto start : {emphasis_start::extrapolate, emphasis_start::keep}) {
    const oracle::part& p = oracle::of(text("preemphasis/", name_of(start), "/0.97"));
    std::vector<double> y(50);
    preemphasize<double>(make_view(x), 0.97, start, make_view(y));
    CHECK(compare(y.data(), p.values.data(), 50, rounding<double>(4)).ok);
    std::vector<double> in_place = x;
    preemphasize<double>(make_view(std::as_const(in_place)), 0.97, start, make_view(in_place));
    CHECK(in_place == y);
  }
}

TEST_CASE("spectral statistics are librosa's", "[audio]") {
  for (const char* kind : {"noise", "saw", "square", "silence", "impulse"}) {
    const std::vector<double> x = signal(kind, 9, 5000);
    statistics_options o;
    o.n_fft = 512;
    o.hop_length = 200;
    const statistics_plan<double> plan(o, 16000);
    const matrix<double> ours = plan(make_view(x));
    const char* names[] = {"centroid", "bandwidth", "rolloff", "flatness", "zero_crossing_rate", "rms"};
    for (std::size_t r = 0; r < n_statistics; ++r) {
      const oracle::part& p = oracle::of(text("statistics/", kind, "/", names[r]));
      INFO(kind << " " << names[r]);
      REQUIRE(p.values.size() == ours.columns);
      // sums over 257 bins of an f64 transform; the frequency scale is 8000 Hz, that of a logarithm -ln(amin)
      const double scale = r < 3 ? 8000 : r == 3 ? -std::log(o.amin) : 1;
      const comparison result = compare(&ours(r, 0), p.values.data(), ours.columns, rounding<double>(257 * scale));
      INFO(result.message());
      CHECK(result.ok);
    }
  }
}
