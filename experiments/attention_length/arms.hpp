// The ways of computing attention that are compared, on one problem: dense self-attention without a mask, q, k, v and
// dout (B, H, T, D) of unit normal values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <hocket/core/buffer.hpp>
#include <hocket/core/half.hpp>
#include <hocket/core/rng.hpp>
#include <hocket/core/tolerance.hpp>
#include <hocket/kernels/attention/cpu.hpp>
#include <hocket/kernels/softmax/cpu.hpp>
#include <hocket/linalg/gemm.hpp>

namespace hocket::experiments::attention_length {

namespace attention = kernels::attention;

/// q, k, v, dout one after the other, each (H, T, D): what every arm is given. Rounded to bf16, so that all arms see
/// the same numbers.
struct problem {
  std::size_t heads = 0, length = 0, width = 0;
  std::vector<float> values;

  problem(std::size_t h, std::size_t t, std::size_t d) : heads(h), length(t), width(d), values(4 * h * t * d) {
    const philox random(1);
    for (std::size_t i = 0; i < values.size(); ++i)
      values[i] = to_f32(from_f32<bf16>(static_cast<float>(random.normal_at(i))));
  }
  std::size_t size() const { return heads * length * width; }
  const float* at(std::size_t which, std::size_t head) const {
    return values.data() + (which * heads + head) * length * width;
  }
  attention::shape shape() const {
    return {1, heads, heads, length, length, width, 0, false, 0, attention::usual_scale(width)};
  }
};

/// One way, ready to run. What it makes can be read as f32: out, and dq, dk, dv where it goes back.
class way {
 public:
  virtual ~way() = default;
  virtual void run() = 0;
  /// Element of result `which` (0: out, 1: dq, 2: dk, 3: dv).
  virtual float result(std::size_t which, std::size_t index) const = 0;
};

/// Ours: no T x T matrix. T is float or bf16.
template <class T>
class own final : public way {
 public:
  own(const problem& p, bool backward, const cpu& device)
      : s_(p.shape()),
        device_(device),
        backward_(backward),
        size_(p.size()),
        given_((backward ? 4 : 3) * size_),
        made_((backward ? 4 : 1) * size_),
        lse_(p.heads * p.length),
        work_(std::max(attention::forward_workspace<T>(device, s_),
                       backward ? attention::backward_workspace<T>(device, s_) : 0)) {
    std::transform(p.values.begin(), p.values.begin() + static_cast<std::ptrdiff_t>(given_.size()), given_.data(),
                   [](float x) { return from_f32<T>(x); });
  }
  void run() override {
    const T* const given = given_.data();
    const T* const made = made_.data();
    const attention::inputs<T> in{rows(given, 0), rows(given, 1), rows(given, 2)};
    attention::forward<T>(device_, s_, in, {rows(made_.data(), 0), lse_.data()}, work_.data());
    if (backward_)
      attention::backward<T>(device_, s_, in, {rows(made, 0), rows(given, 3), lse_.data()},
                             {rows(made_.data(), 1), rows(made_.data(), 2), rows(made_.data(), 3)}, work_.data());
  }
  float result(std::size_t which, std::size_t index) const override {
    return to_f32(made_.data()[which * size_ + index]);
  }

 private:
  template <class U>
  attention::rows_of<U> rows(U* data, std::size_t which) const {
    return attention::heads_outside(data + which * size_, s_.heads, s_.queries, s_.width);
  }

  attention::shape s_;
  cpu device_;
  bool backward_;
  std::size_t size_;
  buffer<T> given_, made_;
  buffer<float> lse_, work_;
};

/// The definition by matrix products: the T x T probabilities of every head are made, and kept for the way back. Its
/// products are those of the fastest engine in the program.
class naive final : public way {
 public:
  naive(const problem& p, bool backward, const cpu& device)
      : p_(p),
        device_(device),
        backward_(backward),
        gemm_({}, device),
        made_((backward ? 4 : 1) * p.size()),
        probabilities_((backward ? p.heads : 1) * p.length * p.length),
        scores_(backward ? p.length * p.length : 0) {}

