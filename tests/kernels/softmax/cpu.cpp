// The CPU softmax: awkward sizes, padded rows, every instruction set, any number of threads, against the f64 reference;
// gradients against finite differences; agreement with the CUDA kernels on the executor.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/softmax/arms.hpp>
#include <hocket/kernels/softmax/cuda_launch.cuh>
#include <hocket/kernels/softmax/reference.hpp>

#include "catch.hpp"
#include "cuda_host/machine.hpp"

using namespace hocket;
namespace softmax = kernels::softmax;

namespace {

const std::vector<shape<2>> sizes = {{0, 5},  {3, 0},  {1, 1},  {2, 2},   {3, 3},   {2, 7},
                                     {5, 8},  {1, 15}, {3, 16}, {4, 17},  {2, 31},  {3, 33},
                                     {2, 63}, {3, 64}, {2, 65}, {2, 131}, {1, 257}, {1700, 5}};

/// (rows, columns) with `pad` elements of NaN after each row.
template <class T>
struct matrix {
  matrix(const shape<2>& size, std::size_t pad)
      : values(size[0] * (size[1] + pad), std::numeric_limits<T>::quiet_NaN()),
        extents(size),
        strides{size[1] + pad, 1} {}
  matrix(const shape<2>& size, std::size_t pad, std::uint64_t seed, T spread) : matrix(size, pad) {
    philox random(seed);
    for (std::size_t r = 0; r < size[0]; ++r)
      for (std::size_t c = 0; c < size[1]; ++c)
        values[r * strides[0] + c] = static_cast<T>(random.next_normal()) * (c % 13 == 0 ? spread : T{1});
  }
  view<T, 2> in() { return {values.data(), extents, strides}; }
  view<const T, 2> out() const { return {values.data(), extents, strides}; }
  /// Whether the padding is as it was made.
  bool padding_kept() const {
    for (std::size_t r = 0; r < extents[0]; ++r)
      for (std::size_t c = extents[1]; c < strides[0]; ++c)
        if (!std::isnan(values[r * strides[0] + c])) return false;
    return true;
  }
  std::vector<T> values;
  shape<2> extents, strides;
};

/// What the f64 reference itself may be off by: it sums n terms in index order in double.
template <class T>
double own_error(std::size_t columns, double magnitude) {
  return std::is_same_v<T, double> ? rounding<double>(static_cast<double>(columns) / 2 * magnitude) : 0;
}

template <class T>
comparison check(const softmax::softmax_arm<T>& arm, const shape<2>& size, std::size_t pad, const cpu& device,
                 std::vector<T>* bits) {
  const matrix<T> x(size, pad, 1, T{20}), dy(size, pad + 1, 2, T{3});
  matrix<T> y(size, pad + 2), dx = dy;
  arm.run.forward(x.out(), y.in(), device);
  arm.run.backward(y.out(), dy.out(), dx.in(), device);  // over dy
  std::vector<double> probability(size[0] * size[1]), gradient(size[0] * size[1]);
  softmax::reference::forward<T>(x.out(), {probability.data(), size});
  softmax::reference::backward<T>(y.out(), dy.out(), {gradient.data(), size});
  comparison result;
  for (std::size_t r = 0; r < size[0]; ++r) {
    double largest = 0;
    for (std::size_t c = 0; c < size[1]; ++c)
      largest = std::max(largest, std::abs(static_cast<double>(dy.out()(r, c))));
    for (std::size_t c = 0; c < size[1]; ++c) {
      const softmax::shape s{size[0], size[1]};
      result.add(std::abs(static_cast<double>(y.out()(r, c)) - probability[r * size[1] + c]),
                 rounding<T>(arm.promise({s, softmax::pass::forward})) + own_error<T>(size[1], 1));
      result.add(std::abs(static_cast<double>(dx.out()(r, c)) - gradient[r * size[1] + c]),
                 rounding<T>(arm.promise({s, softmax::pass::backward}) * largest) + own_error<T>(size[1], largest));
      bits->push_back(y.out()(r, c));
      bits->push_back(dx.out()(r, c));
    }
  }
  if (!y.padding_kept() || !dx.padding_kept()) result.add(1, 0);
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("softmax on the CPU keeps its promise", "[softmax]", float, double) {
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    for (const auto& arm : softmax::arms<TestType>())
      for (const auto& size : sizes) {
        std::vector<TestType> one, other;
        const comparison result = check<TestType>(arm, size, 0, cpu{1}, &one);
        INFO(arm.name << " " << to_text(size) << " " << name_of(best_isa()) << " " << result.message());
        CHECK(result);
        CHECK(check<TestType>(arm, size, 3, cpu{3}, &other));
        CHECK(one == other);  // neither threads nor the place in memory change a bit
      }
  }
  limit_isa(machine_isa());
}

TEMPLATE_TEST_CASE("softmax over long rows, in place", "[softmax]", float, double) {
  const shape<2> size{2, 10007};
  matrix<TestType> x(size, 1, 7, TestType{1});
  std::vector<double> expected(size[0] * size[1]);
  softmax::reference::forward<TestType>(x.out(), {expected.data(), size});
  softmax::forward<TestType>(x.out(), x.in());
  comparison result;
  for (std::size_t r = 0; r < size[0]; ++r)
    for (std::size_t c = 0; c < size[1]; ++c)
      result.add(std::abs(static_cast<double>(x.out()(r, c)) - expected[r * size[1] + c]),
                 rounding<TestType>(softmax::promise_forward({size[0], size[1]})) + own_error<TestType>(size[1], 1));
  INFO(result.message());
  CHECK(result);
}

TEMPLATE_TEST_CASE("the exponential is good to two units over its whole range", "[softmax]", float, double) {
  using T = TestType;
  // y = e / (1 + e) of the entries 0 and x: two units of e, half of one each for sum, quotient and product.
  const double allowed = 2 + 3 * 0.5;
  const double lowest = std::log(static_cast<double>(std::numeric_limits<T>::min())) + 1;
  philox random(11);
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    comparison result;
    for (int draw = 0; draw < 20000; ++draw) {
      const T in[2] = {0, static_cast<T>(lowest * random.next_uniform())};
      T out[2];
      softmax::forward<T>({in, {1, 2}}, {out, {1, 2}});
      const long double e = std::exp(static_cast<long double>(in[1])), expected = e / (1 + e);
      result.add(static_cast<double>(std::abs(static_cast<long double>(out[1]) - expected)),
                 rounding<T>(allowed * static_cast<double>(expected)));
    }
    INFO(name_of(best_isa()) << " " << result.message());
    CHECK(result);
    // Below the normal numbers: half of the smallest subnormal, and 0 in the end.
    const T tiny[2] = {0, static_cast<T>(lowest - 5)}, nothing[2] = {0, static_cast<T>(2 * lowest)};
    T out[2];
    softmax::forward<T>({tiny, {1, 2}}, {out, {1, 2}});
    CHECK(std::abs(static_cast<double>(out[1]) - std::exp(static_cast<double>(tiny[1]))) <=
          2 * static_cast<double>(std::numeric_limits<T>::denorm_min()));
    CHECK(out[1] > 0);
    softmax::forward<T>({nothing, {1, 2}}, {out, {1, 2}});
    CHECK(out[1] == 0);
    CHECK(out[0] == 1);
  }
  limit_isa(machine_isa());
}

