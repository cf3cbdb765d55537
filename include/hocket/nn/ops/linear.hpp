// y = residual + keep(act(x W' + b)): a product with everything that follows it done on each tile while it is in cache.
// Several weights may share one x (query, key and value of attention): their outputs lie side by side, x is read once,
// and its gradient is summed in one place.
#pragma once

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <hocket/kernels/epilogue/cpu.hpp>
#include <hocket/nn/tape.hpp>

namespace hocket::nn {

using kernels::epilogue::activation;

/// weight (out, in) as PyTorch keeps it; bias (1, out), or none.
struct linear_weights {
  value weight;
  value bias = {};
};
struct linear_options {
  activation act = activation::none;
  double dropout = 0;   ///< probability, after the activation
  value residual = {};  ///< of the output's shape, added last
};

constexpr bool present(value v) { return v.tape != 0; }

namespace detail {

/// Columns [first, first + count) of one weight's output.
struct output_chunk {
  std::size_t group, first, count;
};
struct linear_group {
  std::size_t weight, bias, first, count;  ///< inputs; first: column of the output
};

template <Real T>
class linear_op final : public op<T> {
 public:
  linear_op(std::vector<linear_group> groups, std::size_t residual, std::size_t columns, const linear_options& options)
      : groups_(std::move(groups)), residual_(residual), columns_(columns), options_(options) {
    for (std::size_t g = 0; g < groups_.size(); ++g)
      for (std::size_t first = 0; first < groups_[g].count; first += wide_)
        chunks_.push_back({g, first, std::min(wide_, groups_[g].count - first)});
    expects(options.dropout == 0 || chunks_.size() <= 16, errc::unsupported_shape, "linear: dropout of ", columns,
            " columns; at most ", 16 * wide_, " are supported");
    kernels::epilogue::make_dropout(options.dropout, 0, 0);  // checks the probability
  }

  std::string_view name() const override { return "linear"; }

  demands plan(const planning<T>& p) const override {
    demands d;
    bool weights = false, biases = false;
    d.adds = bit(0);
    for (const auto& g : groups_) {
      d.adds |= bit(g.weight);
      if (p.wants(0)) d.reads_inputs |= bit(g.weight);
      weights = weights || p.wants(g.weight);
      if (g.bias == no_input) continue;
      d.adds |= bit(g.bias);
      biases = biases || p.wants(g.bias);
    }
    if (weights) d.reads_inputs |= bit(0);
    if (residual_ != no_input && p.wants(residual_)) d.pass_through = residual_;
    const std::size_t rows = p.most(rows_);
    if ((weights || biases || p.wants(0)) && options_.act != activation::none) d.kept.push_back({rows_, columns_});
    if (p.backward())
      d.backward_scratch = kernels::epilogue::workspace_size(rows, columns_) +
                           (d.pass_through != no_input && changes() ? rows * columns_ : 0);
    return d;
  }

  void forward(const frame<T>& f) const noexcept override {
    const auto x = f.input(0);
    const auto y = f.output();
    const view<T, 2> u = f.keeps(0) ? f.kept(0) : y;
    const view<const T, 2> residual = residual_ != no_input ? f.input(residual_) : view<const T, 2>{};
    const std::size_t rows = x.extent(0), in = x.extent(1), down = (rows + tall_ - 1) / tall_;
    for_each_tile(
        f.device(), down * chunks_.size(),
        [&](std::size_t tile, std::size_t worker) {
          const std::size_t first = tile / chunks_.size() * tall_, c = tile % chunks_.size();
          const output_chunk& chunk = chunks_[c];
          const linear_group& g = groups_[chunk.group];
          const std::size_t here = std::min(tall_, rows - first), column = g.first + chunk.first;
          T* const to = u.data() + first * columns_ + column;
          f.products().tile({here, chunk.count, in, false, true, in, in, columns_}, T{1}, x.data() + first * in,
                            f.input(g.weight).data() + chunk.first * in, T{0}, to, worker);
          kernels::epilogue::forward_rows<T>(
              options_.act, mask(f, c),
              {here, chunk.count, first, to, columns_,
               g.bias != no_input ? f.input(g.bias).data() + chunk.first : nullptr,
               residual.data() ? residual.data() + first * columns_ + column : nullptr, columns_,
               f.keeps(0) ? to : nullptr, columns_, y.data() + first * columns_ + column, columns_});
        },
        true);
  }

