// The CUDA epilogue on the host executor: every order, awkward sizes, every activation, with and without masks, against
// the f64 reference; the masks are those of the CPU, bit for bit.
#include <cmath>
#include <limits>
#include <vector>

#include <hocket/kernels/epilogue/cpu.hpp>

#include "bench/cuda/epilogue.cuh"
#include "catch.hpp"
#include "cuda_host/arms.hpp"
#include "cuda_host/mutants.hpp"
#include "error_kind.hpp"

using namespace hocket;
namespace epilogue = kernels::epilogue;
using bench::epilogue_case;
using epilogue::activation;

namespace {

constexpr activation every[] = {activation::none, activation::relu, activation::gelu, activation::tanh,
                                activation::gelu_tanh};
const std::vector<shape<2>> sizes = {{1, 1}, {2, 7}, {3, 63}, {17, 64}, {5, 65}, {65, 3}, {64, 16}, {129, 5}, {2, 130}};

/// Not every activation at every size: the code that differs does not depend on the size.
std::vector<epilogue_case> cases() {
  std::vector<epilogue_case> all;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    for (const bool masks : {false, true}) {
      const auto drop = masks ? epilogue::make_dropout(0.3, 99, std::uint64_t{7} << 40 | 3) : epilogue::dropout{};
      all.push_back({{sizes[i][0], sizes[i][1], every[i % 5], drop}, masks != (i % 2 == 0)});
    }
  for (const activation act : every) all.push_back({{4, 70, act, epilogue::make_dropout(0.5, 1, 2)}, true});
  return all;
}

std::string text_of(const epilogue_case& c) {
  return text(c.size.rows, " x ", c.size.columns, " ", name_of(c.size.act), c.size.drop.none() ? "" : " dropout",
              c.extras ? " bias, residual" : "");
}

template <class T>
void check_forward() {
  for (const epilogue_case& c : cases())
    cuda_host::check_in_every_order(text_of(c), [&](const cuda_on_host& device) {
      return bench::prepare_epilogue_forward<T, cuda_on_host>(device, c);
    });
}

}  // namespace

TEST_CASE("the epilogue on CUDA keeps its promise in every order, bit for bit", "[epilogue][cuda_host]") {
  check_forward<float>();
  check_forward<f16>();
  check_forward<bf16>();
  for (const epilogue_case& c : cases())
    cuda_host::check_in_every_order(
        text_of(c), [&](const cuda_on_host& device) { return bench::prepare_epilogue_backward(device, c); });
}

TEST_CASE("dropout on CUDA drops the elements that the CPU drops", "[epilogue][cuda_host]") {
  for (const auto& size : sizes)
    for (const auto& drop : {epilogue::make_dropout(0.1, 3, 5), epilogue::make_dropout(0.5, ~0ULL, ~0ULL - 7)}) {
      cuda_host::machine machine;
      const std::vector<float> ones(size[0] * size[1], 1.0f);
      std::vector<float> host(ones.size());
      epilogue::forward<float>({}, {ones.data(), size}, {}, {}, {host.data(), size}, activation::none, drop);
      float* const y = machine.allocate<float>(ones.size(), "y");
      epilogue::gpu::forward<cuda_on_host, float>(machine.device(), {machine.upload(ones, "x"), size}, {}, {},
                                                  {y, size}, activation::none, drop);
      CHECK(std::vector<float>(y, y + ones.size()) == host);
      float* const du = machine.allocate<float>(ones.size(), "du");
      epilogue::gpu::backward(machine.device(), {machine.upload(ones, "dy"), size}, {}, {du, size}, {}, false, {},
                              activation::none, drop);
      CHECK(std::vector<float>(du, du + ones.size()) == host);
    }
}

