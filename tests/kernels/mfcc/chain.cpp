// The fused chain against its definition on random tables: awkward transforms, clips shorter than a frame, hops longer
// than one, empty bands; every arm, every instruction set. And what streaming rests on: a frame's bits are its own.
#define HOCKET_COUNT_ALLOCATIONS
#include <algorithm>
#include <cmath>
#include <complex>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/mfcc/arms.hpp>
#include <hocket/kernels/mfcc/reference.hpp>
#include <hocket/measure/allocations.hpp>

#include "catch.hpp"

using namespace hocket;
namespace room = hocket::kernels::mfcc;
using room::stage;

namespace {

struct on_isa {
  explicit on_isa(isa level) { limit_isa(level); }
  ~on_isa() { limit_isa(machine_isa()); }
};

std::vector<isa> machine_sets() {
  std::vector<isa> sets;
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512})
    if (level <= machine_isa()) sets.push_back(level);
  return sets;
}

/// A random convention. Everything that tables can say is drawn; the bands are random, some of them empty.
template <Real T>
room::tables<T> draw_tables(philox& dice) {
  const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(dice.next_below(n)); };
  static constexpr std::size_t lengths[] = {1, 2, 3, 4, 5, 7, 8, 12, 16, 31, 33, 64, 97, 100, 128, 250};
  room::tables<T> t;
  t.n_fft = lengths[pick(std::size(lengths))];
  t.frame_length = pick(3) == 0 ? 1 + pick(t.n_fft) : t.n_fft;
  t.fft_offset = pick(t.n_fft - t.frame_length + 1);
  t.hop = 1 + pick(2 * t.n_fft);
  t.pad = static_cast<room::padding>(pick(5));
  t.centred = t.pad != room::padding::edge_mirror || pick(2) == 0;
  t.span = t.frame_length;
  t.lead = t.pad == room::padding::none ? 0 : static_cast<std::ptrdiff_t>(t.frame_length / 2);
  t.drop_last_frame = pick(4) == 0;
  t.sample_scale = static_cast<T>(pick(3) == 0 ? 32768 : 1);
  t.dither = static_cast<T>(pick(4) == 0 ? 0.5 : 0);
  t.dither_seed = pick(100);
  t.remove_dc = pick(3) == 0;
  t.preemphasis = static_cast<T>(pick(3) == 0 ? 0.97 : 0);
  for (std::size_t i = 0; i < t.frame_length; ++i) t.window.push_back(static_cast<T>(0.1 + dice.next_uniform()));
  t.stft_scale = static_cast<T>(pick(3) == 0 ? 0.25 : 1);
  t.power = static_cast<T>(pick(3) == 0 ? 1.0 : pick(3) == 0 ? 1.5 : 2.0);
  t.n_mels = 1 + pick(20);
  for (std::size_t m = 0; m < t.n_mels; ++m) {
    const std::size_t first = pick(t.n_bins()), length = pick(4) == 0 ? 0 : 1 + pick(t.n_bins() - first);
    t.mel_first.push_back(static_cast<std::uint32_t>(first));
    t.mel_length.push_back(static_cast<std::uint32_t>(length));
    t.mel_begin.push_back(static_cast<std::uint32_t>(t.mel_weights.size()));
    for (std::size_t j = 0; j < length; ++j) t.mel_weights.push_back(static_cast<T>(dice.next_uniform()));
  }
  t.take_log = pick(8) != 0;
  t.log_scale = static_cast<T>(pick(2) == 0 ? 1.0 : 10 / std::log(10.0));
  t.log_floor = static_cast<T>(1e-10);
  t.log_offset = static_cast<T>(pick(4) == 0 ? 1e-6 : 0);
  t.log_shift = static_cast<T>(pick(3) == 0 ? -3.5 : 0);
  t.peak = static_cast<room::peak_scope>(pick(3));
  t.range = static_cast<T>(5);
  if (pick(4) == 0) {
    t.out_shift = 4;
    t.out_scale = static_cast<T>(0.25);
  }
  t.n_mfcc = pick(t.n_mels + 1);
  for (std::size_t i = 0; i < t.n_mfcc * t.n_mels; ++i) t.dct.push_back(static_cast<T>(2 * dice.next_uniform() - 1));
  t.energy = static_cast<room::energy_source>(pick(3));
  t.energy_floor = static_cast<T>(pick(2) == 0 ? 0 : 1.0);
  t.energy_scale = static_cast<T>(pick(2) == 0 ? 1 : 1.5);
  return t;
}

