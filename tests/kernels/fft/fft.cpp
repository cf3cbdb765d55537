// Every arm of the transform against its definition, on awkward lengths, batches that do not fill the lanes, and every
// instruction set.
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include <hocket/audio/fft.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/fft/arms.hpp>
#include <hocket/kernels/fft/engine.hpp>
#include <hocket/kernels/fft/reference.hpp>

#include "catch.hpp"
#include "machine_sets.hpp"

using namespace hocket;
namespace room = hocket::kernels::fft;
using room::kind;
using tests::machine_sets;
using tests::on_isa;

namespace {

template <Real T>
buffer<T> noise(std::size_t n, std::uint64_t seed) {
  buffer<T> x(n);
  const philox draws(seed);
  for (std::size_t i = 0; i < n; ++i) x[i] = static_cast<T>(draws.normal_at(i));
  return x;
}

/// The reference of one row, as T pairs or samples in double.
template <Real T>
std::vector<double> expected_row(const room::shape& s, const T* row) {
  std::vector<double> out;
  const auto push = [&](const auto& values) {
    for (const auto& z : values) {
      out.push_back(z.real());
      out.push_back(z.imag());
    }
  };
  if (s.what == kind::real_forward) {
    push(room::reference::real_forward(std::vector<T>(row, row + s.n)));
    return out;
  }
  std::vector<std::complex<double>> z;
  for (std::size_t i = 0; i < s.in_row() / 2; ++i) z.emplace_back(row[2 * i], row[2 * i + 1]);
  if (s.what == kind::real_inverse) return room::reference::real_inverse(z, s.n);
  push(room::reference::transform(z, s.what == kind::complex_inverse));
  return out;
}

/// Error of every row of `got` in units of epsilon x ||x||_2.
template <Real T>
double error_units(const room::shape& s, const buffer<T>& in, const buffer<T>& got) {
  double worst = 0;
  for (std::size_t b = 0; b < s.batch; ++b) {
    const T* row = in.data() + b * s.in_row();
    double norm = 0;
    for (std::size_t i = 0; i < s.in_row(); ++i) norm += static_cast<double>(row[i]) * static_cast<double>(row[i]);
    if (s.what == kind::real_inverse) norm *= 2;  // the other half of the spectrum
    const auto expected = expected_row(s, row);
    const double error = max_abs_difference(got.data() + b * s.out_row(), expected.data(), expected.size());
    const double units = error / rounding<T>(std::sqrt(norm));
    if (!(units <= worst)) worst = units;
  }
  return worst;
}

template <Real T>
void check(const room::fft_arm<T>& arm, const room::shape& s) {
  if (!arm.accepts(s)) return;
  const auto in = noise<T>(s.in_row() * s.batch, 7 * s.n + s.batch);
  buffer<T> used = in, out(s.out_row() * s.batch);
  arm.run(s)->run(used.data(), out.data());
  const double units = error_units(s, in, out);
  CAPTURE(arm.name, name_of(arm.type), name_of(s.what), s.n, s.batch, name_of(best_isa()));
  CHECK(units <= arm.promise(s));
}

template <Real T>
void check_lengths(const std::vector<std::size_t>& lengths, std::string_view only) {
  for (const auto& arm : room::arms<T>())
    for (const std::size_t n : lengths)
      for (const kind what : {kind::complex_forward, kind::complex_inverse, kind::real_forward, kind::real_inverse})
        if (only.empty() || arm.name == only) check(arm, {what, n, 1 + n % 3});
}

std::vector<std::size_t> small_lengths() {
  std::vector<std::size_t> lengths;
  for (std::size_t n = 1; n <= 70; ++n) lengths.push_back(n);
  return lengths;
}
const std::vector<std::size_t> awkward = {97, 127, 210, 251, 256, 343, 400, 441, 480, 500, 512, 625, 729, 1000, 1001};

}  // namespace

TEMPLATE_TEST_CASE("fft: every arm keeps its promise at every length to 70", "[fft]", float, double) {
  for (const isa level : machine_sets()) {
    const on_isa guard(level);
    check_lengths<TestType>(small_lengths(), "own");
  }
}

TEMPLATE_TEST_CASE("fft: every arm keeps its promise at awkward lengths", "[fft]", float, double) {
  check_lengths<TestType>({1, 2, 7, 64, 97, 400, 441}, "");
  for (const isa level : machine_sets()) {
    const on_isa guard(level);
    check_lengths<TestType>(awkward, "own");
  }
}

