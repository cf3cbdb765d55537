// Operations that move elements: reshape, slices, concatenation, gather; and sums over them.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/kernels/embedding/cpu.hpp>
#include <hocket/nn/ops/pointwise.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

namespace detail {

template <Real T>
class reshape_op final : public op<T> {
 public:
  std::string_view name() const override { return "reshape"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    if (p.backward()) d.pass_through = 0;
    d.in_place = 0;
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    if (f.input(0).data() != f.output().data()) std::copy_n(f.input(0).data(), f.output().size(), f.output().data());
  }
  void backward(const frame<T>&) const noexcept override {}
};

/// A block of one matrix and the same block of another: how slices and concatenations move.
template <Real T>
void move_block(const view<const T, 2>& from, const view<T, 2>& to, bool add) noexcept {
  for (std::size_t r = 0; r < to.extent(0); ++r) {
    const T* const in = from.data() + r * from.stride(0);
    T* const out = to.data() + r * to.stride(0);
    for (std::size_t c = 0; c < to.extent(1); ++c) out[c] = add ? out[c] + in[c] : in[c];
  }
}
template <class T>
view<T, 2> block_of(const view<T, 2>& m, std::size_t row, std::size_t column, std::size_t rows, std::size_t columns) {
  return {m.data() + row * m.stride(0) + column, {rows, columns}, m.strides()};
}

/// Output (r, c) is input (row + r, column + c).
template <Real T>
class slice_op final : public op<T> {
 public:
  slice_op(std::size_t row, std::size_t column) : row_(row), column_(column) {}
  std::string_view name() const override { return "slice"; }
  demands plan(const planning<T>&) const override {
    demands d;
    d.adds = bit(0);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const auto y = f.output();
    move_block<T>(block_of(f.input(0), row_, column_, y.extent(0), y.extent(1)), y, false);
  }
  void backward(const frame<T>& f) const noexcept override {
    const auto dx = f.gradient(0);
    const auto dy = f.output_gradient();
    if (f.beta(0) == 0) std::fill_n(dx.data(), dx.size(), T{0});
    move_block<T>(dy, block_of(dx, row_, column_, dy.extent(0), dy.extent(1)), true);
  }

 private:
  std::size_t row_, column_;
};

template <Real T>
class concat_op final : public op<T> {
 public:
  explicit concat_op(bool rows) : rows_(rows) {}
  std::string_view name() const override { return "concat"; }
  demands plan(const planning<T>&) const override {
    demands d;
    d.adds = ~std::uint64_t{0};
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    std::size_t at = 0;
    for (std::size_t k = 0; k < f.inputs(); ++k) {
      const auto x = f.input(k);
      move_block<T>(x, place(f.output(), at, x), false);
      at += x.extent(rows_ ? 0 : 1);
    }
  }
  void backward(const frame<T>& f) const noexcept override {
    std::size_t at = 0;
    for (std::size_t k = 0; k < f.inputs(); ++k) {
      const auto x = f.input(k);
      if (f.wants(k)) move_block<T>(place(f.output_gradient(), at, x), f.gradient(k), f.beta(k) != 0);
      at += x.extent(rows_ ? 0 : 1);
    }
  }

 private:
  view<T, 2> place(const view<T, 2>& y, std::size_t at, const view<const T, 2>& x) const {
    return block_of(y, rows_ ? at : 0, rows_ ? 0 : at, x.extent(0), x.extent(1));
  }
  bool rows_;
};

template <Real T>
class gather_op final : public op<T> {
 public:
  explicit gather_op(index_input rows) : rows_(rows) {}
  std::string_view name() const override { return "gather"; }
  demands plan(const planning<T>&) const override {
    demands d;
    d.adds = bit(0);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const kernels::embedding::lookup<T> one{f.input(0), f.indices(rows_)};
    kernels::embedding::forward<T>(f.device(), {&one, 1}, f.output());
  }
  void backward(const frame<T>& f) const noexcept override {
    const auto dx = f.gradient(0);
    if (f.beta(0) == 0) std::fill_n(dx.data(), dx.size(), T{0});
    kernels::embedding::backward<T>(f.device(), f.output_gradient(), f.indices(rows_), dx);
  }