template <Real T>
std::vector<T> draw_clip(philox& dice, std::size_t channels, std::size_t n) {
  std::vector<T> x(channels * n);
  for (T& v : x) v = static_cast<T>(2 * dice.next_uniform() - 1);
  return x;
}

template <Real T>
std::vector<T> run_chain(const room::plan<T>& how, const std::vector<T>& x, std::size_t channels, int threads = 1) {
  const std::size_t n = x.size() / channels, frames = how.facts().frames(n);
  const view<const T, 2> clip(x.data(), {channels, n});
  room::workspace<T> memory(how, n, channels, threads);
  REQUIRE(memory.fits(how, channels, n));
  if (how.stop() == stage::stft) {
    std::vector<std::complex<T>> z(channels * how.rows() * frames);
    room::run(how, memory, clip, view<std::complex<T>, 3>(z.data(), {channels, how.rows(), frames}), cpu{threads});
    std::vector<T> out;
    for (const auto& v : z) out.insert(out.end(), {v.real(), v.imag()});
    return out;
  }
  std::vector<T> out(channels * how.rows() * frames);
  room::run(how, memory, clip, view<T, 3>(out.data(), {channels, how.rows(), frames}), cpu{threads});
  return out;
}

template <Real T>
std::vector<double> run_reference(const room::tables<T>& t, stage stop, const std::vector<T>& x, std::size_t channels) {
  // The reference rounds to its output type only; a double output of T's tables is what it summed.
  const std::size_t n = x.size() / channels, frames = t.frames(n);
  const std::size_t rows = stop <= stage::power ? t.n_bins() : stop == stage::mfcc ? t.n_mfcc : t.n_mels;
  const view<const T, 2> clip(x.data(), {channels, n});
  if (stop == stage::stft) {
    std::vector<std::complex<T>> z(channels * rows * frames);
    room::reference::stft(t, clip, view<std::complex<T>, 3>(z.data(), {channels, rows, frames}));
    std::vector<double> out;
    for (const auto& v : z) out.insert(out.end(), {static_cast<double>(v.real()), static_cast<double>(v.imag())});
    return out;
  }
  std::vector<T> out(channels * rows * frames);
  room::reference::run(t, stop, clip, view<T, 3>(out.data(), {channels, rows, frames}));
  return {out.begin(), out.end()};
}

/// Bounds that follow from the promise for the spectrum, stage by stage, for every element of a stage's output.
template <Real T>
struct bounds {
  const room::tables<T>& t;
  std::size_t channels, frames;
  double spectrum, power;  ///< of any bin
  std::vector<double> mel, logs;

  bounds(const room::tables<T>& tables, double promise, const std::vector<T>& x, std::size_t count)
      : t(tables), channels(count), frames(tables.frames(x.size() / count)) {
    // The largest value a bin can take, and with it the largest error.
    double largest = max_abs(x.data(), x.size()) * static_cast<double>(t.sample_scale);
    if (t.dither != T{0}) largest += static_cast<double>(t.dither) * 6;
    double sum = 0;
    for (const T w : t.window) sum += static_cast<double>(w);
    const double bin = largest * sum * static_cast<double>(t.stft_scale) * (t.remove_dc ? 2 : 1) *
                       (1 + static_cast<double>(t.preemphasis));
    spectrum = rounding<T>((promise + 4) * bin);
    const double p = static_cast<double>(t.power);
    power = rounding<T>((p * (promise + 4) + 4) * std::pow(bin, p));
    const auto bands = run_reference(t, stage::mel, x, channels);
    mel.resize(bands.size());
    logs.resize(bands.size());
    for (std::size_t i = 0; i < bands.size(); ++i) {
      const std::size_t m = i / std::max<std::size_t>(frames, 1) % t.n_mels;
      double weights = 0;
      for (std::size_t j = 0; j < t.mel_length[m]; ++j)
        weights += static_cast<double>(t.mel_weights[t.mel_begin[m] + j]);
      mel[i] = weights * power + rounding<T>((1.0 + t.mel_length[m]) * bands[i]);
      const double inside = std::max(bands[i], static_cast<double>(t.log_floor)) + static_cast<double>(t.log_offset);
      // ln(y) - ln(x) <= |y - x| / min(x, y); the floor bounds the denominator
      const double least = std::max(inside - mel[i], static_cast<double>(t.log_floor));
      logs[i] = t.take_log ? static_cast<double>(t.log_scale) *
                                     (mel[i] / least + rounding<T>(2 + 2 * std::abs(std::log(inside)))) +
                                 rounding<T>(std::abs(static_cast<double>(t.log_shift)) * 2)
                           : mel[i];
    }
    const double worst = logs.empty() ? 0 : *std::max_element(logs.begin(), logs.end());
    for (double& b : logs) {
      if (t.peak != room::peak_scope::none) b = std::max(b, worst) + rounding<T>(static_cast<double>(t.range));
      b = b * static_cast<double>(t.out_scale);
    }
  }

