// The fused CUDA chain on the host executor: every preset, random conventions, transforms of every kind of length,
// ragged batches, both sample types, in every order, against the f64 reference and beside the CPU's arm.
#include <algorithm>
#include <cmath>
#include <complex>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include <hocket/audio/clip.hpp>
#include <hocket/audio/presets.hpp>
#include <hocket/audio/resolve.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/mfcc/arms.hpp>
#include <hocket/kernels/mfcc/cuda_launch.cuh>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"
#include "kernels/mfcc/conventions.hpp"
#include "machine_sets.hpp"

using namespace hocket;
namespace room = hocket::kernels::mfcc;
namespace gpu = hocket::kernels::mfcc::gpu;
using room::stage;
using tests::mfcc::bounds;
using tests::mfcc::run_reference;

namespace {

using sizes = std::vector<std::size_t>;
const std::vector<stage> stages = {stage::stft, stage::power, stage::mel, stage::log_mel, stage::mfcc};

/// Clips of one batch, channel after channel, the first the loudest, with samples between the clips that nobody may
/// read.
template <class Sample>
struct clips {
  std::vector<gpu::clip_range> ranges;
  std::size_t channels = 1;
  std::vector<Sample> samples;

  clips(const std::vector<std::size_t>& lengths, std::size_t channel_count, std::uint64_t seed, float level = 1)
      : channels(channel_count) {
    philox dice(seed);
    for (const std::size_t n : lengths) {
      constexpr bool whole = std::is_same_v<Sample, std::int16_t>;
      const Sample poison = whole ? std::numeric_limits<Sample>::max() : std::numeric_limits<Sample>::quiet_NaN();
      samples.insert(samples.end(), 3, poison);
      ranges.push_back({samples.size(), n});
      for (std::size_t i = 0; i < channels * n; ++i) {
        const double x = (2 * dice.next_uniform() - 1) * static_cast<double>(level) / static_cast<double>(1 + i / n);
        samples.push_back(static_cast<Sample>(whole ? std::round(x * 32767) : x));
      }
    }
  }
  /// What clip i means: (channels, samples) with full scale 1.
  std::vector<float> clip(std::size_t i) const {
    std::vector<float> x;
    for (std::size_t j = 0; j < channels * ranges[i].samples; ++j) {
      const auto value = static_cast<float>(samples[ranges[i].offset + j]);
      x.push_back(std::is_same_v<Sample, std::int16_t> ? value / 32768 : value);
    }
    return x;
  }
};

/// A batch on the executor: its output, a complex number as two.
template <class Sample>
std::vector<float> run_gpu(const gpu::plan& how, const clips<Sample>& in, const cuda_host::execution& order = {},
                           bool own_transform = true) {
  cuda_host::machine machine(order);
  const auto device = machine.device();
  const gpu::batch b = how.lay_out(in.ranges, in.channels);
  const auto up = [&](const auto& values, const char* name) {
    using T = typename std::decay_t<decltype(values)>::value_type;
    return view<const T, 1>(machine.upload(values, name), {values.size()});
  };
  const gpu::tables_on_device tables{up(how.values(), "values"), up(how.words(), "words")};
  const gpu::batch_on_device layout{up(b.clips, "clips"), up(b.tiles, "tiles"), up(b.finish_tiles, "finish_tiles")};
  const auto samples = up(in.samples, "samples");
  const std::size_t size = how.output_size(b), width = how.stop() == stage::stft ? 2 : 1;
  float* const out = machine.allocate<float>(width * size, "out");
  if (!own_transform) {  // by hand instead of another library's
    const std::size_t rows = b.channels * b.frames, n = how.facts().n_fft, bins = how.rows();
    float* const frames = machine.allocate<float>(rows * n, "frames");
    gpu::cut_frames(device, how, tables, b, layout, samples, view<float, 2>(frames, {rows, n}));
    std::vector<std::complex<float>> spectrum(rows * bins);
    const auto turn = room::reference::turns(n);
    for (std::size_t r = 0; r < rows; ++r)
      for (std::size_t k = 0; k < bins; ++k) {
        std::complex<double> sum = 0;
        for (std::size_t i = 0; i < n; ++i) sum += static_cast<double>(frames[r * n + i]) * turn[i * k % n];
        spectrum[r * bins + k] = std::complex<float>(sum);
      }
    gpu::turn_spectrum(device, how, tables, b, layout,
                       view<const std::complex<float>, 2>(machine.upload(spectrum, "spectrum"), {rows, bins}),
                       view<std::complex<float>, 1>(reinterpret_cast<std::complex<float>*>(out), {size}));
  } else if (how.stop() == stage::stft) {
    gpu::stft(device, how, tables, b, layout, samples,
              view<std::complex<float>, 1>(reinterpret_cast<std::complex<float>*>(out), {size}));
  } else {
    const std::size_t work = how.workspace_size(b);
    gpu::extract(device, how, tables, b, layout, samples, view<float, 1>(out, {size}),
                 view<float, 1>(machine.allocate<float>(work, "workspace"), {work}));
  }
  return {out, out + width * size};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

/// A batch's output against the reference, clip by clip. A complex number's parts share its bound.
template <class Sample>
comparison against_reference(const room::tables<float>& t, stage stop, const clips<Sample>& in,
                             const std::vector<float>& got) {
  comparison result;
  std::size_t at = 0;
  for (std::size_t i = 0; i < in.ranges.size(); ++i) {
    const auto x = in.clip(i);
    if (t.frames(in.ranges[i].samples) == 0) continue;
    const bounds<float> bound(t, gpu::promise(t.n_fft), x, in.channels);
    const auto log_mel =
        stop >= stage::log_mel ? run_reference(t, stage::log_mel, x, in.channels) : std::vector<double>{};
    const auto expected = run_reference(t, stop, x, in.channels);
    if (at + expected.size() > got.size()) break;
    for (std::size_t j = 0; j < expected.size(); ++j)
      result.add(std::abs(static_cast<double>(got[at + j]) - expected[j]), bound.of(stop, j, log_mel, expected));
    at += expected.size();
  }
  result.add(at == got.size() ? 0 : 1, 0);
  return result;
}

template <class Sample>
comparison check_stage(const room::tables<float>& t, stage stop, const clips<Sample>& in,
                       const gpu::plan_options& options = {}, const cuda_host::execution& order = {}) {
  const gpu::plan how(t, stop, options);
  return against_reference(t, stop, in, run_gpu(how, in, order));
}

/// Tables for a transform of n points and nothing special, with a few bands and, if asked for, everything that happens
/// before the window.
room::tables<float> simple_tables(std::size_t n, bool prepared, room::peak_scope peak, std::uint32_t bands = 5) {
  room::tables<float> t;
  philox dice(n);
  t.n_fft = t.frame_length = t.span = n;
  t.hop = std::max<std::size_t>(n / 3, 1);
  t.lead = static_cast<std::ptrdiff_t>(n / 2);
  t.pad = room::padding::constant;
  for (std::size_t i = 0; i < n; ++i) t.window.push_back(static_cast<float>(0.1 + dice.next_uniform()));
  if (prepared) {
    t.dither = 0.25f;
    t.dither_seed = 7;
    t.remove_dc = true;
    t.preemphasis = 0.97f;
    t.energy = room::energy_source::windowed;
    t.frame_length = t.span = n - n / 5;
    t.fft_offset = n / 10;
    t.window.resize(t.frame_length);
    t.stft_scale = 0.75f;
    t.energy_floor = 0.2f * static_cast<float>(n);  // about what noise comes to
  }
  t.n_mels = bands;
  t.n_mfcc = 4;
  for (std::uint32_t m = 0; m < bands; ++m) {
    const auto bins = static_cast<std::uint32_t>(t.n_bins()), first = m * bins / bands;
    t.mel_first.push_back(first);
    t.mel_length.push_back(m == 2 ? 0 : std::min(bins - first, 3u));
    t.mel_begin.push_back(static_cast<std::uint32_t>(t.mel_weights.size()));
    for (std::uint32_t j = 0; j < t.mel_length.back(); ++j)
      t.mel_weights.push_back(static_cast<float>(0.5 + dice.next_uniform()) / static_cast<float>(1 + m));
  }
  t.log_floor = 0.005f * static_cast<float>(n);  // high enough that a bound on a power bounds its logarithm
  t.peak = peak;
  t.range = 0.5f;
  for (std::size_t i = 0; i < t.n_mels * t.n_mfcc; ++i)
    t.dct.push_back(static_cast<float>(2 * dice.next_uniform() - 1));
  return t;
}

const std::vector<gpu::clip_steps> clip_wide = {{50, 0, false}, {50, 0.97f, true}, {0, 0.97f, false}, {0, 0.5f, true}};

/// Clips shorter and longer than steps.least_samples, against the reference on clips that audio::clip_stage changed.
comparison check_clip_steps(const room::tables<float>& t, const gpu::clip_steps& steps) {
  const clips<float> in({0, 1, 2, 49, 51}, 2, 21);
  const auto got = run_gpu(gpu::plan(t, stage::power, {std::size_t{63} << 10, 2, steps}), in);
  const audio::clip_stage<float> on_cpu{
      steps.least_samples, steps.preemphasis,
      steps.extrapolate ? audio::emphasis_start::extrapolate : audio::emphasis_start::keep};
  clips<float> changed({}, 2, 0);
  for (std::size_t i = 0; i < in.ranges.size(); ++i) {
    const auto x = in.clip(i);
    const std::size_t n = in.ranges[i].samples, after = on_cpu.samples_after(n);
    std::vector<float> y(2 * after);
    for (std::size_t c = 0; c < 2; ++c)
      on_cpu.run(view<const float, 1>(x.data() + c * n, {n}), view<float, 1>(y.data() + c * after, {after}));
    changed.ranges.push_back({changed.samples.size(), after});
    changed.samples.insert(changed.samples.end(), y.begin(), y.end());
  }
  return against_reference(t, stage::power, changed, got);
}

/// The CPU's arm on a clip, on the instruction set that rounds as the executor's host code does: products by
/// themselves.
std::vector<float> run_cpu(const room::tables<float>& t, stage stop, const std::vector<float>& x,
                           std::size_t channels) {
  const tests::on_isa baseline(isa::baseline);
  const room::plan<float> how(t, stop);
  const std::size_t n = x.size() / channels, frames = t.frames(n), width = stop == stage::stft ? 2 : 1;
  std::vector<float> out(width * channels * how.rows() * frames);
  room::workspace<float> memory(how, n, channels);
  const view<const float, 2> samples(x.data(), {channels, n});
  const shape<3> size{channels, how.rows(), frames};
  if (stop == stage::stft)
    room::run(how, memory, samples,
              view<std::complex<float>, 3>(reinterpret_cast<std::complex<float>*>(out.data()), size));
  else
    room::run(how, memory, samples, view<float, 3>(out.data(), size));
  return out;
}

audio::feature feature_of(stage stop) {
  switch (stop) {
    case stage::stft: return audio::feature::stft;
    case stage::power: return audio::feature::power;
    case stage::mel: return audio::feature::mel;
    case stage::log_mel: return audio::feature::logmel;
    case stage::mfcc: return audio::feature::mfcc;
  }
  return audio::feature::mfcc;
}

/// A preset's stage on a ragged batch: within the promise; beside the CPU within the sum of both promises and, by the
/// 2x rule, no further from the reference than twice what the CPU is (root mean square).
template <class Sample>
void check_preset(const std::string& name, double rate, stage stop) {
  auto options = audio::preset(name);
  if (name == "kaldi") options.scale = 32768;
  const auto t = audio::make_tables<float>(audio::resolve(options, rate), rate, feature_of(stop));
  const clips<Sample> in({0, t.n_fft / 2 + 1, t.n_fft + 2 * t.hop + 1}, 2, 17, 0.25f);
  const gpu::plan how(t, stop);
  const auto got = run_gpu(how, in);
  REQUIRE(room::spectrum_promise(room::shape_of(t, stop, 0)) == gpu::promise(t.n_fft));  // so the sum is twice either
  comparison ours, beside;
  double error = 0, cpus = 0, size = 0;  // sums of squares
  std::size_t at = 0;
  for (std::size_t i = 0; i < in.ranges.size(); ++i) {
    const auto x = in.clip(i);
    const auto peer = run_cpu(t, stop, x, in.channels);
    if (peer.empty()) continue;
    REQUIRE(at + peer.size() <= got.size());
    const auto expected = run_reference(t, stop, x, in.channels);
    const auto log_mel = stop == stage::mfcc ? run_reference(t, stage::log_mel, x, in.channels) : expected;
    const bounds<float> bound(t, gpu::promise(t.n_fft), x, in.channels);
    for (std::size_t j = 0; j < peer.size(); ++j) {
      const double mine = static_cast<double>(got[at + j]), other = static_cast<double>(peer[j]);
      const double allowed = bound.of(stop, j, log_mel, expected);
      ours.add(std::abs(mine - expected[j]), allowed);
      beside.add(std::abs(mine - other), 2 * allowed);
      error += std::pow(mine - expected[j], 2);
      cpus += std::pow(other - expected[j], 2);
      size += std::pow(expected[j], 2);
    }
    at += peer.size();
  }
  CAPTURE(name, static_cast<int>(stop), sizeof(Sample), how.frames_per_block(), ours.message(), beside.message());
  CHECK(at == got.size());
  CHECK(ours);
  CHECK(beside);
  CHECK(std::sqrt(error) <= peer_bound<float>(std::sqrt(cpus), std::sqrt(size)));
}

}  // namespace

TEST_CASE("mfcc on CUDA: every preset and stage on ragged clips, both sample types", "[mfcc][cuda_host]") {
  struct convention {
    const char* name;
    double rate;
  };
  for (const auto& [name, rate] :
       {convention{"librosa-0.11", 22050}, convention{"librosa-1.0", 22050}, convention{"torchaudio", 16000},
        convention{"kaldi", 16000}, convention{"whisper", 16000}}) {
    const stage last = std::string(name) == "whisper" ? stage::log_mel : stage::mfcc;  // it defines no cepstra
    for (const stage stop : stages)
      if (stop <= last) check_preset<float>(name, rate, stop);
    check_preset<std::int16_t>(name, rate, last);
  }
}

TEST_CASE("mfcc on CUDA: transforms of every kind of length", "[mfcc][cuda_host]") {
  // Radices 2, 3, 4, 5, 7, 8 and their products, even and odd; primes and twice a prime through the chirp.
  for (const std::size_t n : sizes{1,  2,  3,  4,  5,  6,  7,   8,   9,   10,  11,  12,  13,  14,  15,  16,  18,
                                   20, 21, 22, 24, 25, 27, 28,  31,  32,  34,  35,  40,  42,  48,  49,  56,  62,
                                   63, 64, 70, 80, 97, 98, 105, 112, 125, 128, 194, 210, 256, 330, 384, 400, 512}) {
    const auto t = simple_tables(n, false, room::peak_scope::none);
    const clips<float> in({2 * n + 1}, 1, n);
    for (const std::size_t frames : sizes{0, 1, 4}) {
      const comparison result = check_stage(t, stage::stft, in, {std::size_t{63} << 10, frames});
      CAPTURE(n, frames, result.message());
      CHECK(result);
    }
  }
}

TEST_CASE("mfcc on CUDA: random conventions", "[mfcc][cuda_host]") {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    philox dice(seed);
    const auto t = tests::mfcc::draw_tables<float>(dice);
    const clips<float> in({0, 1, t.n_fft - 1, t.n_fft, 2 * t.n_fft + 9 * t.hop}, 1 + dice.next_below(2), seed);
    const std::size_t frames = std::size_t{1} << dice.next_below(4);
    for (const stage stop : stages) {
      const comparison result = check_stage(t, stop, in, {std::size_t{63} << 10, frames});
      CAPTURE(seed, static_cast<int>(stop), t.n_fft, t.frame_length, t.hop, frames, result.message());
      CHECK(result);
    }
  }
}

