// What options mean: defaults of every preset, sizes that follow one another, the error for whatever is wrong; and that
// every switch reaches the numbers.
#include <cmath>

#include <hocket/audio/mfcc.hpp>
#include <hocket/kernels/mfcc/reference.hpp>

#include "catch.hpp"
#include "experiments/support/audio_parity.hpp"

using namespace hocket;
using namespace hocket::audio;

namespace {

mfcc_options with(const char* name, std::initializer_list<std::pair<const char*, const char*>> settings) {
  mfcc_options o = preset(name);
  for (const auto& [key, value] : settings) o.set(key, value);
  return o;
}

std::vector<double> clip_of(std::size_t n) { return parity::golden_signal("saw", 3, n); }

}  // namespace

TEST_CASE("presets are known by name", "[audio]") {
  CHECK(preset_names() == "librosa-0.11, librosa-1.0, torchaudio, kaldi, whisper");
  CHECK_THROWS_WITH(preset("librosa"), Catch::Contains("unknown preset librosa") && Catch::Contains(preset_names()));
  for (const auto& [name, make] : presets::table) CHECK(to_text(preset(name)) == to_text(make()));
}

TEST_CASE("absent sizes follow the preset's own entry point", "[audio]") {
  struct {
    const char* preset;
    std::vector<std::pair<const char*, const char*>> settings;
    double rate;
    std::size_t n_fft, win, hop;
  } const cases[] = {
      {"librosa-0.11", {}, 22050, 2048, 2048, 512},
      {"librosa-0.11", {{"n_fft", "1024"}}, 22050, 1024, 1024, 512},
      {"librosa-1.0", {{"n_fft", "1024"}, {"win_length", "600"}}, 22050, 1024, 600, 512},
      {"torchaudio", {}, 16000, 400, 400, 200},
      {"torchaudio", {{"n_fft", "1024"}}, 44100, 1024, 1024, 512},
      {"torchaudio", {{"n_fft", "1024"}, {"win_length", "601"}}, 44100, 1024, 601, 300},
      {"whisper", {}, 16000, 400, 400, 160},
      {"kaldi", {}, 16000, 512, 400, 160},
      {"kaldi", {}, 8000, 256, 200, 80},
      {"kaldi", {}, 22050, 1024, 551, 220},
      {"kaldi", {}, 44100, 2048, 1102, 441},
      {"kaldi", {{"win_length", "300"}}, 16000, 512, 300, 160},
      {"kaldi", {{"n_fft", "1024"}, {"hop_length", "100"}}, 16000, 1024, 400, 100},
      {"kaldi", {{"frame_length_ms", "32"}, {"frame_shift_ms", "8"}}, 16000, 512, 512, 128},
  };
  for (const auto& c : cases) {
    mfcc_options o = preset(c.preset);
    for (const auto& [key, value] : c.settings) o.set(key, value);
    const mfcc_options r = resolve(o, c.rate);
    INFO(c.preset << " at " << c.rate << ": " << to_text(r));
    CHECK(*r.n_fft == c.n_fft);
    CHECK(*r.win_length == c.win);
    CHECK(*r.hop_length == c.hop);
    CHECK(to_text(resolve(r, c.rate)) == to_text(r));  // nothing is left open
  }
  CHECK(*resolve(preset("librosa-0.11"), 22050).fmax == 11025);
  CHECK(*resolve(preset("torchaudio"), 11025).fmax == 5512);
  CHECK(*resolve(with("kaldi", {{"fmax", "-400"}}), 16000).fmax == 7600);
}