  /// Of element (channel, row, frame) of a stage, given the reference's log-mel values.
  double of(stage stop, std::size_t i, const std::vector<double>& log_mel, const std::vector<double>& expected) const {
    if (stop == stage::stft) return spectrum;
    if (stop == stage::power) return power;
    if (stop == stage::mel) return mel[i];
    if (stop == stage::log_mel) return logs[i] + rounding<T>(4 * std::abs(log_mel[i]) + 4);
    const std::size_t f = i % frames, c = i / frames % t.n_mfcc, channel = i / frames / t.n_mfcc;
    if (c == 0 && t.energy != room::energy_source::none) {
      // ln of a sum of squares, each off by what a sample may be off
      const double energy = std::exp(expected[i] / static_cast<double>(t.energy_scale));
      const double sample = spectrum / (static_cast<double>(t.stft_scale) * 0.1);
      const double terms = static_cast<double>(t.frame_length);
      const double error =
          2 * sample * std::sqrt(terms * energy) + terms * sample * sample + rounding<T>(terms * energy);
      return static_cast<double>(t.energy_scale) * (error / energy + rounding<T>(4 * std::abs(std::log(energy)) + 4));
    }
    double bound = 0, level = 0, rows = 0;
    for (std::size_t m = 0; m < t.n_mels; ++m) {
      const std::size_t at = (channel * t.n_mels + m) * frames + f;
      const double w = std::abs(static_cast<double>(t.dct[c * t.n_mels + m]));
      bound += w * (logs[at] + rounding<T>(4 * std::abs(log_mel[at]) + 4));
      level += std::abs(log_mel[at]);
      rows += w;
    }
    return bound + rounding<T>(static_cast<double>(t.n_mels + 4) * level * (rows + 1) / static_cast<double>(t.n_mels)) +
           rounding<T>(4 * std::abs(expected[i]));
  }
};

template <Real T>
void check_draw(std::uint64_t seed) {
  philox dice(seed);
  const auto t = draw_tables<T>(dice);
  const std::size_t sizes[] = {0, 1, t.n_fft - 1, t.n_fft, t.n_fft + 1, 3 * t.n_fft + 17 * t.hop};
  const std::size_t n = sizes[dice.next_below(6)], channels = 1 + static_cast<std::size_t>(dice.next_below(2));
  const auto x = draw_clip<T>(dice, channels, n);
  if (t.frames(n) == 0) {
    for (const stage stop : {stage::stft, stage::mfcc}) CHECK(run_chain(room::plan<T>(t, stop), x, channels).empty());
    return;
  }
  for (const auto& arm : room::arms<T>()) {
    const bounds<T> bound(t, arm.promise(room::shape_of(t, stage::mfcc, n)), x, channels);
    const auto log_mel = run_reference(t, stage::log_mel, x, channels);
    for (const stage stop : {stage::stft, stage::power, stage::mel, stage::log_mel, stage::mfcc}) {
      const auto expected = run_reference(t, stop, x, channels);
      const auto how = arm.run(t, stop);
      const auto got = run_chain(*how, x, channels);
      CAPTURE(seed, arm.name, name_of(arm.type), name_of(best_isa()), static_cast<int>(stop), t.n_fft, t.frame_length,
              t.hop, n);
      REQUIRE(got.size() == expected.size());
      comparison result;
      for (std::size_t i = 0; i < got.size(); ++i)
        result.add(std::abs(static_cast<double>(got[i]) - expected[i]), bound.of(stop, i, log_mel, expected));
      INFO(result.message());
      CHECK(result.ok);
      if (how->frame_local() || stop == stage::mfcc) {
        const auto two = run_chain(*how, x, channels, 2);
        CHECK(std::equal(two.begin(), two.end(), got.begin(), got.end()));
      }
    }
  }
}