 private:
  index_input rows_;
};

/// The sum of all elements, in f64 and in order, times 1 or 1 / their number.
template <Real T>
class total_op final : public op<T> {
 public:
  explicit total_op(bool mean) : mean_(mean) {}
  std::string_view name() const override { return mean_ ? "mean" : "sum"; }
  demands plan(const planning<T>&) const override {
    demands d;
    d.adds = bit(0);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    double sum = 0;
    const auto x = f.input(0);
    for (std::size_t i = 0; i < x.size(); ++i) sum += static_cast<double>(x.data()[i]);
    f.output().data()[0] = static_cast<T>(sum / weight(x.size()));
  }
  void backward(const frame<T>& f) const noexcept override {
    const auto dx = f.gradient(0);
    const T slope = static_cast<T>(static_cast<double>(f.output_gradient().data()[0]) / weight(dx.size()));
    const bool add = f.beta(0) != 0;
    for (std::size_t i = 0; i < dx.size(); ++i) dx.data()[i] = add ? dx.data()[i] + slope : slope;
  }

 private:
  double weight(std::size_t n) const { return mean_ ? static_cast<double>(n) : 1.0; }
  bool mean_;
};

/// (rows, 1): the sum of each row.
template <Real T>
class row_sum_op final : public op<T> {
 public:
  std::string_view name() const override { return "row_sums"; }
  demands plan(const planning<T>&) const override {
    demands d;
    d.adds = bit(0);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    const auto x = f.input(0);
    for (std::size_t r = 0; r < x.extent(0); ++r) {
      double sum = 0;
      for (const T v : x[r]) sum += static_cast<double>(v);
      f.output().data()[r] = static_cast<T>(sum);
    }
  }
  void backward(const frame<T>& f) const noexcept override {
    const auto dx = f.gradient(0);
    const bool add = f.beta(0) != 0;
    for (std::size_t r = 0; r < dx.extent(0); ++r)
      for (T& d : dx[r]) d = add ? d + f.output_gradient().data()[r] : f.output_gradient().data()[r];
  }
};

/// a b, or a b' where `turned`; b has a fixed number of rows.
template <Real T>
class matmul_op final : public op<T> {
 public:
  explicit matmul_op(bool turned) : turned_(turned) {}
  std::string_view name() const override { return "matmul"; }
  demands plan(const planning<T>& p) const override {
    demands d;
    d.reads_inputs = (p.wants(0) ? bit(1) : 0) | (p.wants(1) ? bit(0) : 0);
    d.adds = bit(0) | bit(1);
    return d;
  }
  void forward(const frame<T>& f) const noexcept override {
    f.products().run(T{1}, f.input(0), no, f.input(1), turned_ ? yes : no, T{0}, f.output());
  }
  void backward(const frame<T>& f) const noexcept override {
    const view<const T, 2> dy = f.output_gradient();
    if (f.wants(0)) f.products().run(T{1}, dy, no, f.input(1), turned_ ? no : yes, f.beta(0), f.gradient(0));
    if (!f.wants(1)) return;
    if (turned_)
      f.products().run(T{1}, dy, yes, f.input(0), no, f.beta(1), f.gradient(1));
    else
      f.products().run(T{1}, f.input(0), yes, dy, no, f.beta(1), f.gradient(1));
  }

 private:
  static constexpr auto no = linalg::transpose::no, yes = linalg::transpose::yes;
  bool turned_;
};

}  // namespace detail

