// Operations on elements and rows: activation, dropout, sums, products, softmax, rows of length 1.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <hocket/core/parallel.hpp>
#include <hocket/kernels/epilogue/cpu.hpp>
#include <hocket/kernels/softmax/cpu.hpp>
#include <hocket/kernels/unit_rows/cpu.hpp>
#include <hocket/nn/ops/linear.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

namespace detail {

/// body(first, last) over runs of elements of a fixed size.
template <class Body>
void for_each_run(const cpu& device, std::size_t size, Body&& body) noexcept {
  constexpr std::size_t run = 8192;
  for_each_tile(device, (size + run - 1) / run,
                [&](std::size_t tile, std::size_t) { body(tile * run, std::min(size, (tile + 1) * run)); });
}

template <Real T>
class activation_op final : public op<T> {
 public:
  activation_op(activation act, double dropout, const extent& rows) : act_(act), dropout_(dropout), rows_(rows) {
    kernels::epilogue::make_dropout(dropout, 0, 0);  // checks the probability
  }
  std::string_view name() const override { return act_ == activation::none ? "dropout" : hocket::name_of(act_); }
  demands plan(const planning<T>& p) const override {
    demands d;
    if (p.backward() && act_ != activation::none) d.reads_inputs = bit(0);
    d.in_place = 0;
    d.forward_by_rows = d.backward_by_rows = true;
    d.over = rows_;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const std::size_t columns = f.columns(0);
    kernels::epilogue::forward_rows<T>(act_, mask(f),
                                       {f.block().rows, columns, f.block().first, f.input_rows(0), columns, nullptr,
                                        nullptr, 0, nullptr, 0, f.output_rows(), columns});
  }
  void backward(const frame<T>& f) const noexcept override {
    const std::size_t columns = f.columns(0);
    const T* const u = act_ == activation::none ? nullptr : f.input_rows(0);
    kernels::epilogue::backward_rows<T>(act_, mask(f),
                                        {f.block().rows, columns, f.block().first, f.output_gradient_rows(), columns, u,
                                         columns, f.gradient_rows(0), columns, nullptr});
  }

 private:
  kernels::epilogue::dropout mask(const frame<T>& f) const {
    if (dropout_ == 0 || !f.training()) return {};
    return kernels::epilogue::make_dropout(dropout_, f.seed(), f.stream(0));
  }
  activation act_;
  double dropout_;
  extent rows_;
};

/// bf16 to f32; the gradient goes back rounded to bf16.
class widen_op final : public op<float> {
 public:
  explicit widen_op(const extent& rows) : rows_(rows) {}
  std::string_view name() const override { return "widened"; }
  bool takes_bf16(std::size_t) const override { return true; }
  demands plan(const planning<float>&) const override {
    demands d;
    d.forward_by_rows = d.backward_by_rows = true;
    d.over = rows_;
    return d;
  }
  void forward(const frame<float>& f) const noexcept override {
    const std::size_t columns = f.columns(0);
    kernels::epilogue::widen_rows(f.block().rows, columns, f.input_rows<bf16>(0), columns, f.output_rows(), columns);
  }
  void backward(const frame<float>& f) const noexcept override {
    const std::size_t columns = f.columns(0);
    kernels::epilogue::forward_rows<float, bf16>(activation::none, {},
                                                 {f.block().rows, columns, 0, f.output_gradient_rows(), columns,
                                                  nullptr, nullptr, 0, nullptr, 0, f.gradient_rows<bf16>(0), columns});
  }

 private:
  extent rows_;
};

/// a + b.
template <Real T>
class sum_op final : public op<T> {
 public:
  std::string_view name() const override { return "add"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    d.adds = bit(0) | bit(1);
    d.pass_through = p.wants(0) ? 0 : 1;
    if (!p.backward()) d.pass_through = no_input;
    d.in_place = 0;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    kernels::epilogue::forward<T>(f.device(), f.input(0), {}, f.input(1), f.output());
  }
  void backward(const frame<T>& f) const noexcept override {
    if (!f.wants(1)) return;  // the other one passes through
    const view<const T, 2> before = f.beta(1) != 0 ? view<const T, 2>(f.gradient(1)) : view<const T, 2>{};
    kernels::epilogue::forward<T>(f.device(), f.output_gradient(), {}, before, f.gradient(1));
  }
};

/// scale x + shift.
template <Real T>
class affine_op final : public op<T> {
 public:
  affine_op(T scale, T shift) : scale_(scale), shift_(shift) {}
  std::string_view name() const override { return "scale"; }
  demands plan(const planning<T>&) const override {
    demands d;
    d.adds = bit(0);
    d.in_place = 0;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const T* const x = f.input(0).data();
    T* const y = f.output().data();
    for_each_run(f.device(), f.output().size(), [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) y[i] = scale_ * x[i] + shift_;
    });
  }
  void backward(const frame<T>& f) const noexcept override {
    const T* const dy = f.output_gradient().data();
    T* const dx = f.gradient(0).data();
    const bool add = f.beta(0) != 0;
    for_each_run(f.device(), f.output().size(), [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) dx[i] = add ? dx[i] + scale_ * dy[i] : scale_ * dy[i];
    });
  }

 private:
  T scale_, shift_;
};

