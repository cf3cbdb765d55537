// Attention, forward or forward and backward, dense and without a mask: q, k, v (B, H, T, D).
#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include <hocket/core/buffer.hpp>
#include <hocket/core/half.hpp>
#include <hocket/kernels/attention/cpu.hpp>

#include "capi.hpp"

namespace {

namespace attention = hocket::kernels::attention;

/// Input: q, k, v and dout one after the other; output: out, and dq, dk, dv where the pass goes back. The first run
/// takes the input over; later runs compute the same again and write nothing outside.
template <class T>
class attention_pass final : public hocket::capi::runnable {
 public:
  attention_pass(const attention::shape& s, bool backward, int threads) : s_(s), device_{threads}, backward_(backward) {
    size_ = s.batch * s.heads * s.queries * s.width;
    given_ = hocket::buffer<T>(4 * size_);
    made_ = hocket::buffer<T>(4 * size_);
    lse_ = hocket::buffer<float>(s.batch * s.heads * s.queries);
    work_ = hocket::buffer<float>(
        std::max(attention::forward_workspace<T>(device_, s), attention::backward_workspace<T>(device_, s)));
    rows = backward ? 4 : 1;
    columns = size_;
  }

  void run(const float* input, float* output) override {
    if (!filled_) std::transform(input, input + given_.size(), given_.data(), [](float x) { return narrowed(x); });
    const attention::inputs<T> in{part(std::as_const(given_).data(), 0), part(std::as_const(given_).data(), 1),
                                  part(std::as_const(given_).data(), 2)};
    attention::forward<T>(device_, s_, in, {part(made_.data(), 0), lse_.data()}, work_.data());
    if (backward_)
      attention::backward<T>(device_, s_, in,
                             {part(std::as_const(made_).data(), 0), part(std::as_const(given_).data(), 3), lse_.data()},
                             {part(made_.data(), 1), part(made_.data(), 2), part(made_.data(), 3)}, work_.data());
    if (!filled_)
      std::transform(made_.data(), made_.data() + rows * size_, output, [](T x) { return hocket::to_f32(x); });
    filled_ = true;
  }

 private:
  static T narrowed(float x) { return hocket::from_f32<T>(x); }
  template <class U>
  attention::rows_of<U> part(U* data, std::size_t index) const {
    return attention::heads_outside(data + index * size_, s_.heads, s_.queries, s_.width);
  }

  attention::shape s_;
  hocket::cpu device_;
  bool backward_, filled_ = false;
  std::size_t size_ = 0;
  hocket::buffer<T> given_, made_;
  hocket::buffer<float> lse_, work_;
};

}  // namespace

HOCKET_CAPI void* hocket_attention(const char* dtype, std::size_t batch, std::size_t heads, std::size_t length,
                                   std::size_t width, int backward, int threads) {
  return hocket::capi::guarded([&]() -> std::unique_ptr<hocket::capi::runnable> {
    const attention::shape s{batch, heads, heads, length, length, width, 0, false, 0, attention::usual_scale(width)};
    const std::string_view type = dtype;
    if (type == "bf16") return std::make_unique<attention_pass<hocket::bf16>>(s, backward != 0, threads);
    hocket::expects(type == "f32", hocket::errc::not_built, "attention of ", type, " is not built");
    return std::make_unique<attention_pass<float>>(s, backward != 0, threads);
  });
}
