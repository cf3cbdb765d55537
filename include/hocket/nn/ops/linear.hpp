// y = residual + keep(act(x W' + b)): a product with everything that follows it done on each block while it is in
// cache. Several weights may share one x (query, key and value of attention): their outputs lie side by side, x is read
// once, and its gradient is summed in one place. Low-rank terms scale u B' join a weight's output in the same blocks.
#pragma once

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include <hocket/nn/ops/linear_op.hpp>

namespace hocket::nn {

/// scale u b', added before bias and activation in the rows of its choice: u has the rows of x, of its columns those
/// from `column` on are read; b is (out, rank).
struct linear_addend {
  value u, b;
  double scale = 1;
  std::size_t column = 0;
  row_choice rows = {};
};
/// weight (out, in) as PyTorch keeps it; bias (1, out), or none.
struct linear_weights {
  value weight;
  value bias = {};
  std::vector<linear_addend> addends = {};
};

constexpr bool present(value v) { return v.tape != 0; }

/// x (rows, in) -> (rows, sum of the weights' out).
template <Real T>
value linear(tape<T>& t, value x, const std::vector<linear_weights>& weights, const linear_options& options = {}) {
  expects(!weights.empty(), errc::unsupported_shape, "linear: there are no weights");
  expects(options.products == precision::native || std::is_same_v<T, float>, errc::bad_option,
          "linear: a tape of f64 computes products in f64, not in ", hocket::name_of(options.products));
  expects(options.products != precision::split, errc::bad_option,
          "linear: products are native, bf16 or int8; split is ", "how native ones are computed where that is faster");
  expects(t.kept_in(x) == storage::native || options.products != precision::native, errc::bad_option,
          "linear: x is kept in bf16; products are to be in ", hocket::name_of(options.products));
  bool moves = t.moves(x);
  std::vector<value> inputs{x};
  std::vector<detail::linear_group> groups;
  std::vector<detail::linear_term> terms;
  std::size_t columns = 0;
  for (const auto& w : weights) {
    const extent out = t.rows(w.weight);
    expects(out.dimension == 0 && t.columns(w.weight) == t.columns(x), errc::unsupported_shape, "linear: x is ",
            t.describe(x), ", the weight ", t.describe(w.weight), "; their columns must be equal");
    expects(!present(w.bias) || (t.rows(w.bias) == extent(1) && t.columns(w.bias) == out.factor),
            errc::unsupported_shape, "linear: the weight is ", t.describe(w.weight), ", so its bias must be 1 x ",
            out.factor);
    detail::linear_group g{inputs.size(), no_input, columns, out.factor};
    inputs.push_back(w.weight);
    if (present(w.bias)) {
      g.bias = inputs.size();
      inputs.push_back(w.bias);
    }
    moves = moves || t.moves(w.weight) || (present(w.bias) && t.moves(w.bias));
    for (const auto& a : w.addends) moves = moves || t.moves(a.u) || t.moves(a.b);
    groups.push_back(g);
    columns += out.factor;
  }
  expects(options.products != precision::int8 || !moves, errc::bad_option,
          "linear: products in int8 have no gradients; train in f32 or bf16");
  for (std::size_t g = 0; g < weights.size(); ++g)
    for (const auto& a : weights[g].addends) {
      const extent out = t.rows(a.b);
      const std::size_t rank = t.columns(a.b);
      expects(out == t.rows(weights[g].weight) && rank >= 1 && t.rows(a.u) == t.rows(x) &&
                  a.column + rank <= t.columns(a.u),
              errc::unsupported_shape, "linear: x is ", t.describe(x), ", the weight ", t.describe(weights[g].weight),
              "; columns of ", t.describe(a.u), " from ", a.column, " on and b, ", t.describe(a.b), ", do not fit");
      detail::require_choice(t, "linear", a.rows, t.rows(x));
      std::size_t u = inputs.size();
      for (const auto& other : terms)
        if (inputs[other.u].index == a.u.index) u = other.u;
      if (u == inputs.size()) inputs.push_back(a.u);
      terms.push_back({g, u, inputs.size(), a.column, rank, t.columns(a.u), a.scale, a.rows});
      inputs.push_back(a.b);
    }
  std::size_t residual = no_input;
  if (present(options.residual)) {
    expects(options.kept_in == storage::native, errc::bad_option,
            "linear: a sum with a residual is kept in the tape's own type, not in bf16");
    expects(t.rows(options.residual) == t.rows(x) && t.columns(options.residual) == columns, errc::unsupported_shape,
            "linear: the output is ", t.describe(t.rows(x)), " x ", columns, ", the residual ",
            t.describe(options.residual));
    residual = inputs.size();
    inputs.push_back(options.residual);
  }
  auto what = std::make_unique<detail::linear_op<T>>(std::move(groups), std::move(terms), residual, t.columns(x),
                                                     t.rows(x), options);
  return t.record(std::move(what), std::move(inputs), t.rows(x), columns, options.kept_in);
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE value linear<float>(tape<float>&, value, const std::vector<linear_weights>&, const linear_options&);
HOCKET_NN_INSTANCE value linear<double>(tape<double>&, value, const std::vector<linear_weights>&,
                                        const linear_options&);
}  // namespace hocket::nn
#endif