template <Real T>
room::tables<T> plain_tables(std::size_t n_fft, std::size_t hop, room::peak_scope peak) {
  room::tables<T> t;
  t.n_fft = t.frame_length = t.span = n_fft;
  t.hop = hop;
  t.lead = static_cast<std::ptrdiff_t>(n_fft / 2);
  t.pad = room::padding::reflect;
  t.window.assign(n_fft, T(0.5));
  t.n_mels = 6;
  for (std::uint32_t m = 0; m < 6; ++m) {
    t.mel_first.push_back(2 * m);
    t.mel_length.push_back(3);
    t.mel_begin.push_back(3 * m);
    t.mel_weights.insert(t.mel_weights.end(), {T(0.25), T(1), T(0.5)});
  }
  t.log_floor = T(1e-10);
  t.peak = peak;
  t.range = 8;
  t.n_mfcc = 4;
  for (std::size_t i = 0; i < 24; ++i) t.dct.push_back(static_cast<T>(std::cos(static_cast<double>(i))));
  return t;
}

}  // namespace

TEMPLATE_TEST_CASE("mfcc: every arm follows the definition on random conventions", "[mfcc]", float, double) {
  for (const isa level : machine_sets()) {
    const on_isa guard(level);
    for (std::uint64_t seed = 0; seed < 40; ++seed)
      check_draw<TestType>(seed + 1000 * static_cast<std::uint64_t>(level));
  }
}

TEMPLATE_TEST_CASE("mfcc: a thousand random conventions", "[mfcc][.long]", float, double) {
  for (const isa level : machine_sets()) {
    const on_isa guard(level);
    for (std::uint64_t seed = 0; seed < 1000; ++seed) check_draw<TestType>(100000 + seed);
  }
}

TEMPLATE_TEST_CASE("mfcc: frames cut from a stream have the bits of the whole clip", "[mfcc]", float, double) {
  using T = TestType;
  for (const isa level : machine_sets()) {
    const on_isa guard(level);
    auto t = plain_tables<T>(48, 20, room::peak_scope::none);
    t.pad = room::padding::none;
    t.lead = 0;
    t.dither = T(0.01);
    for (const stage stop : {stage::stft, stage::power, stage::mfcc}) {
      const room::plan<T> how(t, stop);
      REQUIRE(how.frame_local());
      philox dice(9);
      const auto x = draw_clip<T>(dice, 1, 48 + 20 * 70);
      const auto whole = run_chain(how, x, 1);
      const std::size_t frames = t.frames(x.size()), width = stop == stage::stft ? 2 : 1;
      room::workspace<T> memory(how);
      for (const std::size_t chunk : {std::size_t{1}, std::size_t{3}, std::size_t{16}, std::size_t{17}, frames}) {
        std::vector<T> out(whole.size());
        for (std::size_t f = 0; f < frames; f += chunk)
          room::run_frames(how, memory, x.data() + f * t.hop, std::min(chunk, frames - f), f, out.data() + f * width,
                           frames);
        CHECK(std::equal(out.begin(), out.end(), whole.begin()));
      }
    }
  }
}

