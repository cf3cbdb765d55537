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
#include "kernels/mfcc/conventions.hpp"
#include "machine_sets.hpp"

using namespace hocket;
namespace room = hocket::kernels::mfcc;
using room::stage;
using tests::machine_sets;
using tests::on_isa;
using tests::mfcc::bounds;
using tests::mfcc::draw_clip;
using tests::mfcc::draw_tables;
using tests::mfcc::run_reference;

namespace {

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