/// a b, element by element.
template <Real T>
class product_op final : public op<T> {
 public:
  std::string_view name() const override { return "multiply"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    d.reads_inputs = (p.wants(0) ? bit(1) : 0) | (p.wants(1) ? bit(0) : 0);
    d.adds = bit(0) | bit(1);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const T *const a = f.input(0).data(), *const b = f.input(1).data();
    T* const y = f.output().data();
    for_each_run(f.device(), f.output().size(), [&](std::size_t first, std::size_t last) {
      for (std::size_t i = first; i < last; ++i) y[i] = a[i] * b[i];
    });
  }
  void backward(const frame<T>& f) const noexcept override {
    const T* const dy = f.output_gradient().data();
    for (std::size_t k = 0; k < 2; ++k) {
      if (!f.wants(k)) continue;
      const T* const other = f.input(1 - k).data();
      T* const d = f.gradient(k).data();
      const bool add = f.beta(k) != 0;
      for_each_run(f.device(), f.output().size(), [&](std::size_t first, std::size_t last) {
        for (std::size_t i = first; i < last; ++i) d[i] = add ? d[i] + dy[i] * other[i] : dy[i] * other[i];
      });
    }
  }
};

template <Real T>
class softmax_op final : public op<T> {
 public:
  std::string_view name() const override { return "softmax"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    d.reads_output = p.backward();
    d.in_place = 0;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    kernels::softmax::forward<T>(f.input(0), f.output(), f.device());
  }
  void backward(const frame<T>& f) const noexcept override {
    kernels::softmax::backward<T>(f.output(), f.output_gradient(), f.gradient(0), f.device());
  }
};

template <Real T>
class unit_rows_op final : public op<T> {
 public:
  unit_rows_op(extent rows, T least) : rows_(rows), least_(least) {}
  std::string_view name() const override { return "unit_rows"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    d.reads_output = p.backward();
    d.adds = bit(0);
    d.kept = {{rows_, 1}};
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    kernels::unit_rows::forward<T>(f.device(), f.input(0), least_, f.output(), lengths(f));
  }
  void backward(const frame<T>& f) const noexcept override {
    kernels::unit_rows::backward<T>(f.device(), f.output(), lengths(f), least_, f.output_gradient(), f.beta(0) != 0,
                                    f.gradient(0));
  }

 private:
  view<T, 1> lengths(const frame<T>& f) const { return {f.kept(0).data(), {f.output().extent(0)}}; }
  extent rows_;
  T least_;
};

template <Real T>
void require_same(tape<T>& t, std::string_view what, value a, value b) {
  expects(t.rows(a) == t.rows(b) && t.columns(a) == t.columns(b), errc::unsupported_shape, what, ": ", t.describe(a),
          " and ", t.describe(b), " differ in shape");
}

}  // namespace detail

template <Real T>
value activated(tape<T>& t, value x, activation act) {
  return t.record(std::make_unique<detail::activation_op<T>>(act, 0, t.rows(x)), {x}, t.rows(x), t.columns(x));
}
/// Elements are 0 with probability p, others scaled by 1 / (1 - p); off while training(false).
template <Real T>
value dropout(tape<T>& t, value x, double p) {
  return t.record(std::make_unique<detail::activation_op<T>>(activation::none, p, t.rows(x)), {x}, t.rows(x),
                  t.columns(x));
}
/// What is kept in bf16, in f32; anything else is itself.
template <Real T>
value widened(tape<T>& t, value x) {
  if constexpr (std::is_same_v<T, float>)
    if (t.kept_in(x) == storage::bf16)
      return t.record(std::make_unique<detail::widen_op>(t.rows(x)), {x}, t.rows(x), t.columns(x));
  return x;
}
template <Real T>
value add(tape<T>& t, value a, value b) {
  detail::require_same(t, "add", a, b);
  return t.record(std::make_unique<detail::sum_op<T>>(), {a, b}, t.rows(a), t.columns(a));
}
/// scale x + shift.
template <Real T>
value scaled(tape<T>& t, value x, T scale, T shift = 0) {
  return t.record(std::make_unique<detail::affine_op<T>>(scale, shift), {x}, t.rows(x), t.columns(x));
}
template <Real T>
value multiply(tape<T>& t, value a, value b) {
  detail::require_same(t, "multiply", a, b);
  return t.record(std::make_unique<detail::product_op<T>>(), {a, b}, t.rows(a), t.columns(a));
}
/// Over the columns.
template <Real T>
value softmax(tape<T>& t, value x) {
  return t.record(std::make_unique<detail::softmax_op<T>>(), {x}, t.rows(x), t.columns(x));
}
/// Rows divided by their length, or by `least` where that is larger.
template <Real T>
value unit_rows(tape<T>& t, value x, double least = 1e-12) {
  expects(least > 0, errc::bad_option, "unit_rows: the least length is ", least, "; it must be positive");
  return t.record(std::make_unique<detail::unit_rows_op<T>>(t.rows(x), static_cast<T>(least)), {x}, t.rows(x),
                  t.columns(x));
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE value activated<float>(tape<float>&, value, activation);
HOCKET_NN_INSTANCE value activated<double>(tape<double>&, value, activation);
HOCKET_NN_INSTANCE value dropout<float>(tape<float>&, value, double);
HOCKET_NN_INSTANCE value dropout<double>(tape<double>&, value, double);
HOCKET_NN_INSTANCE value add<float>(tape<float>&, value, value);
HOCKET_NN_INSTANCE value add<double>(tape<double>&, value, value);
HOCKET_NN_INSTANCE value scaled<float>(tape<float>&, value, float, float);
HOCKET_NN_INSTANCE value scaled<double>(tape<double>&, value, double, double);
HOCKET_NN_INSTANCE value multiply<float>(tape<float>&, value, value);
HOCKET_NN_INSTANCE value multiply<double>(tape<double>&, value, value);
HOCKET_NN_INSTANCE value softmax<float>(tape<float>&, value);
HOCKET_NN_INSTANCE value softmax<double>(tape<double>&, value);
HOCKET_NN_INSTANCE value unit_rows<float>(tape<float>&, value, double);
HOCKET_NN_INSTANCE value unit_rows<double>(tape<double>&, value, double);
}  // namespace hocket::nn
#endif