TEMPLATE_TEST_CASE("fft: long and prime lengths", "[fft]", float, double) {
  for (const std::size_t n :
       {std::size_t{1023}, std::size_t{1024}, std::size_t{1025}, std::size_t{2048}, std::size_t{2039}})
    for (const auto& arm : room::arms<TestType>())
      if (arm.name == "own") {
        check(arm, {kind::real_forward, n, 2});
        check(arm, {kind::complex_inverse, n, 1});
      }
}

TEMPLATE_TEST_CASE("fft: three passes and large primes", "[fft][.long]", float, double) {
  for (const isa level : machine_sets()) {
    const on_isa guard(level);
    check_lengths<TestType>({4096, 5000, 6561, 8192, 10007, 16384}, "own");
  }
}

// Lengths beyond the reach of the O(n^2) sum: impulses have known transforms, exp(-2 pi i j k / n) for an impulse at j.
TEMPLATE_TEST_CASE("fft: impulses at lengths of three passes and a large prime", "[fft]", float, double) {
  using T = TestType;
  for (const std::size_t n : {std::size_t{8192}, std::size_t{15625}, std::size_t{20011}, std::size_t{65536}}) {
    audio::fft_plan<T> plan(n);
    std::vector<std::complex<T>> x(n), X(n);
    const std::size_t at = n / 3 + 1;
    x[at] = 1;
    plan.transform(make_view(std::as_const(x)), make_view(X));
    comparison result;
    const double promised = room::own_promise({kind::complex_forward, n, 1});
    for (std::size_t k = 0; k < n; ++k) {
      const auto [c, s] = room::root_of_unity(static_cast<std::uint64_t>(at) * k, n);
      result.add(std::abs(std::complex<double>(X[k]) - std::complex<double>(c, s)), rounding<T>(promised));
    }
    INFO(n << ": " << result.message());
    CHECK(result.ok);
  }
}

#if defined(HOCKET_HAVE_FFTW)
TEST_CASE("fft: f32 is within twice FFTW's own error, per length over all outputs", "[fft]") {
  for (const std::size_t n : {std::size_t{64}, std::size_t{97}, std::size_t{400}, std::size_t{441}, std::size_t{512},
                              std::size_t{1000}, std::size_t{1024}, std::size_t{1025}, std::size_t{2048}}) {
    const room::shape s{kind::real_forward, n, 4};
    const auto in = noise<float>(s.in_row() * s.batch, n);
    double units[2] = {};
    for (const auto& arm : room::arms<float>()) {
      buffer<float> used = in, out(s.out_row() * s.batch);
      arm.run(s)->run(used.data(), out.data());
      units[arm.name == "fftw"] = error_units(s, in, out);
    }
    CAPTURE(n, units[0], units[1]);
    CHECK(units[0] <= std::max(2 * units[1], 1.0));
  }
}
#endif

TEMPLATE_TEST_CASE("fft: a row's bits do not depend on the rows beside it", "[fft]", float, double) {
  using T = TestType;
  for (const isa level : machine_sets()) {
    const on_isa guard(level);
    for (const std::size_t n : {std::size_t{30}, std::size_t{97}, std::size_t{512}}) {
      const std::size_t batch = 37;
      audio::fft_plan<T> plan(n);
      const auto x = noise<T>(batch * n, n);
      std::vector<std::complex<T>> all(batch * plan.bins()), one(plan.bins());
      plan.forward_batch(x.as_matrix(batch, n), make_view(all, batch, plan.bins()));
      for (std::size_t b = 0; b < batch; ++b) {
        plan.forward(x.as_matrix(batch, n)[b], make_view(one));
        for (std::size_t k = 0; k < plan.bins(); ++k) REQUIRE(one[k] == all[b * plan.bins() + k]);
      }
    }
  }
}