TEST_CASE("NaN and far tails pass the activations on CUDA", "[epilogue][cuda_host]") {
  const std::vector<float> x = {std::nanf(""), -40, -13, 0, 13, 40};
  for (const activation act : every) {
    cuda_host::machine machine;
    float* const y = machine.allocate<float>(x.size(), "y");
    float* const slope = machine.allocate<float>(x.size(), "slope");
    const float* const in = machine.upload(x, "x");
    const std::vector<float> ones(x.size(), 1.0f);
    const shape<2> size{2, 3};
    epilogue::gpu::forward<cuda_on_host, float>(machine.device(), {in, size}, {}, {}, {y, size}, act);
    epilogue::gpu::backward(machine.device(), {machine.upload(ones, "dy"), size}, {in, size}, {slope, size}, {}, false,
                            {}, act);
    INFO(name_of(act));
    CHECK(std::isnan(y[0]));
    CHECK((act == activation::none || std::isnan(slope[0])));
    for (std::size_t i = 1; i < x.size(); ++i) {
      const double u = static_cast<double>(x[i]), wanted = epilogue::reference::value_of(act, u);
      // far tails are relatively exact: the exponential carries u^2 / 2 roundings
      CHECK(std::abs(static_cast<double>(y[i]) - wanted) <=
            rounding<float>((16 + u * u) * std::abs(wanted)) +
                static_cast<double>(std::numeric_limits<float>::denorm_min()));
      CHECK(std::abs(static_cast<double>(slope[i]) - epilogue::reference::slope_of(act, u)) <= rounding<float>(16));
    }
  }
}

TEST_CASE("the epilogue's tests notice every damage to the kernels", "[epilogue][cuda_host][mutation]") {
  const auto report = cuda_host::try_mutants([] {
    for (const epilogue_case& c : {epilogue_case{{5, 65, activation::gelu, epilogue::make_dropout(0.3, 1, 2)}, true},
                                   epilogue_case{{600, 3, activation::relu, {}}, true}}) {
      if (!cuda_host::right([&](const cuda_on_host& device) {
            return bench::prepare_epilogue_forward<float, cuda_on_host>(device, c);
          }) ||
          !cuda_host::right([&](const cuda_on_host& device) { return bench::prepare_epilogue_backward(device, c); }))
        return false;
    }
    return true;
  });
  INFO(report.message());
  CHECK(report.total() == 9);  // eight bounds tests, the barrier of the trees
  CHECK(report.survivors.empty());
}

TEST_CASE("the epilogue on CUDA refuses what does not fit", "[epilogue][cuda_host]") {
  cuda_host::machine machine;
  float* const data = machine.allocate<float>(64, "data");
  std::vector<float> host(64);
  const auto forward = [&](view<const float, 2> x, view<const float, 1> bias, view<const float, 2> residual) {
    return tests::kind_of([&] {
      epilogue::gpu::forward<cuda_on_host, float>(machine.device(), x, bias, residual, {data, {4, 8}});
    });
  };
  CHECK(forward({data, {4, 8}}, {}, {}) == "accepted");
  CHECK(forward({data, {4, 7}}, {}, {}) == "unsupported_shape");
  CHECK(forward({data, {4, 8}}, {data, {7}}, {}) == "unsupported_shape");
  CHECK(forward({data, {4, 8}}, {}, {data, {8, 4}}) == "unsupported_shape");
  CHECK(forward({host.data(), {4, 8}}, {}, {}) == "bad_pointer");
  CHECK(forward({data, {4, 8}, {9, 1}}, {}, {}) == "misaligned");
  const auto backward = [&](view<const float, 2> u, view<float, 1> dbias, std::size_t work) {
    return tests::kind_of([&] {
      epilogue::gpu::backward(machine.device(), {data, {4, 8}}, u, {data, {4, 8}}, dbias, false, {data + 32, {work}},
                              activation::gelu);
    });
  };
  CHECK(backward({data, {4, 8}}, {}, 0) == "accepted");
  CHECK(backward({}, {}, 0) == "unsupported_shape");
  CHECK(backward({data, {4, 8}}, {data, {8}}, 7) == "unsupported_shape");
  CHECK(backward({data, {4, 8}}, {data, {9}}, 8) == "unsupported_shape");
  std::vector<float> zeros(8, 1);
  float* const dbias = machine.upload(zeros, "dbias");  // of no rows
  epilogue::gpu::backward(machine.device(), {data, {0, 8}}, {}, {data, {0, 8}}, {dbias, {8}}, false, {data, {0}});
  CHECK(std::vector<float>(dbias, dbias + 8) == std::vector<float>(8, 0.0f));
}