TEST_CASE("mfcc on CUDA: the same bits in every order, for every size of block and beside other clips",
          "[mfcc][cuda_host]") {
  for (const std::size_t n : sizes{20, 22})
    for (const stage stop : stages) {
      const auto t = simple_tables(n, true, room::peak_scope::channel);
      const clips<std::int16_t> in({70, 0, 25}, 2, 3);
      const auto first = run_gpu(gpu::plan(t, stop), in);
      CHECK_FALSE(first.empty());
      for (const auto& order : cuda_host::all_orders()) CHECK(same_bits(run_gpu(gpu::plan(t, stop), in, order), first));
      for (const std::size_t frames : sizes{1, 2, 4})
        CHECK(same_bits(run_gpu(gpu::plan(t, stop, {std::size_t{63} << 10, frames}), in), first));
      auto alone = in;
      alone.ranges = {in.ranges[0]};
      const auto one = run_gpu(gpu::plan(t, stop), alone);
      CHECK(same_bits(one, {first.begin(), first.begin() + static_cast<std::ptrdiff_t>(one.size())}));
    }
}

TEST_CASE("mfcc on CUDA: a NaN stays in the frames that read it, and does not hide the peak", "[mfcc][cuda_host]") {
  auto t = simple_tables(16, false, room::peak_scope::none);
  clips<float> in({16 * 12}, 1, 5);
  const auto clean = run_gpu(gpu::plan(t, stage::mfcc), in);
  in.samples[in.ranges[0].offset + 90] = std::numeric_limits<float>::quiet_NaN();
  for (const auto peak : {room::peak_scope::none, room::peak_scope::clip}) {
    t.peak = peak;
    t.range = 1e6f;
    const auto got = run_gpu(gpu::plan(t, stage::mfcc), in);
    const std::size_t frames = t.frames(16 * 12);
    REQUIRE(got.size() == clean.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      const auto begin = static_cast<std::ptrdiff_t>(i % frames * t.hop) - t.lead;
      const bool reads_it = begin <= 90 && 90 < begin + 16;
      CAPTURE(i, begin, got[i], clean[i]);
      CHECK(std::isnan(got[i]) == reads_it);
      if (!reads_it) CHECK(std::abs(got[i] - clean[i]) <= static_cast<float>(rounding<float>(64)));
    }
  }
}

