// The CPU norms: awkward sizes, padded rows, every instruction set, any number of threads, against the f64 reference;
// gradients against finite differences; agreement with the CUDA kernels on the executor.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/layernorm/arms.hpp>
#include <hocket/kernels/layernorm/cuda_launch.cuh>
#include <hocket/kernels/layernorm/reference.hpp>

#include "catch.hpp"
#include "cuda_host/machine.hpp"

using namespace hocket;
namespace layernorm = kernels::layernorm;
using layernorm::norm;

namespace {

constexpr float eps = 1e-5f;
const std::vector<shape<2>> sizes = {{0, 5},  {1, 1},  {2, 2},  {3, 3},   {65, 7},  {5, 8},   {1, 15}, {3, 16},
                                     {4, 17}, {2, 31}, {3, 33}, {130, 9}, {63, 64}, {64, 65}, {2, 131}};

/// Values of one call and what it wrote; rows of x, y, dy and dx are `pad` elements of NaN apart.
template <class T>
struct trial {
  trial(const shape<2>& extents, std::size_t pad, T offset)
      : size(extents),
        strides{extents[1] + pad, 1},
        gain(extents[1]),
        bias(extents[1]),
        mean(extents[0]),
        inverse_sd(extents[0]),
        dgain(extents[1], nan),
        dbias(extents[1], nan),
        work(layernorm::workspace_size({extents[0], extents[1]}), nan) {
    philox random(5);
    for (auto* each : {&x, &dy, &y, &dx}) each->assign(extents[0] * strides[0], nan);
    for (std::size_t r = 0; r < extents[0]; ++r)
      for (std::size_t c = 0; c < extents[1]; ++c) {
        x[r * strides[0] + c] = static_cast<T>(random.next_normal()) + offset;
        dy[r * strides[0] + c] = static_cast<T>(random.next_normal());
      }
    for (T& v : gain) v = static_cast<T>(random.next_normal()) + T{1};
    for (T& v : bias) v = static_cast<T>(random.next_normal());
  }

  view<const T, 2> in(const std::vector<T>& v) const { return {v.data(), size, strides}; }
  view<T, 2> to(std::vector<T>& v) const { return {v.data(), size, strides}; }
  view<const T, 1> row(const std::vector<T>& v) const { return {v.data(), {v.size()}}; }
  layernorm::kept<T> keep() { return {{mean.data(), {size[0]}}, {inverse_sd.data(), {size[0]}}}; }

  void forward(const layernorm::passes<T>& run, norm kind, const cpu& device, T with_eps = T(eps)) {
    run.forward(kind, in(x), row(gain), row(bias), with_eps, to(y), keep(), device);
  }
  void backward(const layernorm::passes<T>& run, norm kind, const cpu& device) {
    run.backward(kind, in(x), row(gain), in(dy), keep(), to(dx), {dgain.data(), {size[1]}}, {dbias.data(), {size[1]}},
                 work.data(), device);
  }

