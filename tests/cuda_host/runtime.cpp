// The device layer on the host: memory, copies, streams, events, and every named error that needs no GPU.
#include <string>
#include <vector>

#include <hocket/core/cuda/runtime.hpp>
#include <hocket/core/device.hpp>

#include "catch.hpp"
#include "cuda_host/machine.hpp"
#include "error_kind.hpp"

using namespace hocket;
using tests::error_of, tests::starts;

namespace {

bool contains(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

}  // namespace

TEST_CASE("device memory holds what was copied there and goes back when its owner dies", "[cuda_host]") {
  cuda_host::machine machine;
  const std::vector<float> values = {1, 2, 3, 4, 5};
  {
    device_buffer<float, cuda_on_host> x(machine.device(), "x", values);
    CHECK(machine.owns(x.data(), 20));
    CHECK(!machine.owns(x.data(), 21));
    CHECK(x.download() == values);
    x.upload(values.data(), 2, 3);
    CHECK(x.download() == std::vector<float>{1, 2, 3, 1, 2});
    CHECK(x.download(2) == std::vector<float>{1, 2});
    device_buffer<float, cuda_on_host> y = std::move(x);
    CHECK(y.size() == 5);
    y.fill_zero();
    CHECK(y.download() == std::vector<float>(5, 0.0f));
    const device_buffer<float, cuda_on_host> empty(machine.device(), "empty", 0);
    CHECK(empty.download().empty());
    CHECK(machine.memory_in_use() == 20);
    y = device_buffer<float, cuda_on_host>(machine.device(), "z", 3);
    CHECK(machine.peak_memory() == 32);
  }
  CHECK(machine.memory_in_use() == 0);
}

TEST_CASE("copies that do not fit are refused", "[cuda_host]") {
  cuda_host::machine machine;
  device_buffer<float, cuda_on_host> x(machine.device(), "x", 4);
  const std::vector<float> values(5);
  CHECK(starts(error_of([&] { x.upload(values.data(), 5); }), "unsupported_shape: x: 5 elements do not fit 4"));
  CHECK(starts(error_of([&] { x.upload(values.data(), 1, 4); }), "unsupported_shape"));
  CHECK(starts(error_of([&] { x.upload(values.data(), 1, std::size_t(-1)); }), "unsupported_shape"));
  CHECK(starts(error_of([&] { x.upload(nullptr, 1); }), "bad_pointer"));
  CHECK(starts(error_of([&] { x.download(5); }), "unsupported_shape"));
}

TEST_CASE("out of memory says how many bytes and of what", "[cuda_host]") {
  cuda_host::machine machine;
  machine.limit_memory(100);
  using buffer_t = device_buffer<double, cuda_on_host>;
  const buffer_t ten(machine.device(), "ten", 10);
  CHECK(error_of([&] { buffer_t(machine.device(), "scores", 3); }) ==
        "out_of_memory: scores: the device cannot allocate 24 bytes");
  CHECK(error_of([&] { buffer_t(machine.device(), "scores", 2); }) == "");
  CHECK(
      starts(error_of([&] { buffer_t(machine.device(), "scores", std::size_t(-1) / 8); }), "out_of_memory: scores: "));
  CHECK(machine.memory_in_use() == 80);
}

TEST_CASE("no machine, no device", "[cuda_host]") {
  const cuda_on_host nowhere;
  CHECK(starts(error_of([&] { device_buffer<float, cuda_on_host>(nowhere, "x", 1); }), "no_device"));
  CHECK(starts(error_of([&] { device_stream<cuda_on_host> stream(nowhere); }), "no_device"));
  CHECK(starts(error_of([&] { device_event<cuda_on_host> event(nowhere); }), "no_device"));
  CHECK(starts(error_of([&] { require_device_memory(nowhere, "x", nullptr, 4); }), "no_device"));
}

TEST_CASE("memory of the host is not memory of the device", "[cuda_host]") {
  cuda_host::machine machine, other;
  std::vector<float> host(4);
  const device_buffer<float, cuda_on_host> x(machine.device(), "x", 4);
  const auto check = [&](const void* p, std::size_t bytes) {
    return error_of([&] { require_device_memory(machine.device(), "x", p, bytes); });
  };
  CHECK(check(x.data(), 16) == "");
  CHECK(check(x.data() + 1, 12) == "");
  CHECK(starts(check(x.data() + 1, 16), "bad_pointer: x: 16 bytes"));
  CHECK(starts(check(host.data(), 16), "bad_pointer"));
  CHECK(starts(check(nullptr, 16), "bad_pointer"));
  CHECK(check(nullptr, 0) == "");
  CHECK(starts(error_of([&] { require_device_memory(other.device(), "x", x.data(), 16); }), "bad_pointer"));
}

TEST_CASE("a misaligned pointer is named with the bytes it is off by", "[cuda_host]") {
  alignas(64) const float values[32] = {};
  CHECK(error_of([&] { require_aligned("x", values, 16); }) == "");
  CHECK(starts(error_of([&] { require_aligned("x", values + 3, 16); }),
               "misaligned: x: starts 12 bytes past a multiple of 16"));
}

TEST_CASE("streams and events of the host keep the order of calls", "[cuda_host]") {
  cuda_host::machine machine;
  const device_stream<cuda_on_host> stream(machine.device());
  CHECK(stream.device().machine == &machine);
  device_event<cuda_on_host> start(machine.device()), end(machine.device());
  CHECK(starts(error_of([&] { start.wait(); }), "bad_option"));
  start.record(stream.device());
  CHECK(starts(error_of([&] { end.milliseconds_since(start); }), "bad_option"));
  end.record(stream.device());
  end.wait();
  CHECK(end.milliseconds_since(start) >= 0.0f);
  stream.wait();
}

TEST_CASE("status numbers of the CUDA libraries have the project's names", "[cuda_host]") {
  CHECK(errc_of_cuda(2) == errc::out_of_memory);
  CHECK(errc_of_cuda(35) == errc::no_device);
  CHECK(errc_of_cuda(100) == errc::no_device);
  CHECK(errc_of_cuda(209) == errc::not_built);  // the program has no code for this card
  CHECK(errc_of_cuda(700) == errc::bad_pointer);
  CHECK(errc_of_cuda(716) == errc::misaligned);
  CHECK(errc_of_cuda(9) == errc::unsupported_shape);
  CHECK(error_of([] { require_cublas(0, "x"); }) == "");
  CHECK(error_of([] { require_cublas(3, "cublasCreate"); }) ==
        "out_of_memory: cublasCreate: CUBLAS_STATUS_ALLOC_FAILED");
  CHECK(error_of([] { require_cublas(15, "cublasLtMatmul"); }) ==
        "unsupported_shape: cublasLtMatmul: CUBLAS_STATUS_NOT_SUPPORTED");
  CHECK(error_of([] { require_cublas(1, "cublasCreate"); }) ==
        "no_device: cublasCreate: CUBLAS_STATUS_NOT_INITIALIZED");
  CHECK(error_of([] { require_cufft(9, "cufftExecR2C"); }) == "misaligned: cufftExecR2C: CUFFT_UNALIGNED_DATA");
  CHECK(error_of([] { require_cufft(2, "cufftMakePlanMany64"); }) ==
        "out_of_memory: cufftMakePlanMany64: CUFFT_ALLOC_FAILED");
  CHECK(error_of([] { require_cusolver(2, "syevd"); }) == "out_of_memory: syevd: CUSOLVER_STATUS_ALLOC_FAILED");
  CHECK(error_of([] { require_cusolver(3, "syevd"); }) == "unsupported_shape: syevd: CUSOLVER_STATUS_INVALID_VALUE");
}

TEST_CASE("a program without a device says which backend it lacks", "[cuda_host]") {
  CHECK(error_of([] { require_backend(backend::cpu); }) == "");
  CHECK(starts(error_of([] { require_backend(backend::cuda_host); }), "not_built: backend cuda_host"));
  const std::string cuda_error = error_of([] { require_backend(backend::cuda); });
  if (!cuda_built) CHECK(contains(cuda_error, "not_built: backend cuda is not in this build"));
  if (cuda_built) CHECK((cuda_error.empty() || starts(cuda_error, "no_device: no cuda device was found")));
}