  void backward(const frame<T>& f) const noexcept override {
    const auto x = f.input(0);
    const std::size_t rows = x.extent(0), in = x.extent(1), down = (rows + tall_ - 1) / tall_;
    const std::size_t tiles = kernels::epilogue::tiles_of(rows);
    T* const sums = f.backward_scratch();
    const auto dy = f.output_gradient();
    const bool apart = residual_ != no_input && changes();
    const view<T, 2> du = apart ? view<T, 2>(sums + tiles * columns_, dy.extents()) : dy;
    bool biases = false, inner = f.wants(0);
    for (const auto& g : groups_) {
      biases = biases || (g.bias != no_input && f.wants(g.bias));
      inner = inner || f.wants(g.weight);
    }
    if (!biases && !inner) return;  // only the residual has a gradient
    if (biases || changes()) {
      for_each_tile(f.device(), tiles, [&](std::size_t tile, std::size_t) {
        constexpr std::size_t height = kernels::epilogue::rows_per_tile;
        const std::size_t first = tile * height;
        std::fill_n(sums + tile * columns_, columns_, T{0});
        for (std::size_t c = 0; c < chunks_.size(); ++c) {
          const std::size_t column = groups_[chunks_[c].group].first + chunks_[c].first, at = first * columns_ + column;
          kernels::epilogue::backward_rows<T>(
              options_.act, mask(f, c),
              {std::min(height, rows - first), chunks_[c].count, first, dy.data() + at, columns_,
               f.keeps(0) ? f.kept(0).data() + at : nullptr, columns_, du.data() + at, columns_,
               biases ? sums + tile * columns_ + column : nullptr});
        }
      });
    }
    for (const auto& g : groups_) {
      if (g.bias == no_input || !f.wants(g.bias)) continue;
      T* const db = f.gradient(g.bias).data();
      if (f.beta(g.bias) == 0) std::fill_n(db, g.count, T{0});
      for (std::size_t tile = 0; tile < tiles; ++tile)
        for (std::size_t c = 0; c < g.count; ++c) db[c] += sums[tile * columns_ + g.first + c];
    }
    if (f.wants(0)) {
      const auto dx = f.gradient(0);
      const std::size_t across = (in + wide_ - 1) / wide_;
      for_each_tile(
          f.device(), down * across,
          [&](std::size_t tile, std::size_t worker) {
            const std::size_t first = tile / across * tall_, j = tile % across * wide_;
            T beta = f.beta(0);
            for (const auto& g : groups_) {
              f.products().tile(
                  {std::min(tall_, rows - first), std::min(wide_, in - j), g.count, false, false, columns_, in, in},
                  T{1}, du.data() + first * columns_ + g.first, f.input(g.weight).data() + j, beta,
                  dx.data() + first * in + j, worker);
              beta = T{1};
            }
          },
          true);
    }
    for (const auto& g : groups_) {
      if (!f.wants(g.weight)) continue;
      const auto dw = f.gradient(g.weight);
      const T beta = f.beta(g.weight);
      const std::size_t across = (in + wide_ - 1) / wide_, lines = (g.count + tall_ - 1) / tall_;
      for_each_tile(
          f.device(), lines * across,
          [&](std::size_t tile, std::size_t worker) {
            const std::size_t i = tile / across * tall_, j = tile % across * wide_;
            f.products().tile(
                {std::min(tall_, g.count - i), std::min(wide_, in - j), rows, true, false, columns_, in, in}, T{1},
                du.data() + g.first + i, x.data() + j, beta, dw.data() + i * in + j, worker);
          },
          true);
    }
  }

  void rows_are(const extent& rows) { rows_ = rows; }

 private:
  /// Whether du differs from dy.
  bool changes() const { return options_.act != activation::none || options_.dropout > 0; }
  kernels::epilogue::dropout mask(const frame<T>& f, std::size_t chunk) const noexcept {
    if (options_.dropout == 0 || !f.training()) return {};
    return kernels::epilogue::make_dropout(options_.dropout, f.seed(), f.stream(chunk));
  }

  static constexpr std::size_t tall_ = 192, wide_ = 512;  ///< a tile of f32 outputs is 384 KiB: it stays in L2
  std::vector<linear_group> groups_;
  std::vector<output_chunk> chunks_;
  std::size_t residual_, columns_;
  linear_options options_;
  extent rows_{0};
};

}  // namespace detail

/// x (rows, in) -> (rows, sum of the weights' out).
template <Real T>
value linear(tape<T>& t, value x, const std::vector<linear_weights>& weights, const linear_options& options = {}) {
  expects(!weights.empty(), errc::unsupported_shape, "linear: there are no weights");
  std::vector<value> inputs{x};
  std::vector<detail::linear_group> groups;
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
    groups.push_back(g);
    columns += out.factor;
  }
  std::size_t residual = no_input;
  if (present(options.residual)) {
    expects(t.rows(options.residual) == t.rows(x) && t.columns(options.residual) == columns, errc::unsupported_shape,
            "linear: the output is ", t.describe(t.rows(x)), " x ", columns, ", the residual ",
            t.describe(options.residual));
    residual = inputs.size();
    inputs.push_back(options.residual);
  }
  auto what = std::make_unique<detail::linear_op<T>>(std::move(groups), residual, columns, options);
  what->rows_are(t.rows(x));
  return t.record(std::move(what), std::move(inputs), t.rows(x), columns);
}

}  // namespace hocket::nn

#if defined(HOCKET_EXTERN_TEMPLATES)  // compiled once, in nn/instances.cpp
namespace hocket::nn {
HOCKET_NN_INSTANCE value linear<float>(tape<float>&, value, const std::vector<linear_weights>&, const linear_options&);
HOCKET_NN_INSTANCE value linear<double>(tape<double>&, value, const std::vector<linear_weights>&,
                                        const linear_options&);
}  // namespace hocket::nn
#endif