  static constexpr T nan = std::numeric_limits<T>::quiet_NaN();
  shape<2> size, strides;
  std::vector<T> x, dy, y, dx, gain, bias, mean, inverse_sd, dgain, dbias, work;
};

/// What bounds the errors of row r: max |x| / sd (at least 1), and 1 / sd.
struct row_scale {
  double spread, inverse_sd;
};
template <class T>
row_scale scale_of(const trial<T>& t, norm kind, std::size_t r) {
  const auto facts = layernorm::reference::facts_of<T>(kind, t.in(t.x)[r], static_cast<double>(T(eps)));
  double peak = 0;
  for (const T v : t.in(t.x)[r]) peak = std::max(peak, std::abs(static_cast<double>(v)));
  return {std::max(peak * facts.inverse_sd, 1.0), facts.inverse_sd};
}

template <class T>
comparison check(const layernorm::norm_arm<T>& arm, norm kind, const shape<2>& size, std::size_t pad, T offset,
                 const cpu& device, std::vector<T>* bits) {
  trial<T> t(size, pad, offset);
  t.forward(arm.run, kind, device);
  t.backward(arm.run, kind, device);
  const auto [rows, columns] = size;
  std::vector<double> y(rows * columns), dx(rows * columns), dgain(columns), dbias(columns);
  const double e = static_cast<double>(T(eps));
  layernorm::reference::forward<T, T>(kind, t.in(t.x), t.row(t.gain), t.row(t.bias), e, {y.data(), size});
  layernorm::reference::backward<T, T>(kind, t.in(t.x), t.row(t.gain), t.in(t.dy), e, {dx.data(), size},
                                       {dgain.data(), {columns}}, {dbias.data(), {columns}});
  const bool layer = kind == norm::layer;
  const double g = max_abs(t.gain.data(), columns), b = layer ? max_abs(t.bias.data(), columns) : 0;
  // The reference sums in double in index order; in f64 its own error is of the kernel's size.
  const double sums = static_cast<double>(std::is_same_v<T, double> ? columns + rows : 0) / 2;
  const double forward_units = arm.promise({{rows, columns}, kind, layernorm::pass::forward}) + sums;
  const double backward_units = arm.promise({{rows, columns}, kind, layernorm::pass::backward}) + 3 * sums;
  comparison result;
  std::vector<double> spreads(rows);
  double d = 0, widest = 0;
  for (std::size_t r = 0; r < rows; ++r)
    for (const T v : t.in(t.dy)[r]) d = std::max(d, std::abs(static_cast<double>(v)));
  for (std::size_t r = 0; r < rows; ++r) {
    const row_scale scale = scale_of(t, kind, r);
    widest = std::max(widest, scale.spread);
    for (std::size_t c = 0; c < columns; ++c) {
      const std::size_t i = r * columns + c;
      result.add(std::abs(static_cast<double>(t.in(t.y)(r, c)) - y[i]),
                 rounding<T>(forward_units * (scale.spread * g + b)));
      result.add(std::abs(static_cast<double>(t.in(t.dx)(r, c)) - dx[i]),
                 rounding<T>(backward_units * scale.spread * g * d * scale.inverse_sd));
      bits->push_back(t.in(t.y)(r, c));
      bits->push_back(t.in(t.dx)(r, c));
    }
  }
  // Column sums: `rows` terms of at most spread x max |dy|, each as exact as y; in runs of 64, then the runs.
  const double depth = forward_units + static_cast<double>(std::min<std::size_t>(rows, 64) + rows / 64);
  for (std::size_t c = 0; c < columns; ++c) {
    result.add(std::abs(static_cast<double>(t.dgain[c]) - dgain[c]),
               rounding<T>(depth * static_cast<double>(rows) * d * widest));
    if (layer)
      result.add(std::abs(static_cast<double>(t.dbias[c]) - dbias[c]),
                 rounding<T>(depth * static_cast<double>(rows) * d));
    bits->push_back(t.dgain[c]);
    if (layer) bits->push_back(t.dbias[c]);
  }
  for (std::size_t r = 0; r < rows; ++r)  // padding is not ours
    for (std::size_t c = columns; c < t.strides[0]; ++c)
      if (!std::isnan(t.y[r * t.strides[0] + c]) || !std::isnan(t.dx[r * t.strides[0] + c])) result.add(1, 0);
  return result;
}

}  // namespace

TEMPLATE_TEST_CASE("norms on the CPU keep their promises", "[layernorm]", float, double) {
  for (const isa level : {isa::baseline, isa::avx2, isa::avx512}) {
    limit_isa(level);
    for (const auto& arm : layernorm::arms<TestType>())
      for (const norm kind : {norm::layer, norm::rms})
        for (const TestType offset : {TestType{0}, TestType{100}})
          for (const auto& size : sizes) {
            std::vector<TestType> one, other;
            const comparison result = check<TestType>(arm, kind, size, 0, offset, cpu{1}, &one);
            INFO(arm.name << " " << to_text(size) << " offset " << offset << " " << name_of(best_isa()) << " "
                          << result.message());
            CHECK(result);
            CHECK(check<TestType>(arm, kind, size, 3, offset, cpu{3}, &other));
            CHECK(one == other);  // neither threads nor the place in memory change a bit
          }
  }
  limit_isa(machine_isa());
}