  void run() override {
    const auto scale = static_cast<float>(attention::usual_scale(p_.width));
    using enum linalg::transpose;
    for (std::size_t h = 0; h < p_.heads; ++h) {
      const auto p = square(probabilities_.data() + (backward_ ? h : 0) * p_.length * p_.length);
      gemm_.run(scale, given(0, h), no, given(1, h), yes, 0, p);
      kernels::softmax::forward<float>(p, p, device_);
      gemm_.run(1, p, no, given(2, h), no, 0, made(0, h));
    }
    for (std::size_t h = 0; backward_ && h < p_.heads; ++h) {
      const auto p = square(probabilities_.data() + h * p_.length * p_.length), ds = square(scores_.data());
      gemm_.run(1, p, yes, given(3, h), no, 0, made(3, h));
      gemm_.run(1, given(3, h), no, given(2, h), yes, 0, ds);
      kernels::softmax::backward<float>(p, ds, ds, device_);
      gemm_.run(scale, ds, no, given(1, h), no, 0, made(1, h));
      gemm_.run(scale, ds, yes, given(0, h), no, 0, made(2, h));
    }
  }
  float result(std::size_t which, std::size_t index) const override { return made_.data()[which * p_.size() + index]; }

 private:
  view<float, 2> square(float* data) const { return {data, {p_.length, p_.length}}; }
  view<const float, 2> given(std::size_t which, std::size_t head) const {
    return {p_.at(which, head), {p_.length, p_.width}};
  }
  view<float, 2> made(std::size_t which, std::size_t head) {
    return {made_.data() + which * p_.size() + head * p_.length * p_.width, {p_.length, p_.width}};
  }

  const problem& p_;
  cpu device_;
  bool backward_;
  linalg::gemm_plan<float> gemm_;
  buffer<float> made_, probabilities_, scores_;
};

struct arm_entry {
  std::string_view name, dtype;
  std::unique_ptr<way> (*make)(const problem&, bool backward, const cpu&);
  std::size_t longest;  ///< T that it is tried at
};

template <class Way>
std::unique_ptr<way> make_way(const problem& p, bool backward, const cpu& device) {
  return std::make_unique<Way>(p, backward, device);
}

inline constexpr std::array<arm_entry, 3> arm_table = {arm_entry{"own-f32", "f32", &make_way<own<float>>, 8192},
                                                       arm_entry{"own-bf16", "bf16", &make_way<own<bf16>>, 8192},
                                                       arm_entry{"naive-f32", "f32", &make_way<naive>, 4096}};

/// Rows 0, 1, the middle and the last of the last head against the definition in f64: empty, or what is wrong. An f32
/// result may be off by the square root of f32's epsilon of the largest value, a bf16 one by four units of bf16: sums
/// of thousands of terms are compared here, the kernels' own tests hold them to their promises.
inline std::string check(const problem& p, const way& ours, std::string_view dtype, bool backward) {
  const std::size_t h = p.heads - 1, t = p.length, width = p.width;
  const float *const q = p.at(0, h), *const k = p.at(1, h), *const v = p.at(2, h), *const up = p.at(3, h);
  const double scale = attention::usual_scale(width), unit = dtype == "bf16" ? 0x1p-6 : 0x1p-12;
  const auto dot = [&](const float* a, const float* b) {
    double sum = 0;
    for (std::size_t d = 0; d < width; ++d) sum += static_cast<double>(a[d]) * static_cast<double>(b[d]);
    return sum;
  };
  std::string wrong;
  const auto compare_row = [&](std::size_t which, std::size_t row, const std::vector<double>& wanted) {
    const double bound = unit * std::max(max_abs(wanted.data(), wanted.size()), 0.01);
    for (std::size_t d = 0; d < width && wrong.empty(); ++d) {
      const double got = static_cast<double>(ours.result(which, (h * t + row) * width + d));
      if (!(std::abs(got - wanted[d]) <= bound))
        wrong = text("result ", which, ", row ", row, ", element ", d, " is ", got, ", in f64 ", wanted[d]);
    }
  };
  std::vector<double> probability(t);
  for (const std::size_t row : {std::size_t{0}, std::size_t{1}, t / 2, t - 1}) {
    double largest = -1e300, sum = 0, delta = 0;
    for (std::size_t j = 0; j < t; ++j)
      largest = std::max(largest, probability[j] = scale * dot(q + row * width, k + j * width));
    for (double& x : probability) sum += x = std::exp(x - largest);
    std::vector<double> out(width), dq(width);
    for (std::size_t j = 0; j < t; ++j)
      for (std::size_t d = 0; d < width; ++d) out[d] += probability[j] / sum * static_cast<double>(v[j * width + d]);
    compare_row(0, row, out);
    if (!backward) continue;
    for (std::size_t d = 0; d < width; ++d) delta += out[d] * static_cast<double>(up[row * width + d]);
    for (std::size_t j = 0; j < t; ++j) {
      const double ds = probability[j] / sum * (dot(up + row * width, v + j * width) - delta) * scale;
      for (std::size_t d = 0; d < width; ++d) dq[d] += ds * static_cast<double>(k[j * width + d]);
    }
    compare_row(1, row, dq);
  }
  return wrong;
}

}  // namespace hocket::experiments::attention_length