TEST_CASE("what cannot be is refused with what is known", "[audio]") {
  struct {
    const char *preset, *key, *value, *says;
  } const wrong[] = {
      {"librosa-0.11", "n_ftt", "512", "known are"},
      {"librosa-0.11", "window", "kaiser", "hann, hamming, povey, blackman, rectangular"},
      {"librosa-0.11", "pad_mode", "wrap", "constant, reflect, edge, edge-mirror"},
      {"librosa-0.11", "norm", "ortho", "none, slaney"},
      {"librosa-0.11", "htk", "yes", "true or false"},
      {"librosa-0.11", "n_mels", "-3", "whole number"},
      {"librosa-0.11", "top_db", "loud", "number"},
      {"librosa-0.11", "n_fft", "0", "n_fft"},
      {"librosa-0.11", "n_fft", "99999999999", "n_fft"},
      {"librosa-0.11", "hop_length", "0", "hop_length"},
      {"librosa-0.11", "win_length", "4096", "win_length"},
      {"librosa-0.11", "win_length", "0", "win_length"},
      {"librosa-0.11", "n_mels", "0", "n_mels"},
      {"librosa-0.11", "n_mfcc", "129", "n_mfcc"},
      {"librosa-0.11", "n_mfcc", "0", "n_mfcc"},
      {"librosa-0.11", "dct_type", "1", "dct_type"},
      {"librosa-0.11", "top_db", "-1", "top_db"},
      {"librosa-0.11", "fmin", "20000", "fmin"},
      {"librosa-0.11", "fmin", "-1", "fmin"},
      {"librosa-0.11", "fmax", "0", "fmax"},
      {"kaldi", "fmax", "9000", "fmax"},
      {"librosa-0.11", "power", "0", "power"},
      {"librosa-0.11", "power", "nan", "finite"},
      {"librosa-0.11", "amin", "0", "amin"},
      {"librosa-0.11", "ref", "0", "ref"},
      {"librosa-0.11", "lifter", "-22", "lifter"},
      {"librosa-0.11", "pad", "30sec", "pad"},
      {"librosa-0.11", "pad", "-1", "pad"},
      {"librosa-0.11", "dither", "-1", "dither"},
      {"kaldi", "frame_shift_ms", "0", "frame_shift_ms"},
      {"kaldi", "n_fft", "256", "win_length"},
      {"whisper", "power", "2", "Whisper"},  // it has no cepstra
  };
  for (const auto& c : wrong) {
    INFO(c.preset << " " << c.key << "=" << c.value);
    CHECK_THROWS_WITH(mfcc_plan<float>(with(c.preset, {{c.key, c.value}}), 16000), Catch::Contains(c.says));
    try {
      mfcc_plan<double>(with(c.preset, {{c.key, c.value}}), 16000);
      FAIL("accepted");
    } catch (const error& e) {
      CHECK(e.kind() == errc::bad_option);
    }
  }
  for (const double rate : {0.0, -1.0, std::nan("")}) CHECK_THROWS_AS(mfcc_plan<float>(preset("kaldi"), rate), error);
  CHECK_THROWS_AS(mfcc_plan<float>(preset("kaldi"), 16000, feature::mfcc, cpu{0}), error);
  CHECK_THROWS_AS(mfcc_plan<float>(preset("kaldi"), 16000, feature::mfcc, {}, "no such engine"), error);
}

