// A program that links the CUDA runtime and every vendor library behind the device layer. Where there is a GPU it runs
// a kernel, a product, a transform and an eigenproblem and checks them; where there is none it exits with 5 and
// no_device.
#include <cmath>
#include <complex>
#include <cstdio>
#include <string>
#include <vector>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/dense/vendor_cusolver.hpp>
#include <hocket/kernels/fft/vendor_cufft.hpp>
#include <hocket/kernels/gemm/vendor_cublaslt.hpp>
#include <hocket/kernels/softmax/cuda_launch.cuh>

namespace {

using namespace hocket;
namespace gemm = kernels::gemm;

int failures = 0;

void expect(const char* what, double found, double wanted) {
  const double allowed = 16 * rounding<float>(std::abs(wanted) + 1);
  const bool ok = std::abs(found - wanted) <= allowed;
  if (!ok) std::printf("%s is %g, not %g\n", what, found, wanted);
  failures += !ok;
}

void check_all(const cuda& device) {
  const std::vector<float> x = {1, 2, 3, 4, 5, 6, 7, 9};
  const device_buffer<float, cuda> in(device, "in", x);
  device_buffer<float, cuda> out(device, "out", 8);
  kernels::softmax::gpu::forward(device, view<const float, 2>(in.data(), {1, 8}), view<float, 2>(out.data(), {1, 8}));
  double sum = 0;
  for (const float v : x) sum += std::exp(static_cast<double>(v) - 9);
  expect("softmax", out.download()[6], std::exp(-2.0) / sum);

  // [1 2; 3 4] [5 6; 7 9] = [19 24; 43 54]
  const gemm::shape square{2, 2, 2, false, false, 2, 2, 2};
  gemm::cublas_plan<cuda>(device).multiply(square, 1, in.data(), in.data() + 4, 0, out.data());
  expect("cublas", out.download()[1], 24);
  gemm::cublaslt_plan<cuda, float>(device, square).run(1, in.data(), in.data() + 4, 0, out.data());
  expect("cublasLt", out.download()[2], 43);

  device_buffer<std::complex<float>, cuda> bins(device, "bins", 5);
  kernels::fft::cufft_plan<cuda>(device, {8, 1, 8, 5}).run(in.data(), bins.data());
  expect("cufft", bins.download()[0].real(), 37);

  device_buffer<double, cuda> matrix(device, "matrix", std::vector<double>{2, 1, 1, 2}), values(device, "values", 2);
  kernels::dense::cusolver_plan<cuda>(device).eigen(2, matrix.data(), values.data());
  expect("cusolver", values.download()[kernels::dense::falling(0, 2)], 3);

  const std::vector<float> host(4);
  try {
    require_device_memory(device, "host", host.data(), 16);
    expect("memory of the host, taken for the device's", 1, 0);
  } catch (const error& problem) {
    expect("kind of error for memory of the host", static_cast<int>(problem.kind()),
           static_cast<int>(errc::bad_pointer));
  }
  try {
    device_buffer<float, cuda>(device, "too much", std::size_t{1} << 50);
    expect("an allocation of four petabytes", 1, 0);
  } catch (const error& problem) {
    expect("kind of error for too much memory", static_cast<int>(problem.kind()),
           static_cast<int>(errc::out_of_memory));
  }
}

}  // namespace

int main() {
  try {
    const device_stream<cuda> stream{cuda{}};
    device_event<cuda> start{cuda{}}, end{cuda{}};
    start.record(stream.device());
    check_all(stream.device());
    end.record(stream.device());
    end.wait();
    std::printf("ran on a GPU in %g ms, %d failures\n", static_cast<double>(end.milliseconds_since(start)), failures);
    return failures > 0;
  } catch (const error& problem) {
    std::printf("%s: %s\n", std::string(name_of(problem.kind())).c_str(), problem.what());
    return problem.kind() == errc::no_device || problem.kind() == errc::not_built ? 5 : 3;
  }
}