TEST_CASE("mfcc on CUDA: frames for another library's transform, and its spectrum", "[mfcc][cuda_host]") {
  for (const bool prepared : {false, true})
    for (const std::size_t n : sizes{15, 70}) {
      const auto t = simple_tables(n, prepared, room::peak_scope::none);
      const clips<std::int16_t> in({3 * n, 0, 1, 17 * n}, 2, n);
      const comparison result =
          against_reference(t, stage::stft, in, run_gpu(gpu::plan(t, stage::stft), in, {}, false));
      CAPTURE(n, prepared, result.message());
      CHECK(result);
    }
}

TEST_CASE("mfcc on CUDA: zeros behind a clip and pre-emphasis over it", "[mfcc][cuda_host]") {
  for (const auto pad : {room::padding::constant, room::padding::reflect, room::padding::none})
    for (const gpu::clip_steps& steps : clip_wide) {
      auto t = simple_tables(24, false, room::peak_scope::none);
      t.pad = pad;
      t.lead = pad == room::padding::none ? 0 : 12;
      const comparison result = check_clip_steps(t, steps);
      CAPTURE(static_cast<int>(pad), steps.least_samples, steps.preemphasis, steps.extrapolate, result.message());
      CHECK(result);
    }
}

TEST_CASE("mfcc on CUDA: one launch, or three where the peak is needed", "[mfcc][cuda_host]") {
  auto t = simple_tables(16, false, room::peak_scope::none);
  const clips<float> in({100, 40}, 1, 1);
  cuda_host::launch_counts.clear();
  run_gpu(gpu::plan(t, stage::mfcc), in);
  CHECK(cuda_host::launch_counts == std::map<std::string, std::size_t>{{"hocket_mfcc_cepstra_f32", 1}});
  t.peak = room::peak_scope::clip;
  cuda_host::launch_counts.clear();
  run_gpu(gpu::plan(t, stage::mfcc), in);
  CHECK(cuda_host::launch_counts == std::map<std::string, std::size_t>{{"hocket_mfcc_held_f32", 1},
                                                                       {"hocket_mfcc_peaks_f32", 1},
                                                                       {"hocket_mfcc_finishcepstra_f32", 1}});
}