TEMPLATE_TEST_CASE("fft: round trips, Parseval and linearity", "[fft]", float, double) {
  using T = TestType;
  for (const std::size_t n : {std::size_t{1}, std::size_t{2}, std::size_t{15}, std::size_t{77}, std::size_t{360},
                              std::size_t{1021}, std::size_t{2048}}) {
    audio::fft_plan<T> plan(n);
    const double units = 2 * room::own_promise({kind::real_forward, n, 1});
    const auto x = noise<T>(n, 3), y = noise<T>(n, 4);
    std::vector<std::complex<T>> X(plan.bins()), Y(plan.bins()), S(plan.bins());
    std::vector<T> back(n), sum(n);
    plan.forward(x.as_view(), make_view(X));
    plan.inverse(make_view(std::as_const(X)), make_view(back));
    double energy = 0, spectral = 0;
    for (std::size_t i = 0; i < n; ++i) {
      energy += static_cast<double>(x[i]) * static_cast<double>(x[i]);
      sum[i] = x[i] + y[i];
    }
    const double size = std::sqrt(energy);
    CAPTURE(n);
    CHECK(max_abs_difference(back.data(), x.data(), n) <= rounding<T>(units * size));
    for (std::size_t k = 0; k < plan.bins(); ++k)
      spectral += std::norm(std::complex<double>(X[k])) * (k == 0 || 2 * k == n ? 1 : 2) / static_cast<double>(n);
    CHECK(std::abs(spectral - energy) <= rounding<T>(2 * units * energy));
    plan.forward(y.as_view(), make_view(Y));
    plan.forward(make_view(std::as_const(sum)), make_view(S));
    comparison linear;
    const double scale = std::sqrt(static_cast<double>(n)) + 2 * size + 2 * std::sqrt(static_cast<double>(n));
    for (std::size_t k = 0; k < plan.bins(); ++k)
      linear.add(std::abs(std::complex<double>(S[k]) - std::complex<double>(X[k]) - std::complex<double>(Y[k])),
                 rounding<T>(units * scale));
    INFO(linear.message());
    CHECK(linear.ok);
    std::vector<std::complex<T>> z(n), Z(n), again(n);
    for (std::size_t i = 0; i < n; ++i) z[i] = {x[i], y[i]};
    plan.transform(make_view(std::as_const(z)), make_view(Z));
    plan.inverse_transform(make_view(std::as_const(Z)), make_view(again));
    comparison round;
    for (std::size_t i = 0; i < n; ++i)
      round.add(std::abs(std::complex<double>(again[i]) - std::complex<double>(z[i])),
                rounding<T>(units * 2 * (size + 1)));
    INFO(round.message());
    CHECK(round.ok);
  }
}

TEST_CASE("fft: padded rows are read and written where they lie", "[fft]") {
  const std::size_t n = 20, batch = 5, pitch = 33;
  audio::fft_plan<double> plan(n);
  std::vector<double> x(batch * pitch, std::nan("")), dense(batch * n);
  std::vector<std::complex<double>> padded(batch * pitch, -1.0), expected(batch * plan.bins());
  const philox draws(5);
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t i = 0; i < n; ++i) x[b * pitch + i] = dense[b * n + i] = draws.normal_at(b * n + i);
  plan.forward_batch(view<const double, 2>(x.data(), {batch, n}, {pitch, 1}),
                     view<std::complex<double>, 2>(padded.data(), {batch, plan.bins()}, {pitch, 1}));
  plan.forward_batch(make_view(std::as_const(dense), batch, n), make_view(expected, batch, plan.bins()));
  for (std::size_t b = 0; b < batch; ++b)
    for (std::size_t k = 0; k < pitch; ++k)
      CHECK(padded[b * pitch + k] == (k < plan.bins() ? expected[b * plan.bins() + k] : std::complex<double>(-1.0)));
}

TEST_CASE("fft: wrong use has a name", "[fft]") {
  const auto refused = [](auto&& call) {
    try {
      call();
    } catch (const error& e) {
      return e.kind();
    }
    FAIL("nothing was thrown");
    return errc::bad_value;
  };
  CHECK(refused([] { audio::fft_plan<float> plan(0); }) == errc::unsupported_shape);
  CHECK(refused([] { audio::fft_plan<float> plan((std::size_t{1} << 27) + 1); }) == errc::unsupported_shape);
  audio::fft_plan<float> plan(8);
  std::vector<float> seven(7), eight(8);
  std::vector<std::complex<float>> bins(5);
  CHECK(refused([&] { plan.forward(make_view(std::as_const(seven)), make_view(bins)); }) == errc::unsupported_shape);
  CHECK(refused([&] { plan.inverse(make_view(std::as_const(bins)), make_view(seven)); }) == errc::unsupported_shape);
  CHECK(refused([&] {
          plan.forward_batch(view<const float, 2>(nullptr, {2, 8}), view<std::complex<float>, 2>(bins.data(), {2, 5}));
        }) == errc::bad_pointer);
  CHECK(refused([] { (void)room::make_engine<float>("none_such", 8); }) == errc::not_built);
}
