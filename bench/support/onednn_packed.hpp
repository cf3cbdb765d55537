// oneDNN's product with weights reordered once into its own layout: what the packed product of kernels/packed_gemm is
// measured beside. Its 2.6 and 3.x APIs. f32, bf16 (inputs rounded before the timing), int8 (signed inputs, int32
// sums).
#pragma once

#if defined(HOCKET_HAVE_ONEDNN)

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <dnnl.hpp>

#include <hocket/core/error.hpp>
#include <hocket/kernels/packed_gemm/shape.hpp>

namespace hocket::bench {

/// C (m,n) = A (m,k) W', W (n,k) as PyTorch keeps a weight. Runs on as many threads as OpenMP gives.
class onednn_packed {
 public:
  onednn_packed(kernels::packed_gemm::precision kind, std::size_t m, std::size_t n, std::size_t k, const float* a,
                const float* weight)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    using kernels::packed_gemm::precision;
    using type = dnnl::memory::data_type;
    using tag = dnnl::memory::format_tag;
    const bool int8 = kind == precision::int8;
    const type from = int8 ? type::s8 : kind == precision::bf16 ? type::bf16 : type::f32;
    const auto size = [](std::size_t x) { return static_cast<dnnl::memory::dim>(x); };
    const dnnl::memory::dims a_size{size(m), size(k)}, w_size{size(k), size(n)}, c_size{size(m), size(n)};
    const dnnl::memory::desc a_is(a_size, from, tag::ab), w_any(w_size, from, tag::any),
        c_is(c_size, int8 ? type::s32 : type::f32, tag::ab);
#if DNNL_VERSION_MAJOR >= 3
    const dnnl::matmul::primitive_desc how(engine_, a_is, w_any, c_is);
#else
    const dnnl::matmul::primitive_desc how(dnnl::matmul::desc(a_is, w_any, c_is), engine_);
#endif
    a_ = dnnl::memory(a_is, engine_);
    w_ = dnnl::memory(how.weights_desc(), engine_);
    c_ = dnnl::memory(c_is, engine_);
    fill({a_size, type::f32, tag::ab}, a, m * k, a_, int8);
    fill({w_size, type::f32, tag::ba}, weight, n * k, w_, int8);
    product_ = dnnl::matmul(how);
    implementation_ = how.impl_info_str();
  }

  void run() {
    product_.execute(stream_, {{DNNL_ARG_SRC, a_}, {DNNL_ARG_WEIGHTS, w_}, {DNNL_ARG_DST, c_}});
    stream_.wait();
  }
  /// f32, or int32 with int8.
  const void* result() const { return c_.get_data_handle(); }
  const std::string& implementation() const { return implementation_; }

 private:
  /// int8: x in steps of a quarter, to the nearest, at most 127: exact for the small whole numbers it is given.
  void fill(const dnnl::memory::desc& is, const float* x, std::size_t count, dnnl::memory& to, bool int8) {
    dnnl::memory given(is, engine_);
    float* const values = static_cast<float*>(given.get_data_handle());
    for (std::size_t i = 0; i < count; ++i)
      values[i] = int8 ? std::nearbyint(std::fmax(-127.0F, std::fmin(127.0F, 4 * x[i]))) : x[i];
    dnnl::reorder(given, to).execute(stream_, given, to);
    stream_.wait();
  }

  dnnl::engine engine_;
  dnnl::stream stream_;
  dnnl::memory a_, w_, c_;
  dnnl::matmul product_;
  std::string implementation_;
};

}  // namespace hocket::bench

#endif