TEMPLATE_TEST_CASE("masked entries, infinities and NaN", "[softmax]", float, double) {
  using T = TestType;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    for (const std::size_t n : {std::size_t{2}, std::size_t{9}, std::size_t{64}, std::size_t{71}}) {
      std::vector<T> x(4 * n, -inf);
      x[0] = x[n - 1] = 1;  // two entries that count
      x[2 * n] = nan;       // the first row has finite entries, the second none, the third a NaN, the fourth infinity
      x[4 * n - 1] = inf;
      std::vector<T> y(4 * n);
      softmax::forward<T>({x.data(), {4, n}}, {y.data(), {4, n}});
      for (std::size_t c = 0; c < n; ++c) {
        CHECK(y[c] == (c == 0 || c == n - 1 ? T(0.5) : T{0}));
        CHECK(std::isnan(y[n + c]));
        CHECK(std::isnan(y[2 * n + c]));
        CHECK(std::isnan(y[4 * n - 1]));
      }
    }
    const std::vector<T> huge = {T(1e30), T(1e30), T(-1e30), T(3e38), T(3e38), 0};
    std::vector<T> y(6);
    softmax::forward<T>({huge.data(), {2, 3}}, {y.data(), {2, 3}});
    CHECK(y == std::vector<T>{T(0.5), T(0.5), 0, T(0.5), T(0.5), 0});
  }
  limit_isa(machine_isa());
}