TEMPLATE_TEST_CASE("mfcc: a batch of clips has the bits of each clip alone, and nothing is allocated", "[mfcc]", float,
                   double) {
  using T = TestType;
  for (const auto& arm : room::arms<T>()) {
    const auto t = plain_tables<T>(64, 16, room::peak_scope::channel);
    const auto how = arm.run(t, stage::mfcc);
    philox dice(11);
    std::vector<std::vector<T>> x, alone, out;
    for (std::size_t i = 0; i < 11; ++i) {
      x.push_back(draw_clip<T>(dice, 2, 100 + 37 * i));
      alone.push_back(run_chain(*how, x.back(), 2));
      out.emplace_back(alone.back().size());
    }
    for (const int threads : {1, 2, 3}) {
      std::vector<room::clip<T>> clips;
      for (std::size_t i = 0; i < x.size(); ++i) {
        const std::size_t n = x[i].size() / 2;
        clips.push_back(
            {view<const T, 2>(x[i].data(), {2, n}), view<T, 3>(out[i].data(), {2, how->rows(), t.frames(n)})});
      }
      room::workspace<T> memory(*how, x.back().size() / 2, 2, threads);
      const std::span<const room::clip<T>> jobs(clips);
      room::run(*how, memory, jobs, cpu{threads});
      CHECK(measure::allocations_of([&] { room::run(*how, memory, jobs, cpu{threads}); }) == 0);
      for (std::size_t i = 0; i < x.size(); ++i) CHECK(out[i] == alone[i]);
    }
  }
}

TEST_CASE("mfcc: the logarithm is within one unit in the last place", "[mfcc]") {
  // log_mel of a band that is the power of one bin of a one-point transform: ln(x^2), x swept over the exponents.
  const auto check = [](auto zero) {
    using T = decltype(zero);
    room::tables<T> t;
    t.n_fft = t.frame_length = t.span = t.hop = 1;
    t.window = {T{1}};
    t.n_mels = 1;
    t.mel_first = t.mel_begin = {0};
    t.mel_length = {1};
    t.mel_weights = {T{1}};
    std::vector<T> x;
    philox dice(3);
    const int top = std::numeric_limits<T>::max_exponent / 2 - 1;
    for (int e = -top; e < top; ++e)
      for (int i = 0; i < 8; ++i) x.push_back(static_cast<T>(std::ldexp(1 + dice.next_uniform(), e)));
    for (int i = 0; i < 2000; ++i) x.push_back(static_cast<T>(1 + (dice.next_uniform() - 0.5) * 0.01));
    x.push_back(0);
    for (const isa level : machine_sets()) {
      const on_isa guard(level);
      const auto squares = run_chain(room::plan<T>(t, stage::power), x, 1);
      const auto logs = run_chain(room::plan<T>(t, stage::log_mel), x, 1);
      comparison result;
      for (std::size_t i = 0; i + 1 < x.size(); ++i) {
        const long double exact = std::log(static_cast<long double>(squares[i]));
        result.add(static_cast<double>(std::abs(static_cast<long double>(logs[i]) - exact)),
                   rounding<T>(static_cast<double>(std::abs(exact))));
      }
      INFO(name_of(level) << ": " << result.message());
      CHECK(result.ok);
      CHECK(logs.back() == -std::numeric_limits<T>::infinity());
    }
  };
  check(0.0F);
  check(0.0);
}

TEST_CASE("mfcc: tables that do not fit together are refused", "[mfcc]") {
  const auto refused = [](const room::tables<double>& t) {
    try {
      room::plan<double> how(t, stage::mfcc);
    } catch (const error& e) {
      return e.kind();
    }
    FAIL("nothing was thrown");
    return errc::bad_value;
  };
  const auto good = plain_tables<double>(32, 8, room::peak_scope::none);
  auto bad = good;
  bad.hop = 0;
  CHECK(refused(bad) == errc::unsupported_shape);
  bad = good;
  bad.fft_offset = 1;
  CHECK(refused(bad) == errc::unsupported_shape);
  bad = good;
  bad.window.pop_back();
  CHECK(refused(bad) == errc::unsupported_shape);
  bad = good;
  bad.mel_first[5] = 15;
  CHECK(refused(bad) == errc::unsupported_shape);
  bad = good;
  bad.dct.pop_back();
  CHECK(refused(bad) == errc::unsupported_shape);
}