TEST_CASE("every switch reaches the numbers, and the numbers are the definition's", "[audio]") {
  struct {
    const char *preset, *key, *value;
  } const switches[] = {
      {"librosa-0.11", "scale", "3"},
      {"librosa-0.11", "pad", "6000"},
      {"librosa-0.11", "preemphasis", "0.97"},
      {"kaldi", "preemphasis", "0.5"},
      {"kaldi", "dither", "0.001"},
      {"kaldi", "remove_dc", "false"},
      {"librosa-0.11", "n_fft", "509"},
      {"librosa-0.11", "hop_length", "777"},
      {"librosa-0.11", "win_length", "301"},
      {"kaldi", "frame_length_ms", "20"},
      {"kaldi", "frame_shift_ms", "7"},
      {"librosa-0.11", "framing", "window"},
      {"librosa-0.11", "center", "false"},
      {"kaldi", "center", "true"},
      {"librosa-0.11", "pad_mode", "reflect"},
      {"librosa-0.11", "pad_mode", "edge"},
      {"librosa-0.11", "pad_mode", "symmetric"},
      {"whisper", "drop_last_frame", "false"},
      {"librosa-0.11", "window", "hamming"},
      {"librosa-0.11", "window", "povey"},
      {"librosa-0.11", "window", "blackman"},
      {"librosa-0.11", "window", "rectangular"},
      {"librosa-0.11", "periodic", "false"},
      {"torchaudio", "normalized", "window"},
      {"torchaudio", "normalized", "frame_length"},
      {"librosa-0.11", "power", "1"},
      {"librosa-0.11", "power", "1.3"},
      {"librosa-0.11", "n_mels", "31"},
      {"librosa-0.11", "fmin", "300"},
      {"librosa-0.11", "fmax", "3000"},
      {"librosa-0.11", "mel_scale", "kaldi"},
      {"librosa-0.11", "htk", "true"},
      {"librosa-0.11", "norm", "none"},
      {"librosa-0.11", "triangles", "mel"},
      {"librosa-0.11", "use_nyquist", "false"},
      {"librosa-0.11", "log", "ln"},
      {"librosa-0.11", "log", "log10"},
      {"librosa-0.11", "ref", "10"},
      {"librosa-0.11", "amin", "0.01"},
      {"librosa-0.11", "log_offset", "0.1"},
      {"librosa-0.11", "top_db", "20"},
      {"whisper", "out_shift", "2"},
      {"whisper", "out_scale", "2"},
      {"librosa-0.11", "n_mfcc", "7"},
      {"librosa-0.11", "dct_type", "3"},
      {"librosa-0.11", "dct_norm", "none"},
      {"librosa-0.11", "lifter", "22"},
      {"kaldi", "lifter_index", "n+1"},
      {"kaldi", "energy", "raw"},
      {"kaldi", "energy", "windowed"},
  };
  const std::vector<double> clip = clip_of(3000);
  for (const auto& s : switches) {
    INFO(s.preset << " " << s.key << "=" << s.value);
    mfcc_options base = preset(s.preset);
    if (base.framing == framing_rule::fft) {
      base.n_fft = 512;
      base.hop_length = 200;
    }
    base.n_mels = 40;
    if (std::string_view(s.key) == "use_nyquist") base.fmax = 9000;  // so that the last bin has a weight
    if (base.n_mfcc == 0) base.n_mfcc = 13;
    mfcc_options changed = base;
    changed.set(s.key, s.value);
    const mfcc_plan<double> before(base, 16000), plan(changed, 16000);
    const auto ours = plan(make_view(clip)), others = before(make_view(clip));
    bool differs = ours.rows != others.rows || ours.columns != others.columns;
    for (std::size_t i = 0; !differs && i < ours.values.size(); ++i) differs = ours.values[i] != others.values[i];
    CHECK(differs);

    std::vector<double> ready(plan.clip().samples_after(clip.size()));
    plan.clip().run(make_view(clip), make_view(ready));
    std::vector<double> expected(ours.values.size());
    kernels::mfcc::reference::run(plan.tables(), kernels::mfcc::stage::mfcc,
                                  view<const double, 2>(ready.data(), {1, ready.size()}),
                                  view<double, 3>(expected.data(), {1, ours.rows, ours.columns}));
    // both are f64; a decibel has the relative error of a power, which loses what a frame's largest bin has over it
    const double scale = max_abs(expected.data(), expected.size());
    const comparison result = compare(ours.values.data(), expected.data(), expected.size(), parity::f64_bound * scale);
    INFO(result.message());
    CHECK(result.ok);
  }
}

TEST_CASE("energy floor, dither seed, peak and linspace bins reach the numbers where they matter", "[audio]") {
  const std::vector<double> quiet(2000, 0.0), clip = clip_of(2000);
  const auto first = [](const mfcc_options& o, const std::vector<double>& x) {
    return mfcc_plan<double>(o, 16000)(make_view(x))(0, 0);
  };
  CHECK(first(with("kaldi", {{"energy", "raw"}}), quiet) == 0.0);  // ln 1
  CHECK(first(with("kaldi", {{"energy", "raw"}, {"energy_floor", "0.1"}}), quiet) ==
        Approx(std::log(0.1)).epsilon(rounding<double>(4)));
  CHECK(first(with("kaldi", {{"energy", "raw"}, {"energy_floor", "0"}}), quiet) ==
        Approx(std::log(0x1p-23)).epsilon(rounding<double>(4)));
  CHECK(first(with("kaldi", {{"dither", "1"}, {"dither_seed", "1"}}), clip) !=
        first(with("kaldi", {{"dither", "1"}, {"dither_seed", "2"}}), clip));
  CHECK(first(with("kaldi", {{"dither", "1"}, {"dither_seed", "1"}}), clip) ==
        first(with("kaldi", {{"dither", "1"}, {"dither_seed", "1"}}), clip));
  CHECK(first(with("torchaudio", {{"n_fft", "401"}}), clip) !=
        first(with("torchaudio", {{"n_fft", "401"}, {"bin_hz", "exact"}}), clip));

  // a quiet second channel: its own peak keeps it apart from the clip's floor
  std::vector<double> two = clip;
  for (const double v : clip) two.push_back(v * 1e-6);
  const auto second = [&](const char* peak) {
    const mfcc_plan<double> plan(with("librosa-0.11", {{"peak", peak}}), 16000, feature::logmel);
    std::vector<double> out(2 * plan.rows() * plan.frames(2000));
    const view<double, 3> all(out.data(), {2, plan.rows(), plan.frames(2000)});
    auto space = plan.make_workspace(2000, 2);
    plan.extract(view<const double, 2>(two.data(), {2, 2000}), all, space);
    return all(1, 5, 1) - all(0, 5, 1);
  };
  CHECK(second("clip") > second("channel"));
}