TEST_CASE("the CPU gradient of softmax agrees with finite differences", "[softmax]") {
  const shape<2> size{2, 9};
  matrix<double> x(size, 0, 3, 2.0);
  const matrix<double> dy(size, 0, 4, 2.0);
  matrix<double> y(size, 0), dx(size, 0);
  softmax::forward<double>(x.out(), y.in());
  softmax::backward<double>(y.out(), dy.out(), dx.in());
  const auto loss = [&] {
    matrix<double> at(size, 0);
    softmax::forward<double>(x.out(), at.in());
    double sum = 0;
    for (std::size_t i = 0; i < at.values.size(); ++i) sum += at.values[i] * dy.values[i];
    return sum;
  };
  const double step = 0x1p-14;
  double weight = 0;
  for (const double v : dy.values) weight += std::abs(v);
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    const double before = x.values[i];
    x.values[i] = before + step;
    const double up = loss();
    x.values[i] = before - step;
    const double difference = (up - loss()) / (2 * step);
    x.values[i] = before;
    // The third derivative of a probability is at most 1; the loss carries the forward pass's promise.
    const double allowed = weight * (step * step / 6 + rounding<double>(softmax::promise_forward({2, 9})) / step);
    CHECK(std::abs(difference - dx.values[i]) <= allowed);
  }
}

TEST_CASE("softmax on CPU and CUDA agree within the sum of their promises", "[softmax][cuda_host]") {
  for (const auto& size : sizes) {
    if (size[0] * size[1] == 0) continue;
    const matrix<float> x(size, 0, 1, 20.0F), dy(size, 0, 2, 3.0F);
    matrix<float> y(size, 0), dx(size, 0);
    softmax::forward<float>(x.out(), y.in());
    softmax::backward<float>(y.out(), dy.out(), dx.in());
    cuda_host::machine machine;
    float* const gpu_y = machine.allocate<float>(x.values.size(), "y");
    float* const gpu_dx = machine.allocate<float>(x.values.size(), "dx");
    softmax::gpu::forward<cuda_on_host, float>(machine.device(), {machine.upload(x.values, "x"), size}, {gpu_y, size});
    softmax::gpu::backward<cuda_on_host, float>(machine.device(), {machine.upload(y.values, "cpu's y"), size},
                                                {machine.upload(dy.values, "dy"), size}, {gpu_dx, size});
    const double largest = max_abs(dy.values.data(), dy.values.size());
    const softmax::shape s{size[0], size[1]};
    const auto forward =
        compare(gpu_y, y.values.data(), y.values.size(), rounding<float>(2 * softmax::promise_forward(s)));
    const auto backward = compare(gpu_dx, dx.values.data(), dx.values.size(),
                                  rounding<float>(2 * softmax::promise_backward(s) * largest));
    INFO(to_text(size) << " " << forward.message() << "; " << backward.message());
    CHECK((forward.ok && backward.ok));
  }
}