/// The same elements in rows of `columns`.
template <Real T>
value reshape(tape<T>& t, value x, std::size_t columns) {
  extent rows = t.rows(x);
  const std::size_t all = rows.factor * t.columns(x);
  expects(columns >= 1 && all % columns == 0, errc::unsupported_shape, "reshape: ", t.describe(x),
          " cannot have rows of ", columns);
  rows.factor = all / columns;
  return t.record(std::make_unique<detail::reshape_op<T>>(), {x}, rows, columns);
}
template <Real T>
value slice_columns(tape<T>& t, value x, std::size_t first, std::size_t count) {
  expects(first + count <= t.columns(x), errc::unsupported_shape, "slice_columns: ", first, " + ", count,
          " columns of ", t.describe(x));
  return t.record(std::make_unique<detail::slice_op<T>>(0, first), {x}, t.rows(x), count);
}
/// Of a matrix with a fixed number of rows.
template <Real T>
value slice_rows(tape<T>& t, value x, std::size_t first, std::size_t count) {
  expects(t.rows(x).dimension == 0 && first + count <= t.rows(x).factor, errc::unsupported_shape, "slice_rows: ", first,
          " + ", count, " rows of ", t.describe(x));
  return t.record(std::make_unique<detail::slice_op<T>>(first, 0), {x}, extent(count), t.columns(x));
}
/// Side by side.
template <Real T>
value concat_columns(tape<T>& t, const std::vector<value>& parts) {
  expects(!parts.empty(), errc::unsupported_shape, "concat_columns: there are no parts");
  std::size_t columns = 0;
  for (const value v : parts) {
    expects(t.rows(v) == t.rows(parts[0]), errc::unsupported_shape, "concat_columns: ", t.describe(parts[0]), " and ",
            t.describe(v), " differ in rows");
    columns += t.columns(v);
  }
  return t.record(std::make_unique<detail::concat_op<T>>(false), parts, t.rows(parts[0]), columns);
}
/// One below the other; all rows fixed, or multiples of one dimension.
template <Real T>
value concat_rows(tape<T>& t, const std::vector<value>& parts) {
  expects(!parts.empty(), errc::unsupported_shape, "concat_rows: there are no parts");
  extent rows = t.rows(parts[0]);
  rows.factor = 0;
  for (const value v : parts) {
    expects(t.columns(v) == t.columns(parts[0]) && t.rows(v).dimension == rows.dimension, errc::unsupported_shape,
            "concat_rows: ", t.describe(parts[0]), " and ", t.describe(v), " do not fit");
    rows.factor += t.rows(v).factor;
  }
  return t.record(std::make_unique<detail::concat_op<T>>(true), parts, rows, t.columns(parts[0]));
}
/// Row r is row ids[r] of x, which has a fixed number of rows >= the ids' bound.
template <Real T>
value gather(tape<T>& t, value x, index_input ids) {
  expects(t.rows(x).dimension == 0 && t.bound(ids) <= t.rows(x).factor, errc::unsupported_shape,
          "gather: indices below ", t.bound(ids), " would read past ", t.describe(x));
  return t.record(std::make_unique<detail::gather_op<T>>(ids), {x}, t.rows(ids), t.columns(x));
}
/// One number.
template <Real T>
value sum(tape<T>& t, value x) {
  return t.record(std::make_unique<detail::total_op<T>>(false), {x}, extent(1), 1);
}
template <Real T>
value mean(tape<T>& t, value x) {
  return t.record(std::make_unique<detail::total_op<T>>(true), {x}, extent(1), 1);
}
/// (rows, 1).
template <Real T>
value row_sums(tape<T>& t, value x) {
  return t.record(std::make_unique<detail::row_sum_op<T>>(), {x}, t.rows(x), 1);
}
/// a b, or a b' with `turned`; b has a fixed number of rows.
template <Real T>
value matmul(tape<T>& t, value a, value b, bool turned = false) {
  const extent k = t.rows(b);
  const std::size_t inner = turned ? t.columns(b) : k.factor, columns = turned ? k.factor : t.columns(b);
  expects(k.dimension == 0 && t.columns(a) == inner, errc::unsupported_shape, "matmul: ", t.describe(a), " and ",
          t.describe(b), turned ? " turned" : "", " do not fit; the second one's rows must be fixed");
  return t.record(std::make_unique<detail::matmul_op<T>>(turned), {a, b}, t.rows(a), columns);
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE value reshape<float>(tape<float>&, value, std::size_t);
HOCKET_NN_INSTANCE value reshape<double>(tape<double>&, value, std::size_t);
HOCKET_NN_INSTANCE value slice_columns<float>(tape<float>&, value, std::size_t, std::size_t);
HOCKET_NN_INSTANCE value slice_columns<double>(tape<double>&, value, std::size_t, std::size_t);
HOCKET_NN_INSTANCE value slice_rows<float>(tape<float>&, value, std::size_t, std::size_t);
HOCKET_NN_INSTANCE value slice_rows<double>(tape<double>&, value, std::size_t, std::size_t);
HOCKET_NN_INSTANCE value concat_columns<float>(tape<float>&, const std::vector<value>&);
HOCKET_NN_INSTANCE value concat_columns<double>(tape<double>&, const std::vector<value>&);
HOCKET_NN_INSTANCE value concat_rows<float>(tape<float>&, const std::vector<value>&);
HOCKET_NN_INSTANCE value concat_rows<double>(tape<double>&, const std::vector<value>&);
HOCKET_NN_INSTANCE value gather<float>(tape<float>&, value, index_input);
HOCKET_NN_INSTANCE value gather<double>(tape<double>&, value, index_input);
HOCKET_NN_INSTANCE value sum<float>(tape<float>&, value);
HOCKET_NN_INSTANCE value sum<double>(tape<double>&, value);
HOCKET_NN_INSTANCE value mean<float>(tape<float>&, value);
HOCKET_NN_INSTANCE value mean<double>(tape<double>&, value);
HOCKET_NN_INSTANCE value row_sums<float>(tape<float>&, value);
HOCKET_NN_INSTANCE value row_sums<double>(tape<double>&, value);
HOCKET_NN_INSTANCE value matmul<float>(tape<float>&, value, value, bool);
HOCKET_NN_INSTANCE value matmul<double>(tape<double>&, value, value, bool);
}  // namespace hocket::nn
#endif
