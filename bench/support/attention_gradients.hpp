// What the backward pass of dense attention is compared with before it is timed: one head, from the definition in f64,
// and beside it a plain implementation in the element type's own precision, whose error bounds ours (the 3x rule).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

#include <hocket/core/half.hpp>
#include <hocket/core/tolerance.hpp>

namespace hocket::bench {

/// Gradients of one head at some rows: dq of queries, dk and dv of keys, each (rows of `at`, width).
template <class Real>
struct head_gradients {
  std::vector<Real> dq, dk, dv;
};

/// One head of n queries and n keys, q, k, v and dout (n, width) in storage type T.
template <class T>
class attention_head {
 public:
  /// `at`: the rows that are compared.
  attention_head(const T* q, const T* k, const T* v, const T* dout, std::size_t n, std::size_t width, double scale,
                 const std::vector<std::size_t>& at)
      : n_(n), width_(width), at_(at), q_(widened(q)), k_(widened(k)), v_(widened(v)), dout_(widened(dout)) {
    wanted_ = gradients<double>(scale, [](double x) { return x; });
    peer_ = gradients<float>(static_cast<float>(scale), [](float x) { return to_f32(from_f32<T>(x)); });
  }

  /// dq, dk, dv of the device at the same rows.
  void add_to(comparison& result, const head_gradients<T>& ours) const {
    add(result, ours.dq, wanted_.dq, peer_.dq);
    add(result, ours.dk, wanted_.dk, peer_.dk);
    add(result, ours.dv, wanted_.dv, peer_.dv);
  }

 private:
  std::vector<float> widened(const T* x) const {
    std::vector<float> out(n_ * width_);
    std::transform(x, x + out.size(), out.begin(), [](T value) { return to_f32(value); });
    return out;
  }
  template <class Real>
  Real dot(const float* a, const float* b) const {
    Real sum = 0;
    for (std::size_t d = 0; d < width_; ++d) sum += static_cast<Real>(a[d]) * static_cast<Real>(b[d]);
    return sum;
  }

  /// dV_j = sum_i P_ij dout_i;  dS_ij = P_ij (dout_i . v_j - dout_i . out_i);  dQ_i = scale sum_j dS_ij k_j;
  /// dK_j = scale sum_i dS_ij q_i. P, dS, out and the results go through `round`, as where matrix units read them.
  template <class Real, class Round>
  head_gradients<Real> gradients(Real scale, const Round& round) const {
    head_gradients<Real> g;
    for (auto* x : {&g.dq, &g.dk, &g.dv}) x->assign(at_.size() * width_, 0);
    std::vector<Real> p(n_);
    for (std::size_t i = 0; i < n_; ++i) {
      const float *const q = &q_[i * width_], *const up = &dout_[i * width_];
      for (std::size_t j = 0; j < n_; ++j) p[j] = scale * dot<Real>(q, &k_[j * width_]);
      const Real largest = *std::max_element(p.begin(), p.end());
      Real sum = 0, delta = 0;
      for (const Real score : p) sum += std::exp(score - largest);
      std::vector<Real> out(width_);
      for (std::size_t j = 0; j < n_; ++j) {
        const Real probability = round(std::exp(p[j] - largest) / sum);
        for (std::size_t d = 0; d < width_; ++d) out[d] += probability * static_cast<Real>(v_[j * width_ + d]);
      }
      for (std::size_t d = 0; d < width_; ++d) delta += round(out[d]) * static_cast<Real>(up[d]);
      const Real lse = largest + std::log(sum);  // all that a backward pass is told of a row's probabilities
      for (Real& x : p) x = std::exp(x - lse);
      const auto gradient_of_score = [&](std::size_t j) {
        return round(p[j] * (dot<Real>(up, &v_[j * width_]) - delta));
      };
      for (std::size_t a = 0; a < at_.size(); ++a) {
        const std::size_t j = at_[a];
        const Real ds = gradient_of_score(j), probability = round(p[j]);
        for (std::size_t d = 0; d < width_; ++d) {
          g.dk[a * width_ + d] += ds * static_cast<Real>(q[d]);
          g.dv[a * width_ + d] += probability * static_cast<Real>(up[d]);
        }
        if (i != j) continue;
        for (std::size_t key = 0; key < n_; ++key) {
          const Real one = gradient_of_score(key);
          for (std::size_t d = 0; d < width_; ++d)
            g.dq[a * width_ + d] += one * static_cast<Real>(k_[key * width_ + d]);
        }
      }
    }
    for (auto* x : {&g.dq, &g.dk})
      for (Real& value : *x) value = round(scale * value);
    for (Real& value : g.dv) value = round(value);
    return g;
  }

  static void add(comparison& result, const std::vector<T>& ours, const std::vector<double>& wanted,
                  const std::vector<float>& peer) {
    double error = 0, magnitude = 0;
    for (std::size_t e = 0; e < wanted.size(); ++e) {
      error = std::max(error, std::abs(static_cast<double>(peer[e]) - wanted[e]));
      magnitude = std::max(magnitude, std::abs(wanted[e]));
    }
    const double epsilon = std::is_same_v<T, float> ? 0x1p-23 : std::is_same_v<T, f16> ? 0x1p-10 : 0x1p-7;
    for (std::size_t e = 0; e < wanted.size(); ++e)
      result.add(std::abs(to_f64(ours[e]) - wanted[e]), std::max(3 * error, epsilon * magnitude));
  }

  std::size_t n_, width_;
  std::vector<std::size_t> at_;
  std::vector<float> q_, k_, v_, dout_;
  head_gradients<double> wanted_;
  head_gradients<float> peer_;
};

}  // namespace hocket::bench
