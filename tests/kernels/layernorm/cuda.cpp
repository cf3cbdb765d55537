// The CUDA norm kernels on the host executor: every order, awkward sizes, against the f64 reference; the reference's
// own backward pass against finite differences.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/layernorm/cuda_launch.cuh>
#include <hocket/kernels/layernorm/reference.hpp>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace layernorm = kernels::layernorm;
using layernorm::norm;

namespace {

constexpr float eps = 1e-5f;
const std::vector<shape<2>> sizes = {{1, 1}, {3, 31}, {4, 32}, {5, 33}, {65, 40}, {7, 97}, {2, 384}, {129, 5}};

template <class T>
std::vector<T> values(std::size_t n, std::uint64_t seed, float offset) {
  philox random(seed);
  std::vector<T> x(n);
  for (auto& v : x) v = from_f32<T>(static_cast<float>(random.next_normal()) + offset);
  return x;
}

template <class T>
constexpr double half_ulp = std::is_same_v<T, float> ? 0
                            : std::is_same_v<T, f16> ? 0x1p-11
                                                     : 0x1p-8;

double largest(const std::vector<float>& x) { return max_abs(x.data(), x.size()); }

/// One forward and backward pass at one size: all outputs as bytes, and the comparison with the reference.
template <class T>
comparison run(norm kind, const shape<2>& size, float offset, const cuda_host::execution& how,
               std::vector<unsigned char>* bits) {
  const auto [rows, columns] = size;
  cuda_host::machine machine(how);
  const cuda_on_host device = machine.device();
  const auto x = values<T>(rows * columns, 1, offset), dy = values<T>(rows * columns, 2, 0);
  const auto gain = values<float>(columns, 3, 1), bias = values<float>(columns, 4, 0);
  const view<const T, 2> x_view(machine.upload(x, "x"), size), dy_view(machine.upload(dy, "dy"), size);
  const view<const float, 1> gain_view(machine.upload(gain, "gain"), {columns}),
      bias_view(machine.upload(bias, "bias"), {columns});
  const layernorm::gpu::kept keep{{machine.allocate<float>(rows, "mean"), {rows}},
                                  {machine.allocate<float>(rows, "inverse_sd"), {rows}}};
  T* const y = machine.allocate<T>(rows * columns, "y");
  T* const dx = machine.allocate<T>(rows * columns, "dx");
  float* const dgain = machine.allocate<float>(columns, "dgain");
  float* const dbias = machine.allocate<float>(columns, "dbias");
  const std::size_t work = layernorm::gpu::workspace({rows, columns});
  layernorm::gpu::forward<cuda_on_host, T>(device, kind, x_view, gain_view, bias_view, eps, {y, size}, keep);
  layernorm::gpu::backward<cuda_on_host, T>(device, kind, x_view, gain_view, dy_view, keep, {dx, size},
                                            {dgain, {columns}}, {dbias, {columns}},
                                            {machine.allocate<float>(work, "workspace"), {work}});

  std::vector<double> ey(rows * columns), edx(rows * columns), edgain(columns), edbias(columns);
  layernorm::reference::forward<T>(kind, {x.data(), size}, make_view(gain), make_view(bias), static_cast<double>(eps),
                                   {ey.data(), size});
  layernorm::reference::backward<T>(kind, {x.data(), size}, make_view(gain), {dy.data(), size},
                                    static_cast<double>(eps), {edx.data(), size}, {edgain.data(), {columns}},
                                    {edbias.data(), {columns}});
  comparison result;
  const double g = largest(gain), b = kind == norm::layer ? largest(bias) : 0;
  double d = 0;
  for (const T v : dy) d = std::max(d, static_cast<double>(std::abs(to_f32(v))));
  for (std::size_t r = 0; r < rows; ++r) {
    const auto facts =
        layernorm::reference::facts_of<T>(kind, view<const T, 2>(x.data(), size)[r], static_cast<double>(eps));
    double peak = 0;
    for (std::size_t c = 0; c < columns; ++c)
      peak = std::max(peak, static_cast<double>(std::abs(to_f32(x[r * columns + c]))));
    const double spread = std::max(peak * facts.inverse_sd, 1.0);
    for (std::size_t i = r * columns; i < (r + 1) * columns; ++i) {
      result.add(std::abs(static_cast<double>(to_f32(y[i])) - ey[i]),
                 rounding<float>(layernorm::promise_forward({rows, columns}) * (spread * g + b)) +
                     half_ulp<T> * std::abs(ey[i]) + half_ulp<T> * 0x1p-14);
      result.add(std::abs(static_cast<double>(to_f32(dx[i])) - edx[i]),
                 rounding<float>(layernorm::promise_backward({rows, columns}) * spread * g * d * facts.inverse_sd) +
                     half_ulp<T> * std::abs(edx[i]) + half_ulp<T> * 0x1p-14);
    }
  }
  // Column sums: every term is at most spread x max |dy|, summed in trees over tiles of 64 rows.
  for (std::size_t c = 0; c < columns; ++c) {
    double terms = 0, spread = 0;
    for (std::size_t r = 0; r < rows; ++r) {
      const auto facts =
          layernorm::reference::facts_of<T>(kind, view<const T, 2>(x.data(), size)[r], static_cast<double>(eps));
      const double unit = (static_cast<double>(to_f32(x[r * columns + c])) - facts.mean) * facts.inverse_sd;
      terms += std::abs(unit * static_cast<double>(to_f32(dy[r * columns + c])));
      spread = std::max(spread, static_cast<double>(std::abs(to_f32(x[r * columns + c]))) * facts.inverse_sd);
    }
    const double sums =
        layernorm::promise_forward({rows, columns}) + static_cast<double>(layernorm::gpu::row_tiles(rows));
    result.add(std::abs(static_cast<double>(dgain[c]) - edgain[c]),
               rounding<float>(sums * (terms + static_cast<double>(rows) * d * spread)));
    if (kind == norm::layer)
      result.add(std::abs(static_cast<double>(dbias[c]) - edbias[c]),
                 rounding<float>(sums * static_cast<double>(rows) * d));
  }
  const auto keep_bytes = [&](const void* p, std::size_t n) {
    const auto* first = static_cast<const unsigned char*>(p);
    bits->insert(bits->end(), first, first + n);
  };
  keep_bytes(y, rows * columns * sizeof(T));
  keep_bytes(dx, rows * columns * sizeof(T));
  keep_bytes(dgain, columns * sizeof(float));
  return result;
}

template <class T>
void check_type() {
  for (const norm kind : {norm::layer, norm::rms})
    for (const float offset : {0.0f, 100.0f})
      for (const auto& size : sizes) {
        std::vector<unsigned char> first;
        for (const auto& how : cuda_host::all_orders()) {
          std::vector<unsigned char> bits;
          const comparison result = run<T>(kind, size, offset, how, &bits);
          INFO(to_text(size) << " offset " << offset << " " << result.message());
          CHECK(result);
          if (first.empty()) first = bits;
          CHECK(bits == first);
        }
      }
}

}  // namespace

