// Losses: means over the rows (or elements) of a batch, one number each.
#pragma once

#include <algorithm>
#include <memory>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/kernels/cross_entropy/cpu.hpp>
#include <hocket/kernels/pointwise_loss/cpu.hpp>
#include <hocket/nn/ops/arrange.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

namespace detail {

/// Mean over rows; with `labels` absent the targets are input 1.
template <Real T>
class cross_entropy_op final : public op<T> {
 public:
  cross_entropy_op(extent rows, index_input labels, bool soft, T smoothing)
      : rows_(rows), labels_(labels), soft_(soft), smoothing_(smoothing) {}
  std::string_view name() const override { return "cross_entropy"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    d.adds = bit(0);
    d.kept = {{rows_, 2}};
    if (p.backward()) d.reads_inputs = bit(0) | (soft_ ? bit(1) : 0);
    d.forward_scratch = p.most(rows_);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const std::size_t rows = f.input(0).extent(0);
    const view<T, 1> loss{f.forward_scratch(), {rows}};
    kernels::cross_entropy::forward<T>(f.device(), f.input(0), targets(f), loss, f.kept(0));
    double total = 0;
    for (std::size_t r = 0; r < rows; ++r) total += static_cast<double>(loss[r]);
    f.output().data()[0] = static_cast<T>(total / static_cast<double>(rows));
  }
  void backward(const frame<T>& f) const noexcept override {
    if (!f.wants(0)) return;
    const std::size_t rows = f.input(0).extent(0);
    const T scale = static_cast<T>(static_cast<double>(f.output_gradient().data()[0]) / static_cast<double>(rows));
    kernels::cross_entropy::backward<T>(f.device(), f.input(0), targets(f), f.kept(0), scale, f.beta(0) != 0,
                                        f.gradient(0));
  }

 private:
  kernels::cross_entropy::targets<T> targets(const frame<T>& f) const {
    if (soft_) return {{}, f.input(1), T{0}};
    return {f.indices(labels_), {}, smoothing_};
  }
  extent rows_;
  index_input labels_;
  bool soft_;
  T smoothing_;
};

/// Mean over elements of squares or logistic losses.
template <Real T>
class pointwise_loss_op final : public op<T> {
 public:
  explicit pointwise_loss_op(kernels::pointwise_loss::loss kind) : kind_(kind) {}
  std::string_view name() const override { return hocket::name_of(kind_); }
  demands plan(const planning<T>& p) const override {
    demands d;
    d.adds = bit(0) | bit(1);
    if (p.backward()) d.reads_inputs = bit(0) | bit(1);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const double sum = kernels::pointwise_loss::forward<T>(kind_, f.input(0), f.input(1));
    f.output().data()[0] = static_cast<T>(sum / static_cast<double>(f.input(0).size()));
  }
  void backward(const frame<T>& f) const noexcept override {
    const T scale =
        static_cast<T>(static_cast<double>(f.output_gradient().data()[0]) / static_cast<double>(f.input(0).size()));
    for (std::size_t k = 0; k < 2; ++k)
      if (f.wants(k))
        kernels::pointwise_loss::backward<T>(kind_, f.input(0), f.input(1), scale, k == 1, f.beta(k) != 0,
                                             f.gradient(k));
  }

 private:
  kernels::pointwise_loss::loss kind_;
};

/// Cross entropy of a b' / temperature with the diagonal as labels, for rows of length 1; the square matrix of scores
/// has as many columns as the batch has rows.
template <Real T>
class info_nce_op final : public op<T> {
 public:
  info_nce_op(extent rows, std::size_t most, T temperature)
      : rows_(rows), most_(most), by_(T{1} / temperature), diagonal_(most) {
    std::iota(diagonal_.begin(), diagonal_.end(), std::uint32_t{0});
  }
  std::string_view name() const override { return "info_nce"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    d.adds = bit(0) | bit(1);
    if (p.backward()) d.reads_inputs = bit(0) | bit(1);
    d.kept = {{rows_, most_}, {rows_, 2}};
    d.forward_scratch = most_;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const std::size_t n = f.input(0).extent(0);
    const view<T, 2> scores{f.kept(0).data(), {n, n}};
    f.products().run(by_, f.input(0), linalg::transpose::no, f.input(1), linalg::transpose::yes, T{0}, scores);
    const view<T, 1> loss{f.forward_scratch(), {n}};
    kernels::cross_entropy::forward<T>(f.device(), scores, targets(n), loss, f.kept(1));
    double total = 0;
    for (std::size_t r = 0; r < n; ++r) total += static_cast<double>(loss[r]);
    f.output().data()[0] = static_cast<T>(total / static_cast<double>(n));
  }
  void backward(const frame<T>& f) const noexcept override {
    const std::size_t n = f.input(0).extent(0);
    const view<T, 2> scores{f.kept(0).data(), {n, n}};
    const T scale = static_cast<T>(static_cast<double>(f.output_gradient().data()[0]) / static_cast<double>(n));
    kernels::cross_entropy::backward<T>(f.device(), scores, targets(n), f.kept(1), scale, false, scores);
    const view<const T, 2> slopes = scores;
    if (f.wants(0))
      f.products().run(by_, slopes, linalg::transpose::no, f.input(1), linalg::transpose::no, f.beta(0), f.gradient(0));
    if (f.wants(1))
      f.products().run(by_, slopes, linalg::transpose::yes, f.input(0), linalg::transpose::no, f.beta(1),
                       f.gradient(1));
  }