TEST_CASE("mfcc on CUDA: the tests notice every damage to the kernels", "[mfcc][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    // Lengths whose passes take every radix: 40 = 2 x (5 4), 84 = 2 x (7 3 2), 48 = 2 x (8 3), 22 = 2 x chirp(11).
    const clips<std::int16_t> in({130, 9}, 2, 3);
    const clips<float> real({130, 9}, 1, 4);
    const std::size_t most = std::size_t{63} << 10;
    for (const std::size_t frames : sizes{8, 2})
      for (const std::size_t n : sizes{40, 22})
        if (!check_stage(simple_tables(n, n == 40, room::peak_scope::channel), stage::mfcc, in, {most, frames}))
          return false;
    for (const std::size_t n : sizes{84, 48})
      if (!check_stage(simple_tables(n, false, room::peak_scope::none), stage::stft, real)) return false;
    for (const stage stop : {stage::power, stage::mel, stage::log_mel, stage::mfcc})
      if (!check_stage(simple_tables(24, true, room::peak_scope::none), stop, real)) return false;
    // More values than threads, the loudest first.
    if (!check_stage(simple_tables(24, false, room::peak_scope::clip, 70), stage::log_mel, in)) return false;
    if (!check_clip_steps(simple_tables(24, false, room::peak_scope::none), clip_wide[1])) return false;
    const auto t = simple_tables(70, true, room::peak_scope::none);
    return static_cast<bool>(against_reference(t, stage::stft, in, run_gpu(gpu::plan(t, stage::stft), in, {}, false)));
  });
  INFO(report.message());
  CHECK(report.total() >= 57);
  CHECK(report.survivors.empty());
}