TEST_CASE("pad lengthens and never shortens", "[audio]") {
  const mfcc_options o = with("whisper", {{"pad", "0.5s"}});
  const mfcc_plan<float> plan(o, 16000, feature::logmel);
  CHECK(padded_samples(o, 16000) == 8000);
  CHECK(plan.frames(100) == 50);
  CHECK(plan.frames(16000) == 100);
  CHECK(mfcc_plan<float>(with("whisper", {{"pad", "30s"}}), 16000, feature::logmel).frames(1000) == 3000);
  std::vector<float> clip(1000, 0.5F), longer(8000, 0.0F);
  std::copy(clip.begin(), clip.end(), longer.begin());
  const auto a = plan(make_view(std::as_const(clip)));
  const auto b = mfcc_plan<float>(preset("whisper"), 16000, feature::logmel)(make_view(std::as_const(longer)));
  CHECK(compare(a.values.data(), b.values.data(), a.values.size(), 0).ok);
}

TEST_CASE("outputs and workspaces are checked", "[audio]") {
  const mfcc_plan<float> plan(preset("librosa-0.11"), 22050), spectrum(preset("librosa-0.11"), 22050, feature::stft);
  const std::vector<float> clip(50000, 0.1F);
  auto space = plan.make_workspace(50000), small = plan.make_workspace(100);
  matrix<float> right(20, 98), wrong(20, 97);
  CHECK_NOTHROW(plan.extract(make_view(clip), right.as_view(), space));
  CHECK_THROWS_WITH(plan.extract(make_view(clip), wrong.as_view(), space), Catch::Contains("20 x 98"));
  CHECK_THROWS_WITH(plan.extract(make_view(clip), right.as_view(), small), Catch::Contains("make_workspace"));
  CHECK_THROWS_WITH(spectrum(make_view(clip)), Catch::Contains("complex"));
  CHECK_THROWS_WITH(plan.stft(make_view(clip)), Catch::Contains("real"));
}

TEST_CASE("clips without samples and shorter than a frame", "[audio]") {
  const std::vector<float> none, one(1, 0.5F);
  for (const auto& [name, make] : presets::table) {
    const mfcc_plan<float> plan(make(), 16000, feature::logmel);
    INFO(name);
    CHECK(plan(make_view(none)).columns == 0);
    for (const float v : plan(make_view(one)).values) CHECK(std::isfinite(v));
  }
  const mfcc_plan<float> plain(with("librosa-0.11", {{"center", "false"}}), 16000);
  CHECK(plain.frames(2047) == 0);
  CHECK(plain.frames(2048) == 1);
}

TEST_CASE("a batch, threads and channels give each clip's own bits", "[audio]") {
  for (const auto& [name, make] : presets::table) {
    mfcc_options o = make();
    if (o.n_mfcc == 0) o.n_mfcc = 13;
    INFO(name);
    const std::size_t n = 9000, clips = 9;
    std::vector<float> samples;
    for (std::size_t b = 0; b < clips; ++b)
      for (const double v : parity::golden_signal("noise", b + 1, n))
        samples.push_back(static_cast<float>(v) / static_cast<float>(b + 1));
    const view<const float, 2> batch(samples.data(), {clips, n});
    const mfcc_plan<float> one(o, 16000), two(o, 16000, feature::mfcc, cpu{2});
    const std::size_t frames = one.frames(n), size = one.rows() * frames;
    std::vector<float> alone(clips * size), shared(clips * size);
    const view<float, 3> out(alone.data(), {clips, one.rows(), frames}),
        out2(shared.data(), {clips, one.rows(), frames});
    auto space = one.make_workspace(n, 1, clips), space2 = two.make_workspace(n, 1, clips);
    for (std::size_t b = 0; b < clips; ++b) one.extract(batch[b], out[b], space);
    two.extract_batch(batch, out2, space2);
    CHECK(alone == shared);
    CHECK_THROWS_AS(two.extract_batch(view<const float, 2>(samples.data(), {clips + 1, n / 2}), out2, space2), error);
  }
}