 private:
  kernels::cross_entropy::targets<T> targets(std::size_t n) const { return {{diagonal_.data(), n}, {}, T{0}}; }
  extent rows_;
  std::size_t most_;
  T by_;
  std::vector<std::uint32_t> diagonal_;
};

}  // namespace detail

/// Mean over rows of -ln softmax(logits)[label], with the label's weight smoothed over all classes.
template <Real T>
value cross_entropy(tape<T>& t, value logits, index_input labels, double smoothing = 0) {
  expects(t.rows(labels) == t.rows(logits) && t.bound(labels) <= t.columns(logits), errc::unsupported_shape,
          "cross_entropy: logits ", t.describe(logits), " and labels of ", t.describe(t.rows(labels)), " rows below ",
          t.bound(labels), " do not fit");
  expects(smoothing >= 0 && smoothing <= 1, errc::bad_option, "cross_entropy: smoothing of ", smoothing,
          "; it must be between 0 and 1");
  return t.record(
      std::make_unique<detail::cross_entropy_op<T>>(t.rows(logits), labels, false, static_cast<T>(smoothing)), {logits},
      extent(1), 1);
}
/// The same with a distribution for each row as its target, which has no gradient.
template <Real T>
value cross_entropy(tape<T>& t, value logits, value targets) {
  detail::require_same(t, "cross_entropy", logits, targets);
  expects(!t.moves(targets), errc::bad_option, "cross_entropy: the targets, ", t.describe(targets),
          ", depend on something trainable; they are constants here");
  return t.record(std::make_unique<detail::cross_entropy_op<T>>(t.rows(logits), index_input{}, true, T{0}),
                  {logits, targets}, extent(1), 1);
}
/// Mean over elements of (x - target)^2.
template <Real T>
value mse(tape<T>& t, value x, value target) {
  detail::require_same(t, "mse", x, target);
  return t.record(std::make_unique<detail::pointwise_loss_op<T>>(kernels::pointwise_loss::loss::squared), {x, target},
                  extent(1), 1);
}
/// Mean over elements of the cross entropy of two classes, of logits x and probabilities `target`.
template <Real T>
value binary_cross_entropy(tape<T>& t, value x, value target) {
  detail::require_same(t, "binary_cross_entropy", x, target);
  return t.record(std::make_unique<detail::pointwise_loss_op<T>>(kernels::pointwise_loss::loss::logistic), {x, target},
                  extent(1), 1);
}
/// (rows, 1): cosines of the angles between the rows of a and b.
template <Real T>
value cosine_similarity(tape<T>& t, value a, value b) {
  return row_sums(t, multiply(t, unit_rows(t, a), unit_rows(t, b)));
}
/// Mean over rows of 1 - cosine.
template <Real T>
value cosine_loss(tape<T>& t, value a, value b) {
  return scaled(t, mean(t, cosine_similarity(t, a, b)), T{-1}, T{1});
}
/// van den Oord et al., "Representation learning with contrastive predictive coding", 2018: row i of a belongs to row i
/// of b, all other rows of b are its negatives; scores are cosines / temperature.
template <Real T>
value info_nce(tape<T>& t, value a, value b, double temperature) {
  detail::require_same(t, "info_nce", a, b);
  expects(temperature > 0, errc::bad_option, "info_nce: temperature is ", temperature, "; it must be positive");
  const extent rows = t.rows(a);
  const value left = unit_rows(t, a), right = unit_rows(t, b);
  return t.record(std::make_unique<detail::info_nce_op<T>>(rows, t.most(rows), static_cast<T>(temperature)),
                  {left, right}, extent(1), 1);
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE value cross_entropy<float>(tape<float>&, value, index_input, double);
HOCKET_NN_INSTANCE value cross_entropy<double>(tape<double>&, value, index_input, double);
HOCKET_NN_INSTANCE value cross_entropy<float>(tape<float>&, value, value);
HOCKET_NN_INSTANCE value cross_entropy<double>(tape<double>&, value, value);
HOCKET_NN_INSTANCE value mse<float>(tape<float>&, value, value);
HOCKET_NN_INSTANCE value mse<double>(tape<double>&, value, value);
HOCKET_NN_INSTANCE value binary_cross_entropy<float>(tape<float>&, value, value);
HOCKET_NN_INSTANCE value binary_cross_entropy<double>(tape<double>&, value, value);
HOCKET_NN_INSTANCE value cosine_similarity<float>(tape<float>&, value, value);
HOCKET_NN_INSTANCE value cosine_similarity<double>(tape<double>&, value, value);
HOCKET_NN_INSTANCE value cosine_loss<float>(tape<float>&, value, value);
HOCKET_NN_INSTANCE value cosine_loss<double>(tape<double>&, value, value);
HOCKET_NN_INSTANCE value info_nce<float>(tape<float>&, value, value, double);
HOCKET_NN_INSTANCE value info_nce<double>(tape<double>&, value, value, double);
}  // namespace hocket::nn
#endif