TEST_CASE("mfcc on CUDA: what does not fit is refused by name", "[mfcc][cuda_host]") {
  using tests::kind_of;
  const auto of = [](std::size_t n) { return simple_tables(n, false, room::peak_scope::none); };
  CHECK(kind_of([&] { gpu::plan(of(7200), stage::mfcc); }) == "accepted");
  CHECK(kind_of([&] { gpu::plan(of(8192), stage::mfcc); }) == "unsupported_shape");
  CHECK(kind_of([&] { gpu::plan(of(8192), stage::mfcc, {std::size_t{100} << 10, 0}); }) == "accepted");
  CHECK(kind_of([&] { gpu::plan(of(1873), stage::mfcc); }) == "accepted");  // a prime
  CHECK(kind_of([&] { gpu::plan(of(2039), stage::mfcc); }) == "unsupported_shape");
  CHECK(kind_of([&] { gpu::plan(of(1 << 20), stage::mfcc); }) == "unsupported_shape");
  CHECK(kind_of([&] { gpu::plan(of(16), stage::mfcc, {std::size_t{63} << 10, 3}); }) == "bad_option");
  auto bad = of(16);
  bad.hop = 0;
  CHECK(kind_of([&] { gpu::plan(bad, stage::mfcc); }) == "unsupported_shape");
  const gpu::plan how(of(16), stage::mfcc);
  const std::vector<gpu::clip_range> clip{{0, 64}}, endless{{0, std::size_t{1} << 32}};
  CHECK(kind_of([&] { how.lay_out(clip, 0); }) == "unsupported_shape");
  CHECK(kind_of([&] { how.lay_out(endless, 1); }) == "unsupported_shape");

  const gpu::batch b = how.lay_out(clip, 1);
  cuda_host::machine machine;
  const gpu::tables_on_device tables{{machine.upload(how.values(), "values"), {how.values().size()}},
                                     {machine.upload(how.words(), "words"), {how.words().size()}}};
  const gpu::batch_on_device layout{{machine.upload(b.clips, "clips"), {b.clips.size()}},
                                    {machine.upload(b.tiles, "tiles"), {b.tiles.size()}},
                                    {machine.upload(b.finish_tiles, "finish_tiles"), {b.finish_tiles.size()}}};
  std::vector<float> host(64);
  const float* const samples = machine.upload(host, "samples");
  float* const out = machine.allocate<float>(how.output_size(b), "out");
  const auto start = [&](const float* from, std::size_t count, std::size_t size) {
    return kind_of([&] {
      gpu::extract(machine.device(), how, tables, b, layout, view<const float, 1>(from, {count}),
                   view<float, 1>(out, {size}), view<float, 1>());
    });
  };
  CHECK(start(samples, 64, how.output_size(b)) == "accepted");
  CHECK(start(samples, 63, how.output_size(b)) == "unsupported_shape");
  CHECK(start(samples, 64, how.output_size(b) - 1) == "unsupported_shape");
  CHECK(start(host.data(), 64, how.output_size(b)) == "bad_pointer");
  CHECK(kind_of([&] {
          gpu::stft(machine.device(), how, tables, b, layout, view<const float, 1>(samples, {64}),
                    view<std::complex<float>, 1>());
        }) == "bad_option");
}