TEST_CASE("the CPU gradients of the norms agree with finite differences", "[layernorm]") {
  const auto run = layernorm::arms<double>().front().run;
  const double wide_eps = 0.1, step = 0x1p-10;
  for (const norm kind : {norm::layer, norm::rms}) {
    trial<double> t({3, 5}, 0, 0.5);
    t.forward(run, kind, cpu{}, wide_eps);
    t.backward(run, kind, cpu{});
    const auto loss = [&] {
      trial<double> at = t;
      at.forward(run, kind, cpu{}, wide_eps);
      double sum = 0;
      for (std::size_t i = 0; i < at.y.size(); ++i) sum += at.y[i] * at.dy[i];
      return sum;
    };
    const auto slope = [&](double& value, double h) {
      const double before = value;
      value = before + h;
      const double up = loss();
      value = before - h;
      const double down = loss();
      value = before;
      return (up - down) / (2 * h);
    };
    // A central difference errs by c h^2: halving the step shows how much is left, three times over.
    const double noise = rounding<double>(layernorm::promise_backward({3, 5}) * 15 * std::abs(loss()) + 15) / step;
    const auto agrees = [&](double& value, double gradient) {
      const double wide = slope(value, step), narrow = slope(value, step / 2);
      return std::abs(narrow - gradient) <= std::abs(wide - narrow) + noise;
    };
    for (std::size_t i = 0; i < t.x.size(); ++i) CHECK(agrees(t.x[i], t.dx[i]));
    for (std::size_t c = 0; c < t.gain.size(); ++c) CHECK(agrees(t.gain[c], t.dgain[c]));
    if (kind == norm::layer)
      for (std::size_t c = 0; c < t.bias.size(); ++c) CHECK(agrees(t.bias[c], t.dbias[c]));
  }
}

TEST_CASE("norms on CPU and CUDA agree within the sum of their promises", "[layernorm][cuda_host]") {
  const auto run = layernorm::arms<float>().front().run;
  for (const norm kind : {norm::layer, norm::rms})
    for (const auto& size : sizes) {
      const auto [rows, columns] = size;
      if (rows * columns == 0) continue;
      trial<float> t(size, 0, 0.5f);
      t.forward(run, kind, cpu{});
      t.backward(run, kind, cpu{});
      cuda_host::machine machine;
      const cuda_on_host device = machine.device();
      const view<const float, 2> x(machine.upload(t.x, "x"), size), dy(machine.upload(t.dy, "dy"), size);
      const view<const float, 1> gain(machine.upload(t.gain, "gain"), {columns}),
          bias(machine.upload(t.bias, "bias"), {columns});
      const layernorm::gpu::kept keep{{machine.allocate<float>(rows, "mean"), {rows}},
                                      {machine.allocate<float>(rows, "inverse_sd"), {rows}}};
      float* const y = machine.allocate<float>(rows * columns, "y");
      float* const dx = machine.allocate<float>(rows * columns, "dx");
      float* const dgain = machine.allocate<float>(columns, "dgain");
      float* const dbias = machine.allocate<float>(columns, "dbias");
      const std::size_t work = layernorm::gpu::workspace({rows, columns});
      layernorm::gpu::forward<cuda_on_host, float>(device, kind, x, gain, bias, eps, {y, size}, keep);
      layernorm::gpu::backward<cuda_on_host, float>(device, kind, x, gain, dy, keep, {dx, size}, {dgain, {columns}},
                                                    {dbias, {columns}},
                                                    {machine.allocate<float>(work, "workspace"), {work}});
      const double g = max_abs(t.gain.data(), columns), b = kind == norm::layer ? max_abs(t.bias.data(), columns) : 0;
      const double d = max_abs(t.dy.data(), t.dy.size());
      const layernorm::shape s{rows, columns};
      comparison result;
      double widest = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        const row_scale scale = scale_of(t, kind, r);
        widest = std::max(widest, scale.spread);
        for (std::size_t i = r * columns; i < (r + 1) * columns; ++i) {
          result.add(std::abs(static_cast<double>(y[i]) - static_cast<double>(t.y[i])),
                     rounding<float>(2 * layernorm::promise_forward(s) * (scale.spread * g + b)));
          result.add(std::abs(static_cast<double>(dx[i]) - static_cast<double>(t.dx[i])),
                     rounding<float>(2 * layernorm::promise_backward(s) * scale.spread * g * d * scale.inverse_sd));
        }
      }
      for (std::size_t c = 0; c < columns; ++c) {
        const double depth = layernorm::promise_forward(s) + static_cast<double>(std::min<std::size_t>(rows, 64));
        result.add(std::abs(static_cast<double>(dgain[c]) - static_cast<double>(t.dgain[c])),
                   rounding<float>(2 * depth * static_cast<double>(rows) * d * widest));
        if (kind == norm::layer)
          result.add(std::abs(static_cast<double>(dbias[c]) - static_cast<double>(t.dbias[c])),
                     rounding<float>(2 * depth * static_cast<double>(rows) * d));
      }
      INFO(to_text(size) << " " << result.message());
      CHECK(result);
    }
}
