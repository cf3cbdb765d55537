// Bias, activation, dropout and residual: every arm against the reference at awkward sizes, on every instruction set,
// with padding of NaN; masks against Philox written out; the reference's slopes against finite differences.
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/epilogue/arms.hpp>
#include <hocket/kernels/epilogue/reference.hpp>

#include "catch.hpp"

using namespace hocket;
namespace epilogue = kernels::epilogue;
using epilogue::activation;

namespace {

constexpr activation every[] = {activation::none, activation::relu, activation::gelu, activation::tanh,
                                activation::gelu_tanh};
const std::vector<shape<2>> sizes = {{0, 5},  {3, 0},  {1, 1},  {2, 7},   {5, 8},   {3, 16},  {4, 17},  {65, 31},
                                     {3, 63}, {3, 64}, {3, 65}, {129, 3}, {2, 127}, {2, 128}, {2, 129}, {1, 515}};

template <class T>
struct matrix {
  matrix(const shape<2>& size, std::size_t pad, std::uint64_t seed = 0, double spread = 0)
      : values(size[0] * (size[1] + pad), std::numeric_limits<T>::quiet_NaN()),
        extents(size),
        strides{size[1] + pad, 1} {
    const philox random(seed);
    for (std::size_t r = 0; seed && r < size[0]; ++r)
      for (std::size_t c = 0; c < size[1]; ++c)
        values[r * strides[0] + c] = static_cast<T>(spread * random.normal_at(r * size[1] + c));
  }
  view<T, 2> in() { return {values.data(), extents, strides}; }
  view<const T, 2> out() const { return {values.data(), extents, strides}; }
  bool padding_kept() const {
    for (std::size_t r = 0; r < extents[0]; ++r)
      for (std::size_t c = extents[1]; c < strides[0]; ++c)
        if (!std::isnan(values[r * strides[0] + c])) return false;
    return true;
  }
  std::vector<T> values;
  shape<2> extents, strides;
};

template <class T>
comparison check(const epilogue::epilogue_arm<T>& arm, const epilogue::shape& s, bool extras, std::size_t pad,
                 const cpu& device, std::vector<T>* bits) {
  using W = epilogue::reference::wide<T>;
  const shape<2> size{s.rows, s.columns};
  const matrix<T> x(size, pad, 3, 4.0), residual(size, pad + 1, 4, 1.0), dy(size, pad, 5, 1.0);
  const matrix<T> bias({1, s.columns}, 0, 6, 1.0);
  const view<const T, 1> b{extras ? bias.values.data() : nullptr, {s.columns}};
  const view<const T, 2> r = extras ? residual.out() : view<const T, 2>{};
  matrix<T> y(size, pad + 2), u(size, pad), du = dy;
  arm.run.forward(device, x.out(), b, r, y.in(), s.act, s.drop, u.in());
  std::vector<W> wanted(s.rows * s.columns), wanted_du(wanted.size()), wanted_bias(s.columns);
  epilogue::reference::forward<T>(s, x.out(), b, r, {wanted.data(), size});
  std::vector<T> dbias(s.columns, T{1}), work(epilogue::workspace_size(s.rows, s.columns));
  const view<const T, 2> kept = s.act == activation::none ? view<const T, 2>{} : view<const T, 2>(u.out());
  arm.run.backward(device, dy.out(), kept, du.in(), {dbias.data(), {s.columns}}, true, work.data(), s.act, s.drop);
  epilogue::reference::backward<T>(s, dy.out(), u.out(), {wanted_du.data(), size}, {wanted_bias.data(), {s.columns}});
  comparison result;
  const double forward = arm.promise({s, epilogue::pass::forward}),
               backward = arm.promise({s, epilogue::pass::backward});
  const double slope = 4.0;  // largest |dy| of these draws is below: normal values
  for (std::size_t i = 0; i < s.rows; ++i)
    for (std::size_t c = 0; c < s.columns; ++c) {
      const double size_of =
          std::abs(static_cast<double>(x.out()(i, c))) +
          (extras ? std::abs(static_cast<double>(b[c])) + std::abs(static_cast<double>(r(i, c))) : 0.0) + 1;
      result.add(std::abs(static_cast<double>(static_cast<W>(y.out()(i, c)) - wanted[i * s.columns + c])),
                 rounding<T>(forward * size_of));
      result.add(std::abs(static_cast<double>(static_cast<W>(du.out()(i, c)) - wanted_du[i * s.columns + c])),
                 rounding<T>(backward * slope));
      bits->push_back(y.out()(i, c));
      bits->push_back(du.out()(i, c));
    }
  for (std::size_t c = 0; c < s.columns; ++c) {
    const double rows = static_cast<double>(s.rows);
    result.add(std::abs(static_cast<double>(static_cast<W>(dbias[c]) - 1 - wanted_bias[c])),
               rounding<T>((backward + rows) * (slope * s.drop.scale * rows + 1)));
    bits->push_back(dbias[c]);
  }
  if (!y.padding_kept() || !du.padding_kept() || !u.padding_kept()) result.add(1, 0);
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("the epilogue keeps its promise", "[epilogue]", float, double) {
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    for (const auto& arm : epilogue::arms<TestType>())
      for (const auto& size : sizes)
        for (const activation act : every)
          for (const double p : {0.0, 0.3})
            for (const bool extras : {false, true}) {
              const epilogue::shape s{size[0], size[1], act, epilogue::make_dropout(p, 99, 7)};
              std::vector<TestType> one, other;
              const comparison result = check<TestType>(arm, s, extras, 0, cpu{1}, &one);
              INFO(arm.name << " " << to_text(size) << " " << name_of(act) << " " << p << " " << name_of(best_isa())
                            << " " << result.message());
              CHECK(result);
              CHECK(check<TestType>(arm, s, extras, 3, cpu{3}, &other));
              CHECK(one == other);
            }
  }
  limit_isa(machine_isa());
}

TEST_CASE("dropout drops what Philox says, about the share it should, and differs by stream and step", "[epilogue]") {
  const std::size_t rows = 200, columns = 190;
  const auto kept = [&](const epilogue::dropout& d) {
    const std::vector<float> x(rows * columns, 1.0F);
    std::vector<float> y(x.size());
    epilogue::forward<float>({}, {x.data(), {rows, columns}}, {}, {}, {y.data(), {rows, columns}}, activation::none, d);
    return y;
  };
  for (const double p : {0.1, 0.5}) {
    const auto d = epilogue::make_dropout(p, 3, std::uint64_t{5} << 40);
    const auto y = kept(d);
    double dropped = 0;
    for (std::size_t i = 0; i < y.size(); ++i) {
      CHECK((y[i] != 0) == epilogue::stays(d, columns, i / columns, i % columns));
      dropped += y[i] == 0;
      if (y[i] != 0) CHECK(y[i] == static_cast<float>(d.scale));
    }
    // Binomial: six standard deviations.
    const double n = static_cast<double>(y.size());
    CHECK(std::abs(dropped - p * n) <= 6 * std::sqrt(n * p * (1 - p)));
    CHECK(y != kept(epilogue::make_dropout(p, 4, std::uint64_t{5} << 40)));
    CHECK(y != kept(epilogue::make_dropout(p, 3, std::uint64_t{6} << 40)));
  }
  CHECK_THROWS_AS(epilogue::make_dropout(1.0, 0, 0), error);
  CHECK_THROWS_AS(epilogue::make_dropout(-0.1, 0, 0), error);
  CHECK_THROWS_AS(epilogue::make_dropout(std::nan(""), 0, 0), error);
}

TEMPLATE_TEST_CASE("far tails and NaN of the activations", "[epilogue]", float, double) {
  using T = TestType;
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const std::vector<T> x = {T(-1e30), T(-40), T(-13), T(-6), T(-1e-6), 0, T(1e-6), T(6), T(40), T(1e30), nan};
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    for (const activation act : every) {
      std::vector<T> y(x.size()), slope(x.size());
      const std::vector<T> ones(x.size(), 1);
      const shape<2> size{1, x.size()};
      epilogue::forward<T>({}, {x.data(), size}, {}, {}, {y.data(), size}, act);
      epilogue::backward<T>({}, {ones.data(), size}, {x.data(), size}, {slope.data(), size}, {}, false, nullptr, act);
      for (std::size_t i = 0; i + 1 < x.size(); ++i) {
        const long double u = static_cast<long double>(x[i]);
        const double wanted = static_cast<double>(epilogue::reference::value_of(act, u)),
                     steep = static_cast<double>(epilogue::reference::slope_of(act, u));
        // Tails are relatively exact, not only beside 1: the exponential carries roundings of its argument, u^2 / 2 or
        // gelu_tanh's 1.6 (u + u^3 / 22), each of them 2 or 3 times.
        const double argument =
            static_cast<double>(act == activation::gelu_tanh ? 1.6L * 1.5L * (u + u * u * u / 22) : u * u / 2);
        const double units = 16 + 2 * std::abs(argument);
        INFO(name_of(act) << " " << static_cast<double>(x[i]));
        CHECK(std::abs(static_cast<double>(y[i]) - wanted) <=
              rounding<T>(units * std::abs(wanted)) + static_cast<double>(std::numeric_limits<T>::denorm_min()));
        CHECK(std::abs(static_cast<double>(slope[i]) - steep) <= rounding<T>(16));
      }
      CHECK(std::isnan(y.back()));
      if (act != activation::none) CHECK(std::isnan(slope.back()));
    }
  }
  limit_isa(machine_isa());
}

TEST_CASE("the reference's slopes agree with finite differences", "[epilogue]") {
  for (const activation act : every)
    for (const long double u : {-3.0L, -0.7L, 0.2L, 1.9L}) {
      const long double h = 0x1p-20L;
      const long double difference =
          (epilogue::reference::value_of(act, u + h) - epilogue::reference::value_of(act, u - h)) / (2 * h);
      // Third derivatives of these functions are below 4.
      CHECK(std::abs(difference - epilogue::reference::slope_of(act, u)) <= 4 * h * h);
    }
}
