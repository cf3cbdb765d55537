// Every arm of kernels/gemm on one thread: squares, the tall products of a PCA, and its products with a transpose.
#include <cmath>
#include <memory>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/kernels/gemm/arms.hpp>

#include "bench/support/bench.hpp"
#include "bench/support/cuda.hpp"

namespace {

namespace gemm = hocket::kernels::gemm;
using hocket::bench::ready;

/// C = op(A) op(B); the magnitude of the promise is k max|A| max|B|.
template <class T>
ready prepare(const gemm::gemm_arm<T>& arm, const gemm::shape& s) {
  auto a = std::make_shared<hocket::buffer<T>>(hocket::bench::aligned_normals<T>(s.m * s.k, 1));
  auto b = std::make_shared<hocket::buffer<T>>(hocket::bench::aligned_normals<T>(s.k * s.n, 2));
  auto c = std::make_shared<hocket::buffer<T>>(s.m * s.n);
  auto workspace = std::make_shared<hocket::buffer<T>>(gemm::workspace_size);
  const auto run = arm.run;
  ready made;
  made.run = [=] { run(s, T(1), a->data(), b->data(), T(0), c->data(), workspace->data()); };
  made.run();
  std::vector<T> wanted(s.m * s.n);
  gemm::reference<T>(s, T(1), a->data(), b->data(), T(0), wanted.data());
  const double magnitude =
      static_cast<double>(s.k) * hocket::max_abs(a->data(), a->size()) * hocket::max_abs(b->data(), b->size());
  made.check =
      hocket::compare(c->data(), wanted.data(), wanted.size(), arm.promise(s) * hocket::rounding<T>(magnitude));
  return made;
}

template <class T>
void add_arms() {
  struct size {
    std::size_t m, n, k;
    bool transpose_a, transpose_b;
  };
  const size sizes[] = {{64, 64, 64, false, false},    {256, 256, 256, false, false}, {512, 512, 512, false, false},
                        {2048, 48, 512, false, false}, {512, 48, 2048, true, false},  {512, 512, 512, true, false},
                        {256, 256, 1024, false, true}};
  for (const size& one : sizes) {
    const gemm::shape s{one.m,
                        one.n,
                        one.k,
                        one.transpose_a,
                        one.transpose_b,
                        one.transpose_a ? one.m : one.k,
                        one.transpose_b ? one.k : one.n,
                        one.n};
    const std::string shape =
        hocket::text("m=", s.m, "/n=", s.n, "/k=", s.k, s.transpose_a ? "/At" : "", s.transpose_b ? "/Bt" : "");
    hocket::bench::add_arms("gemm", shape, gemm::arms<T>(), s, 1, "products",
                            [s](const auto& arm) { return prepare<T>(arm, s); });
  }
}

/// The CUDA kernels and cuBLAS on squares; A and B in the kernel's type, C in f32.
void add_cuda() {
  for (const std::size_t n : {256u, 512u, 1024u, 4096u}) {
    const std::string shape = hocket::text("m=", n, "/n=", n, "/k=", n);
    const hocket::bench::dimensions sizes{{"m", n}, {"n", n}, {"k", n}, {"count", 1}};
    const auto work = [n](std::size_t element) {
      const double all = static_cast<double>(n * n);
      return hocket::bench::cuda_work{2 * all * static_cast<double>(n),
                                      all * static_cast<double>(2 * element + sizeof(float))};
    };
    for (const char* variant : {"tiled_nn", "mma_nn", "mma_nt"})
      hocket::bench::add_cuda_arms("gemm", variant, shape, sizes, work);
    for (const char* dtype : {"f32", "f16", "bf16"})
      hocket::bench::add_cuda_library("gemm", "cublas", dtype, shape, sizes, work(hocket::bench::bytes_of_type(dtype)));
  }
}

const bool registered = hocket::bench::register_operation([] {
  add_arms<float>();
  add_arms<double>();
  add_cuda();
});

}  // namespace
