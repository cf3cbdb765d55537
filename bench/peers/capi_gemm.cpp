// A product with a weight that is packed once: ours, and oneDNN's with its weights in its own layout.
#include <algorithm>
#include <memory>
#include <string_view>

#include <hocket/core/parallel.hpp>
#include <hocket/kernels/packed_gemm/arms.hpp>

#include "bench/support/onednn_packed.hpp"
#include "capi.hpp"

namespace {

using namespace hocket;
namespace packed = kernels::packed_gemm;

packed::precision precision_of(std::string_view name) {
  if (name == "bf16") return packed::precision::bf16;
  if (name == "int8") return packed::precision::int8;
  expects(name == "f32", errc::not_built, "products in ", name, " are not built");
  return packed::precision::native;
}

/// Input: A (m,k), W (n,k); the first run takes it over. Output: C (m,n), written by the first run.
class own final : public capi::runnable {
 public:
  own(packed::precision kind, const packed::shape& s, int threads) : kind_(kind), s_(s), device_{threads} {
    rows = s.m;
    columns = s.n;
    tile_ = 256;
    for (int worker = 0; worker < threads; ++worker)
      workspaces_.emplace_back(packed::workspace_bytes<float>(kind, tile_, s.k));
  }
  void run(const float* input, float* output) override {
    const bool first = weight_.size() == 0;
    if (first) {
      a_ = buffer<float>(s_.m * s_.k);
      std::copy_n(input, a_.size(), a_.data());
      weight_ = buffer<std::byte>(packed::packed_bytes<float>(kind_, s_.n, s_.k));
      c_ = buffer<float>(s_.m * s_.n);
      const packed::part<float> whole{input + a_.size(), s_.k, s_.n, 0, packed::all_of_line, 1.0F};
      packed::pack<float>(kind_, s_.k, s_.n, {&whole, 1}, true, 0, packed::strips_of<float>(s_.n), weight_.data());
    }
    for_each_tile(device_, (s_.m + tile_ - 1) / tile_, [&](std::size_t tile, std::size_t worker) {
      const std::size_t i = tile * tile_, count = std::min(tile_, s_.m - i);
      packed::multiply<float>(kind_, count, s_.n, s_.k, a_.data() + i * s_.k, s_.k, weight_.data(),
                              c_.data() + i * s_.n, s_.n, workspaces_[worker].data());
    });
    if (first) std::copy_n(c_.data(), c_.size(), output);
  }

 private:
  packed::precision kind_;
  packed::shape s_;
  cpu device_;
  std::size_t tile_ = 0;
  buffer<float> a_, c_;
  buffer<std::byte> weight_;
  std::vector<buffer<std::byte>> workspaces_;
};

#if defined(HOCKET_HAVE_ONEDNN)
class theirs final : public capi::runnable {
 public:
  theirs(packed::precision kind, const packed::shape& s) : kind_(kind), s_(s) {
    rows = s.m;
    columns = s.n;
  }
  void run(const float* input, float* output) override {
    if (product_) return product_->run();
    product_ = std::make_unique<bench::onednn_packed>(kind_, s_.m, s_.n, s_.k, input, input + s_.m * s_.k);
    product_->run();
    const std::size_t size = s_.m * s_.n;
    if (kind_ == packed::precision::int8) {
      const auto* sums = static_cast<const std::int32_t*>(product_->result());
      std::transform(sums, sums + size, output, [](std::int32_t x) { return static_cast<float>(x) / 16; });
    } else {
      std::copy_n(static_cast<const float*>(product_->result()), size, output);
    }
  }

 private:
  packed::precision kind_;
  packed::shape s_;
  std::unique_ptr<bench::onednn_packed> product_;
};
#endif

}  // namespace

HOCKET_CAPI void* hocket_packed_gemm(const char* engine, const char* precision, std::size_t m, std::size_t n,
                                     std::size_t k, int threads) {
  return capi::guarded([&]() -> std::unique_ptr<capi::runnable> {
    const packed::shape s{m, n, k};
    if (std::string_view(engine) == "own") return std::make_unique<own>(precision_of(precision), s, threads);
#if defined(HOCKET_HAVE_ONEDNN)
    return std::make_unique<theirs>(precision_of(precision), s);
#else
    fail(errc::not_built, "oneDNN was not found when the library was built");
#endif
  });
}

HOCKET_CAPI const char* hocket_onednn_version() {
#if defined(HOCKET_HAVE_ONEDNN)
  static const std::string version =
      text(dnnl_version()->major, ".", dnnl_version()->minor, ".", dnnl_version()->patch);
  return version.c_str();
#else
  return "";
#endif
}