TEST_CASE("norms on CUDA keep their promises in every order, bit for bit", "[layernorm][cuda_host]") {
  check_type<float>();
  check_type<f16>();
  check_type<bf16>();
}

TEST_CASE("the reference's gradients agree with finite differences", "[layernorm]") {
  const shape<2> size{3, 5};
  const auto x = values<float>(15, 1, 0.5f), dy = values<float>(15, 2, 0), gain = values<float>(5, 3, 1),
             bias = values<float>(5, 4, 0);
  for (const norm kind : {norm::layer, norm::rms}) {
    const auto loss = [&](const std::vector<float>& at, const std::vector<float>& with_gain) {
      std::vector<double> y(15);
      layernorm::reference::forward<float>(kind, {at.data(), size}, make_view(with_gain), make_view(bias), 0.1,
                                           {y.data(), size});
      double sum = 0;
      for (std::size_t i = 0; i < 15; ++i) sum += y[i] * static_cast<double>(dy[i]);
      return sum;
    };
    std::vector<double> dx(15), dgain(5), dbias(5);
    layernorm::reference::backward<float>(kind, {x.data(), size}, make_view(gain), {dy.data(), size}, 0.1,
                                          {dx.data(), size}, {dgain.data(), {5}}, {dbias.data(), {5}});
    for (std::size_t i = 0; i < 15; ++i) {
      auto moved = x;
      const float before = moved[i], step = 0x1p-8f;
      moved[i] = before + step;
      const double up = loss(moved, gain);
      moved[i] = before - step;
      const double difference = (up - loss(moved, gain)) / (2.0 * static_cast<double>(step));
      CHECK(std::abs(difference - dx[i]) <=
            static_cast<double>(step * step) * 10);  // the third derivative is of order 1
    }
    for (std::size_t c = 0; c < 5; ++c) {
      auto moved = gain;
      moved[c] += 1.0f;  // the loss is linear in the gain
      CHECK(std::abs(loss(x, moved) - loss(x, gain) - dgain[c] * static_cast<double>(moved[c] - gain[c])) <=
            rounding<double>(1000 * std::max(1.0, std::abs(dgain[c]))));
    }
  }
}

TEST_CASE("the norm tests notice every damage to the kernels", "[layernorm][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    std::vector<unsigned char> bits;
    for (const norm kind : {norm::layer, norm::rms})
      for (const auto& size : {shape<2>{5, 33}, shape<2>{65, 40}})
        if (!run<float>(kind, size, 0, {}, &bits)) return false;
    return true;
  });
  INFO(report.message());
  CHECK(report.total() == 13);  // twelve bounds tests and the barrier of the trees
  CHECK(report.survivors.empty());
}

TEST_CASE("norms refuse what does not fit", "[layernorm][cuda_host]") {
  cuda_host::machine machine;
  float* const data = machine.allocate<float>(64, "data");
  const auto kind_of = [&](view<float, 2> y, float with_eps, std::size_t gains) {
    return tests::kind_of([&] {
      layernorm::gpu::forward<cuda_on_host, float>(machine.device(), norm::layer, {data, {4, 8}}, {data, {gains}},
                                                   {data, {8}}, with_eps, y, {{data, {4}}, {data, {4}}});
    });
  };
  std::vector<float> host(32);
  CHECK(kind_of({data + 32, {4, 7}}, eps, 8) == "unsupported_shape");
  CHECK(kind_of({data + 32, {4, 8}}, eps, 7) == "unsupported_shape");
  CHECK(kind_of({data + 32, {4, 8}}, -1, 8) == "bad_option");
  CHECK(kind_of({host.data(), {4, 8}}, eps, 8) == "bad_pointer");
}
